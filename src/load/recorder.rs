//! The recorder of one thread of a load: counters, latencies, and examples of faults.
//!
//! All connections of a thread share it, and the thread that reports takes the intervals that are
//! over out of it. Each step of a connection takes the lock once, almost always uncontended.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::counts::Counts;
use super::intervals::{Interval, Intervals};
use super::latencies::Latencies;

/// The number of faults that are shown; all are counted.
const MAX_EXAMPLES: usize = 5;

/// A request that is sent more than this after its due time is late: about the time that a busy
/// thread's turn takes.
pub const LATE_AFTER: Duration = Duration::from_millis(1);

/// The recorder of one thread.
#[derive(Debug)]
pub struct Recorder {
    pub(super) counts: Counts,
    intervals: Intervals,
    /// True until the warm-up is over. What is counted until then is forgotten.
    warming_up: bool,
    /// The requests that were sent and settled in the warm-up.
    warm_up_requests: u64,
    /// The number of the current interval, and its end.
    interval: u32,
    interval_end: Instant,
    /// The latencies of the current interval.
    pub(super) latencies: Latencies,
    /// Right replies and faults before the current interval.
    answered_before: u64,
    faults_before: u64,
    /// The intervals that are over, oldest first, but for those in which nothing came.
    closed: Vec<Interval>,
    /// The latencies of the next interval, empty: to allocate them takes time, and would be
    /// measured.
    spare: Option<Latencies>,
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
    /// The connections so far on which anything was received.
    pub(super) begun: u64,
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
    pub fn new(budget: Arc<Budget>, end: Option<Instant>, intervals: Intervals) -> Self {
        Self {
            counts: Counts::default(),
            intervals,
            warming_up: false,
            warm_up_requests: 0,
            interval: 0,
            interval_end: intervals.end_of(0),
            latencies: Latencies::new(),
            answered_before: 0,
            faults_before: 0,
            closed: Vec::new(),
            spare: None,
            examples: Vec::new(),
            budget,
            end,
            in_flight: 0,
            open: 0,
            begun: 0,
            last_reply_at: None,
            answered: false,
            lost_in_a_row: 0,
            abandoned: false,
        }
    }

    /// The same with a warm-up until the first interval begins.
    #[must_use]
    pub fn with_warm_up(self) -> Self {
        Self { warming_up: true, interval_end: self.intervals.start(), ..self }
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

    /// Begins the interval of `now`, if it is later than the current one. Whatever is counted next
    /// belongs to it.
    #[inline]
    pub(super) fn advance_to(&mut self, now: Instant) {
        if now >= self.interval_end {
            self.close_interval();
            self.interval = self.intervals.number_at(now);
            self.interval_end = self.intervals.end_of(self.interval);
        }
    }

    #[cold]
    fn close_interval(&mut self) {
        if mem::take(&mut self.warming_up) {
            self.forget();
            return;
        }
        let (answered, faults) = (self.counts.answered, self.counts.faults());
        if (answered, faults) == (self.answered_before, self.faults_before) {
            return;
        }
        let empty = self.spare.take().unwrap_or_else(Latencies::new);
        self.closed.push(Interval {
            number: self.interval,
            answered: answered - self.answered_before,
            faults: faults - self.faults_before,
            latencies: mem::replace(&mut self.latencies, empty),
        });
        (self.answered_before, self.faults_before) = (answered, faults);
    }

    /// Forgets the warm-up: a request is in it if it was settled in it, so those in flight are
    /// counted as sent now, and so are the connections that are open.
    fn forget(&mut self) {
        self.warm_up_requests = self.counts.asked - self.in_flight;
        self.budget.take(self.in_flight);
        self.counts = Counts { asked: self.in_flight, opened: self.open, ..Counts::default() };
        self.latencies.reset();
        self.examples.clear();
        self.last_reply_at = None;
    }

    /// Takes the intervals that are over by `now`, or all of them. `spare` is for the next one.
    pub(super) fn take_intervals(
        &mut self,
        now: Option<Instant>,
        spare: &mut Option<Latencies>,
    ) -> Vec<Interval> {
        match now {
            Some(now) => self.advance_to(now),
            None => self.close_interval(),
        }
        if self.spare.is_none() {
            self.spare = spare.take();
        }
        mem::take(&mut self.closed)
    }

    /// Takes up to `wanted` requests from the budget and counts them as sent. Returns the number.
    #[inline]
    pub(super) fn take_requests(&mut self, wanted: u64, now: Instant) -> u64 {
        if self.end.is_some_and(|end| now >= end) {
            return 0;
        }
        let n = if self.warming_up { wanted } else { self.budget.take(wanted) };
        self.in_flight += n;
        self.counts.asked += n;
        n
    }

    /// The requests that were sent, those of the warm-up included.
    pub(super) fn sent(&self) -> u64 {
        self.warm_up_requests + self.counts.asked
    }

    /// The requests of the warm-up.
    pub(super) fn warm_up_requests(&self) -> u64 {
        self.warm_up_requests
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
