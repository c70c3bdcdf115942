//! The event sources other than connections, and their tokens.

use mio::Token;

/// The lowest token of a source. Lower tokens are the keys of connections.
pub(super) const FIRST_SOURCE: usize = usize::MAX - 7;

/// An event source that the owner of a reactor waits for together with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A listening socket.
    Listener,
    /// Signals to the process.
    Signals,
    /// A wake-up by another thread.
    Waker,
    /// A heavy message that is computed.
    Computed,
}

impl Source {
    /// The token of its events.
    pub fn token(self) -> Token {
        Token(FIRST_SOURCE + self as usize)
    }
}

/// The set of sources that had an event.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadySources(u8);

impl ReadySources {
    /// True if `source` had an event.
    pub fn contains(self, source: Source) -> bool {
        self.0 & (1 << source as u8) != 0
    }

    /// Adds the source with this token, which is [`FIRST_SOURCE`] or higher.
    pub(super) fn mark(&mut self, token: usize) {
        self.0 |= 1 << (token - FIRST_SOURCE);
    }
}
