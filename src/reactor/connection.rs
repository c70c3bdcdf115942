//! A connection of the loop, and the run queue that it waits in.

use std::collections::VecDeque;

use crate::drive::ready::Readiness;
use crate::service::WORK_PER_SLICE;
use crate::session::Session;

/// The most work of a slice that is not heavy, in products of 64-bit limbs. A connection whose last
/// slice was heavy runs after those whose last slice was light: a client that asks for little does
/// not wait for clients that compute.
const LIGHT_WORK: u32 = WORK_PER_SLICE / 8;

/// The index of the run queue of connections that are new, or had an event after a light slice, and
/// of those that used up their budget in this turn.
pub(super) const READY: usize = 0;

/// The index of the run queue of connections that earlier turns have left, and of those that had an
/// event after a heavy slice.
pub(super) const DEFERRED: usize = 1;

/// A connection with the owner's data.
pub(super) struct Connection<T, S> {
    pub(super) socket: S,
    pub(super) session: Session,
    pub(super) ready: Readiness,
    /// True if its key is in a run queue.
    pub(super) queued: bool,
    /// True if its timer has fired since it last ran.
    pub(super) expired: bool,
    pub(super) data: T,
}

impl<T, S> Connection<T, S> {
    /// The queue in which the connection waits after an event.
    #[inline]
    pub(super) fn queue(&self) -> usize {
        let is_light = self.session.budget_left() >= i64::from(WORK_PER_SLICE - LIGHT_WORK);
        if is_light { READY } else { DEFERRED }
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
