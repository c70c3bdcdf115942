//! Statistics of one connection, shared by the client that speaks on it and the worker that owns
//! it: they are the reactor's data of the connection, and come back when it has closed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Statistics of one connection. A worker and its clients run in one thread, so no order between
/// the fields has to be kept.
#[derive(Debug)]
pub struct ConnStats {
    /// The connection's index among all connections of the load. The connection that replaces
    /// this one has the same.
    pub(super) index: usize,
    /// Requests sent on earlier connections of this index.
    pub(super) sent_before: u64,
    /// Requests sent on this connection.
    sent: AtomicU64,
    received: AtomicBool,
    busy: AtomicBool,
}

impl ConnStats {
    /// Statistics of a new connection.
    pub fn new(index: usize, sent_before: u64) -> Self {
        Self {
            index,
            sent_before,
            sent: AtomicU64::new(0),
            received: AtomicBool::new(false),
            busy: AtomicBool::new(false),
        }
    }

    /// Requests sent on this connection.
    #[inline]
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Counts `n` requests sent. Only the worker of the connection writes here.
    #[inline]
    pub(super) fn add_sent(&self, n: u64) {
        self.sent.store(self.sent() + n, Relaxed);
    }

    /// True if anything was received.
    #[inline]
    pub(super) fn has_received(&self) -> bool {
        self.received.load(Relaxed)
    }

    /// Notes that something was received. Returns true the first time.
    #[inline]
    pub(super) fn set_received(&self) -> bool {
        let first = !self.received.load(Relaxed);
        self.received.store(true, Relaxed);
        first
    }

    /// True if the server replied that it is busy.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Relaxed)
    }

    /// Notes that the server replied that it is busy.
    pub(super) fn set_busy(&self) {
        self.busy.store(true, Relaxed);
    }
}
