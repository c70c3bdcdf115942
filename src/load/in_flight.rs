//! Requests in flight on one connection: sent and not settled.

use std::collections::VecDeque;
use std::time::Instant;

/// Requests that were sent together.
#[derive(Clone, Copy, Debug)]
struct Batch {
    /// Those still in flight, at least 1.
    count: usize,
    sent_at: Instant,
}

/// The requests in flight, oldest first.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    batches: VecDeque<Batch>,
    /// The sum of the batches.
    len: usize,
}

impl InFlight {
    /// The number of requests in flight.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The time at which the oldest one was sent.
    #[inline]
    pub(super) fn oldest_sent_at(&self) -> Option<Instant> {
        self.batches.front().map(|batch| batch.sent_at)
    }

    /// Adds `count` requests, at least 1.
    #[inline]
    pub(super) fn push(&mut self, count: usize, sent_at: Instant) {
        self.batches.push_back(Batch { count, sent_at });
        self.len += count;
    }

    /// Removes the oldest `n` requests. `each` is told how many of them were sent at which time.
    #[inline]
    pub(super) fn remove(&mut self, n: usize, mut each: impl FnMut(usize, Instant)) {
        self.len -= n;
        let mut left = n;
        while left > 0
            && let Some(batch) = self.batches.front_mut()
        {
            let count = batch.count.min(left);
            each(count, batch.sent_at);
            batch.count -= count;
            left -= count;
            if batch.count == 0 {
                self.batches.pop_front();
            }
        }
    }
}
