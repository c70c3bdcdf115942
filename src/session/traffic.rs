//! Counters of the traffic through a group of sessions.

use std::sync::atomic::{AtomicU64, Ordering};

/// The traffic through a group of sessions since the start. No decision depends on the counters, so
/// relaxed ordering is enough.
#[derive(Debug, Default)]
pub struct Traffic {
    messages: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Traffic {
    /// The number of messages given to a service; for a raw service, pieces of its stream.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// The number of bytes received and not discarded.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The number of bytes sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Adds the traffic of a session in another process.
    pub fn add(&self, messages: u64, received: u64, sent: u64) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.received.fetch_add(received, Ordering::Relaxed);
        self.sent.fetch_add(sent, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn add_messages(&self, n: u64) {
        self.messages.fetch_add(n, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
