//! A connection of the loop, and the run queue that it waits in.

use std::collections::VecDeque;

use crate::drive::ready::Readiness;
use crate::session::Session;

/// The index of the run queue of connections that are new or had an event, and of those that
/// yielded in this turn: the budget is used up, or the next message is heavy.
pub(super) const READY: usize = 0;

/// The index of the run queue of connections for which an earlier turn had no time.
pub(super) const LEFT: usize = 1;

/// The index of the run queue of heavy connections: those whose next message is heavy. A client
/// that asks for little does not wait for clients that compute, however much it asks for at once.
pub(super) const HEAVY: usize = 2;

/// A connection with the owner's data.
pub(super) struct Connection<T, S> {
    pub(super) socket: S,
    /// None while its message is computed beside the loop.
    pub(super) session: Option<Session>,
    pub(super) ready: Readiness,
    /// True if its key is in a run queue, or its session is away.
    pub(super) queued: bool,
    /// True if its timer has fired since it last ran.
    pub(super) expired: bool,
    pub(super) data: T,
}

impl<T, S> Connection<T, S> {
    /// The queue in which the connection waits after an event.
    #[inline]
    pub(super) fn queue(&self) -> usize {
        if self.is_heavy() { HEAVY } else { READY }
    }

    /// The queue in which it waits when this turn has no time for it.
    #[inline]
    pub(super) fn later_queue(&self) -> usize {
        // mutant: leave-heavy-with-light
        if self.is_heavy() { HEAVY } else { LEFT }
    }

    /// True if its next message is heavy.
    #[inline]
    pub(super) fn is_heavy(&self) -> bool {
        self.session.as_ref().is_some_and(Session::is_heavy)
    }

    /// The session of a connection that can run.
    #[inline]
    pub(super) fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("a connection whose session is away is in no run queue")
    }
}

/// Adds a connection to a run queue, unless it is in one already.
#[inline]
pub(super) fn queue<T, S>(
    keys: &mut VecDeque<usize>,
    key: usize,
    connection: &mut Connection<T, S>,
) {
    if !connection.queued {
        connection.queued = true;
        keys.push_back(key);
    }
}
