//! When each connection wants to be looked at again.
//!
//! A connection has at most one entry, and a deadline that moves away costs nothing: the entry
//! stays where it is, and when its time comes the connection says when it really wants to be looked
//! at. So a server that answers a million messages a second, each of which moves an idle deadline,
//! touches this set only when connections come, go, or want to be woken sooner.

use std::collections::BTreeSet;
use std::time::Instant;

/// The connections' wake-up times, in order.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// A time, and the key of the connection.
    entries: BTreeSet<(Instant, usize)>,
}

impl Timers {
    /// Makes sure that the connection `key` wakes at `deadline` or before. `armed` is its entry.
    #[inline]
    pub(super) fn arm(
        &mut self,
        key: usize,
        armed: &mut Option<Instant>,
        deadline: Option<Instant>,
    ) {
        let Some(deadline) = deadline else { return };
        if armed.is_none_or(|at| deadline < at) {
            self.disarm(key, armed);
            self.entries.insert((deadline, key));
            *armed = Some(deadline);
        }
    }

    /// Removes the connection's entry.
    pub(super) fn disarm(&mut self, key: usize, armed: &mut Option<Instant>) {
        if let Some(at) = armed.take() {
            self.entries.remove(&(at, key));
        }
    }

    /// The next connection whose time has come; its entry is gone.
    pub(super) fn expired(&mut self, now: Instant) -> Option<usize> {
        let &(at, key) = self.entries.first()?;
        if at > now {
            return None;
        }
        self.entries.pop_first();
        Some(key)
    }

    /// The earliest time of all.
    #[inline]
    pub(super) fn next(&self) -> Option<Instant> {
        self.entries.first().map(|&(at, _)| at)
    }

    /// How many entries there are: no more than connections.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
