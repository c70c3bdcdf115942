//! Latencies, counted from two times.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest latency that is told from longer ones, in nanoseconds: an hour.
const MAX_LATENCY: u64 = 3600 * 1_000_000_000;

/// The decimal digits to which latencies are kept.
const DIGITS: u8 = 3;

/// Latencies in nanoseconds, counted from two times.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// From the time at which the request was due. Empty in a closed loop, which has no due times.
    pub from_due: Histogram<u64>,
    /// From the time at which the request was sent.
    pub from_sending: Histogram<u64>,
}

impl Latencies {
    pub(super) fn new() -> Self {
        let empty =
            || Histogram::new_with_max(MAX_LATENCY, DIGITS).expect("the bounds are in order");
        Self { from_due: empty(), from_sending: empty() }
    }

    /// The wait of a user: from the due time, if there is one.
    pub fn waited(&self) -> &Histogram<u64> {
        if self.from_due.is_empty() { &self.from_sending } else { &self.from_due }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.from_due.add(&other.from_due).expect("the bounds are the same");
        self.from_sending.add(&other.from_sending).expect("the bounds are the same");
    }

    /// Empties both histograms.
    pub(super) fn reset(&mut self) {
        self.from_due.reset();
        self.from_sending.reset();
    }
}

/// A time in nanoseconds.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
