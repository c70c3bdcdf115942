//! Where the admitted are served: the one thing in which the models differ.

use super::process::Processes;
use super::threads::Threads;
use crate::net::limited_listener::ClientId;
use crate::session::CloseReason;

/// Who serves the admitted.
pub(super) enum Workers {
    /// The acceptor's own loop.
    Inline,
    /// A thread for each.
    Threads(Threads),
    /// A process for each.
    Processes(Processes),
}

impl Workers {
    /// A child of this process has ended.
    pub(super) fn reap(&mut self) {
        if let Self::Processes(processes) = self {
            processes.reap();
        }
    }

    /// Those that have left since this was asked last, and why.
    pub(super) fn take_closed(&mut self) -> Vec<(ClientId, CloseReason)> {
        match self {
            Self::Inline => Vec::new(),
            Self::Threads(threads) => threads.take_closed().collect(),
            Self::Processes(processes) => processes.take_closed().collect(),
        }
    }

    /// From now on an empty socket is the end of input.
    pub(super) fn drain(&mut self) {
        match self {
            Self::Inline => {}
            Self::Threads(threads) => threads.drain(),
            Self::Processes(processes) => processes.drain(),
        }
    }

    /// Ends every connection at once, and returns whose that were.
    pub(super) fn cut(&mut self) -> Vec<(ClientId, CloseReason)> {
        match self {
            Self::Inline => Vec::new(),
            Self::Threads(threads) => threads.cut(),
            Self::Processes(processes) => processes.cut(),
        }
    }
}
