//! What one thread of a load writes down: how many, how long, and what was wrong.
//!
//! The connections of a thread share one recorder, and the thread that reports takes the latencies
//! out of it once an interval. Each step of a connection is one lock that is almost never
//! contended.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest latency that is told from longer ones, in nanoseconds: an hour.
const MAX_LATENCY: u64 = 3600 * 1_000_000_000;

/// Decimal digits to which latencies are kept.
const DIGITS: u8 = 3;

/// The faults that are shown; all are counted.
const MAX_EXAMPLES: usize = 5;

/// A request sent later than this after its time is late: what a busy thread's turn may take.
pub const LATE_AFTER: Duration = Duration::from_millis(1);

/// What is counted. The names are those of the JSON report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests sent.
    pub asked: u64,
    /// Right replies.
    pub answered: u64,
    /// Requests sent more than [`LATE_AFTER`] after they were due.
    pub late: u64,
    /// Requests that were due and not sent before the end.
    pub unsent: u64,
    /// Bytes of right replies.
    pub reply_bytes: u64,
    /// Replies with other bytes than they should have.
    pub wrong: u64,
    /// Replies that came twice, or that nobody had asked for.
    pub duplicated: u64,
    /// Two replies in one.
    pub merged: u64,
    /// Replies that came after a later one.
    pub reordered: u64,
    /// Replies that never came.
    pub missing: u64,
    /// Connections opened.
    pub opened: u64,
    /// Connections that could not be opened.
    pub unopened: u64,
    /// Connections that the server ended, or the network.
    pub lost: u64,
    /// Connections that were told that the server is full.
    pub busy: u64,
    /// Connections that were there and never got a reply, right or wrong.
    pub unserved: u64,
}

impl Counts {
    /// Replies that are not as they should be.
    pub fn faults(&self) -> u64 {
        self.wrong + self.duplicated + self.merged + self.reordered + self.missing
    }

    /// Whether every request got its reply, and every connection was served.
    pub fn is_clean(&self) -> bool {
        self.faults() + self.unopened + self.lost + self.busy + self.unserved == 0
    }

    pub(super) fn add(&mut self, other: &Self) {
        let Self { asked, answered, late, unsent, reply_bytes, .. } = other;
        self.asked += asked;
        self.answered += answered;
        self.late += late;
        self.unsent += unsent;
        self.reply_bytes += reply_bytes;
        let Self { wrong, duplicated, merged, reordered, missing, .. } = other;
        self.wrong += wrong;
        self.duplicated += duplicated;
        self.merged += merged;
        self.reordered += reordered;
        self.missing += missing;
        let Self { opened, unopened, lost, busy, unserved, .. } = other;
        self.opened += opened;
        self.unopened += unopened;
        self.lost += lost;
        self.busy += busy;
        self.unserved += unserved;
    }
}

/// How long replies took, in nanoseconds, counted in two ways.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// From the time when the request was due. Empty in a closed loop, where none ever is.
    pub from_due: Histogram<u64>,
    /// From the time when the request was sent.
    pub from_sending: Histogram<u64>,
}

impl Latencies {
    pub(super) fn new() -> Self {
        let empty =
            || Histogram::new_with_max(MAX_LATENCY, DIGITS).expect("the bounds are in order");
        Self { from_due: empty(), from_sending: empty() }
    }

    /// What a client waited: from the due time if there is one.
    pub fn waited(&self) -> &Histogram<u64> {
        if self.from_due.is_empty() { &self.from_sending } else { &self.from_due }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.from_due.add(&other.from_due).expect("the bounds are the same");
        self.from_sending.add(&other.from_sending).expect("the bounds are the same");
    }

    /// Forgets everything, the largest and the smallest, too.
    pub(super) fn reset(&mut self) {
        self.from_due.reset();
        self.from_sending.reset();
    }
}

/// In nanoseconds.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What outlives the single connections of one place in the load.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    /// The requests sent so far, in all its connections.
    pub(super) asked: u64,
    /// The connection of now has asked something.
    pub(super) begun: bool,
    /// It has received something.
    pub(super) got_bytes: bool,
    /// It was told that the server is full.
    pub(super) busy: bool,
}

/// One thread's recorder.
#[derive(Debug)]
pub struct Recorder {
    pub(super) counts: Counts,
    /// Since the last interval.
    pub(super) latencies: Latencies,
    /// The first faults, in words.
    pub(super) examples: Vec<String>,
    pub(super) slots: Vec<Slot>,
    /// The requests that may still be sent.
    pub(super) budget: u64,
    /// No request is sent from this time on.
    pub(super) end: Instant,
    /// The requests sent that may still be answered.
    pub(super) in_flight: u64,
    /// When the last reply came.
    pub(super) last_reply_at: Option<Instant>,
    /// The user does not wait for the replies in flight, so they are not missing.
    pub(super) abandoned: bool,
}

impl Recorder {
    /// A recorder for `slots` connections, which may send `budget` requests before `end`.
    pub fn new(slots: usize, budget: u64, end: Instant) -> Self {
        Self {
            counts: Counts::default(),
            latencies: Latencies::new(),
            examples: Vec::new(),
            slots: vec![Slot::default(); slots],
            budget,
            end,
            in_flight: 0,
            last_reply_at: None,
            abandoned: false,
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How long the replies of the interval took.
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// The first faults, in words.
    pub fn examples(&self) -> &[String] {
        &self.examples
    }

    /// How many of `wanted` requests may be sent.
    #[inline]
    pub(super) fn allowance(&self, wanted: u64, now: Instant) -> u64 {
        if now < self.end { wanted.min(self.budget) } else { 0 }
    }

    /// `n` requests are sent on the connection `slot`.
    #[inline]
    pub(super) fn record_sent(&mut self, slot: usize, n: u64) {
        self.budget -= n;
        self.in_flight += n;
        self.counts.asked += n;
        self.slots[slot].asked += n;
        self.slots[slot].begun = true;
    }

    /// Nothing more will be asked, and nothing is awaited.
    pub(super) fn is_finished(&self, now: Instant) -> bool {
        self.in_flight == 0 && self.is_over(now)
    }

    /// Nothing more will be asked.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.budget == 0 || now >= self.end
    }

    /// Shows a fault, if few were so far. The words are made only then.
    pub(super) fn add_example(&mut self, words: impl FnOnce() -> String) {
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(words());
        }
    }
}

/// Opens the recorder.
pub(super) fn lock(shared: &Mutex<Recorder>) -> MutexGuard<'_, Recorder> {
    shared.lock().expect("nobody has panicked over this recorder")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_forgets_no_count() {
        let json = serde_json::to_value(Counts::default()).unwrap();
        let ones: serde_json::Map<_, _> =
            json.as_object().unwrap().keys().map(|key| (key.clone(), 1.into())).collect();
        let mut one = Counts::default();
        one.add(&Counts {
            asked: 1,
            answered: 1,
            late: 1,
            unsent: 1,
            reply_bytes: 1,
            wrong: 1,
            duplicated: 1,
            merged: 1,
            reordered: 1,
            missing: 1,
            opened: 1,
            unopened: 1,
            lost: 1,
            busy: 1,
            unserved: 1,
        });
        assert_eq!(serde_json::to_value(one).unwrap(), serde_json::Value::Object(ones));
    }
}
