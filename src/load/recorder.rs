//! The recorder of one thread of a load: counters, latencies, and examples of faults.
//!
//! All connections of a thread share it, and the thread that reports takes the latencies out of it
//! once an interval. Each step of a connection takes the lock once, almost always uncontended.

use std::ops::AddAssign;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest latency that is told from longer ones, in nanoseconds: an hour.
const MAX_LATENCY: u64 = 3600 * 1_000_000_000;

/// The decimal digits to which latencies are kept.
const DIGITS: u8 = 3;

/// The number of faults that are shown; all are counted.
const MAX_EXAMPLES: usize = 5;

/// A request that is sent more than this after its due time is late: about the time that a busy
/// thread's turn takes.
pub const LATE_AFTER: Duration = Duration::from_millis(1);

/// Declares the counters and their sum together, so that no counter is left out of the sum.
macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of a load. The names are those of the JSON report.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl AddAssign for Counts {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counts! {
    /// Requests sent.
    asked,
    /// Right replies.
    answered,
    /// Requests sent more than [`LATE_AFTER`] after they were due.
    late,
    /// Requests that were due and not sent before the end.
    unsent,
    /// Bytes of right replies.
    reply_bytes,
    /// Replies with other bytes than expected.
    wrong,
    /// Replies that came twice, or without a request.
    duplicated,
    /// Lines that are two replies without the newline between them.
    merged,
    /// Replies that came after the reply to a later request.
    reordered,
    /// Replies that did not come.
    missing,
    /// Connections opened.
    opened,
    /// Connections that could not be made.
    unopened,
    /// Connections that the server or the network ended.
    lost,
    /// Connections on which the server said that it is full.
    busy,
    /// Connections on which a request was sent and nothing was received.
    unserved,
}

impl Counts {
    /// The number of faulty replies.
    pub fn faults(&self) -> u64 {
        self.wrong + self.duplicated + self.merged + self.reordered + self.missing
    }

    /// True if every request got its reply, and every connection was served.
    pub fn is_clean(&self) -> bool {
        self.faults() + self.unopened + self.lost + self.busy + self.unserved == 0
    }
}

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
    /// The number of requests that may still be sent, if it is limited.
    pub(super) requests_left: Option<u64>,
    /// The time from which on no request is sent, if there is one.
    pub(super) end: Option<Instant>,
    /// The requests in flight on all connections.
    pub(super) in_flight: u64,
    /// The time of the last right reply.
    pub(super) last_reply_at: Option<Instant>,
    /// The user does not wait for the replies in flight, so they are not missing.
    pub(super) abandoned: bool,
}

impl Recorder {
    /// A recorder for connections that may send `requests` together, before `end`.
    pub fn new(requests: Option<u64>, end: Option<Instant>) -> Self {
        Self {
            counts: Counts::default(),
            latencies: Latencies::new(),
            examples: Vec::new(),
            requests_left: requests,
            end,
            in_flight: 0,
            last_reply_at: None,
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

    /// The number of requests that may be sent now, of `wanted`.
    #[inline]
    pub(super) fn allowance(&self, wanted: u64, now: Instant) -> u64 {
        if self.end.is_some_and(|end| now >= end) {
            return 0;
        }
        self.requests_left.map_or(wanted, |left| left.min(wanted))
    }

    /// Counts `n` requests sent, no more than were [allowed](Self::allowance).
    #[inline]
    pub(super) fn record_sent(&mut self, n: u64) {
        if let Some(left) = &mut self.requests_left {
            *left -= n;
        }
        self.in_flight += n;
        self.counts.asked += n;
    }

    /// Allows no more requests from `end` on.
    pub(super) fn stop_at(&mut self, end: Instant) {
        self.end = Some(self.end.map_or(end, |earlier| earlier.min(end)));
    }

    /// True if no more requests will be sent.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.requests_left == Some(0) || self.end.is_some_and(|end| now >= end)
    }

    /// True if no more requests will be sent, and none is in flight.
    pub(super) fn is_finished(&self, now: Instant) -> bool {
        self.in_flight == 0 && self.is_over(now)
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
