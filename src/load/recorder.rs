//! The recorder of one thread of a load: counters, latencies, and examples of faults.
//!
//! All connections of a thread share it, and the thread that reports takes the latencies out of it
//! once an interval. Each step of a connection takes the lock once, almost always uncontended.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::budget::Budget;
use super::counts::Counts;

/// The longest latency that is told from longer ones, in nanoseconds: an hour.
const MAX_LATENCY: u64 = 3600 * 1_000_000_000;

/// The decimal digits to which latencies are kept.
const DIGITS: u8 = 3;

/// The number of faults that are shown; all are counted.
const MAX_EXAMPLES: usize = 5;

/// A request that is sent more than this after its due time is late: about the time that a busy
/// thread's turn takes.
pub const LATE_AFTER: Duration = Duration::from_millis(1);

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

/// The recorder of one thread.
#[derive(Debug)]
pub struct Recorder {
    pub(super) counts: Counts,
    /// The latencies of the current interval.
    pub(super) latencies: Latencies,
    /// Descriptions of the first faults.
    pub(super) examples: Vec<String>,
    /// The requests that may still be sent, in common with the other threads.
    pub(super) budget: Arc<Budget>,
    /// The time from which on no request is sent, if there is one.
    pub(super) end: Option<Instant>,
    /// The requests in flight on all connections.
    pub(super) in_flight: u64,
    /// The connections that are open.
    pub(super) open: u64,
    /// The time of the last right reply.
    pub(super) last_reply_at: Option<Instant>,
    /// A reply has settled a request, right or not, since the worker looked last.
    pub(super) answered: bool,
    /// Requests that were lost since a reply came.
    pub(super) lost_in_a_row: u64,
    /// Nobody waits for the replies in flight, so they are not missing.
    pub(super) abandoned: bool,
}

impl Recorder {
    /// A recorder for connections that may send the requests of `budget` before `end`.
    pub fn new(budget: Arc<Budget>, end: Option<Instant>) -> Self {
        Self {
            counts: Counts::default(),
            latencies: Latencies::new(),
            examples: Vec::new(),
            budget,
            end,
            in_flight: 0,
            open: 0,
            last_reply_at: None,
            answered: false,
            lost_in_a_row: 0,
            abandoned: false,
        }
    }

    /// The counters so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The latencies of the current interval.
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// Descriptions of the first faults.
    pub fn examples(&self) -> &[String] {
        &self.examples
    }

    /// Takes up to `wanted` requests from the budget and counts them as sent. Returns the number.
    #[inline]
    pub(super) fn take_requests(&mut self, wanted: u64, now: Instant) -> u64 {
        if self.end.is_some_and(|end| now >= end) {
            return 0;
        }
        let n = self.budget.take(wanted);
        self.in_flight += n;
        self.counts.asked += n;
        n
    }

    /// Counts a connection that was made.
    pub(super) fn record_open(&mut self) {
        self.open += 1;
        self.counts.opened += 1;
    }

    /// Panics, in a debug build, if a request or a connection is not in exactly one count.
    #[inline]
    pub(super) fn check(&self) {
        let Self { counts, in_flight, open, .. } = self;
        debug_assert!(
            counts.add_up(*in_flight, *open),
            "{in_flight} in flight, {open} open: {counts:?}"
        );
    }

    /// Allows no more requests from `end` on.
    pub(super) fn stop_at(&mut self, end: Instant) {
        self.end = Some(self.end.map_or(end, |earlier| earlier.min(end)));
    }

    /// True if no more requests will be sent.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.budget.left() == Some(0) || self.end.is_some_and(|end| now >= end)
    }

    /// Notes that the server has answered a request.
    #[inline]
    pub(super) fn record_answer(&mut self) {
        self.answered = true;
        self.lost_in_a_row = 0;
    }

    /// Keeps the description of a fault, unless there are enough. It is made only then.
    pub(super) fn add_example(&mut self, describe: impl FnOnce() -> String) {
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(describe());
        }
    }
}

/// Locks a recorder.
pub(super) fn lock(shared: &Mutex<Recorder>) -> MutexGuard<'_, Recorder> {
    shared.lock().expect("no thread panics while it holds this lock")
}
