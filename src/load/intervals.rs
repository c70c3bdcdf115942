//! The intervals of a load: their numbers and times, and what came in each.

use std::time::{Duration, Instant};

use super::latencies::Latencies;

/// Intervals of equal length from the start of a load on, numbered from 0.
#[derive(Clone, Copy, Debug)]
pub struct Intervals {
    start: Instant,
    length: Duration,
}

impl Intervals {
    /// Intervals of `length`, at least a nanosecond, from `start` on.
    pub fn new(start: Instant, length: Duration) -> Self {
        assert!(!length.is_zero(), "an interval takes time");
        Self { start, length }
    }

    /// The number of the interval that `at` is in.
    pub(super) fn number_at(&self, at: Instant) -> u32 {
        let passed = at.saturating_duration_since(self.start);
        u32::try_from(passed.as_nanos() / self.length.as_nanos()).unwrap_or(u32::MAX)
    }

    /// The time from the start of the load to that of an interval.
    pub(super) fn before(&self, number: u32) -> Duration {
        self.length.saturating_mul(number)
    }

    /// The end of an interval, at which the next one begins.
    pub(super) fn end_of(&self, number: u32) -> Instant {
        self.start + self.before(number.saturating_add(1))
    }

    /// The length of an interval.
    pub(super) fn length(&self) -> Duration {
        self.length
    }

    /// The start of the load.
    pub(super) fn start(&self) -> Instant {
        self.start
    }
}

/// Right replies and faults of one interval.
#[derive(Debug)]
pub(super) struct Interval {
    pub(super) number: u32,
    pub(super) answered: u64,
    pub(super) faults: u64,
    pub(super) latencies: Latencies,
}

impl Interval {
    pub(super) fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.faults += other.faults;
        self.latencies.add(&other.latencies);
    }
}

/// The rate of `n` in a time, per second.
#[expect(clippy::cast_precision_loss, reason = "a rate needs few digits")]
pub(super) fn rate(n: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { n as f64 / time.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn an_interval_begins_at_the_end_of_the_one_before() {
        let start = Instant::now();
        let intervals = Intervals::new(start, Duration::from_millis(100));
        for number in [0, 1, 19, 1_000_000] {
            let end = intervals.end_of(number);
            assert_eq!(intervals.number_at(end), number + 1);
            assert_eq!(
                intervals.number_at(end.checked_sub(Duration::from_nanos(1)).unwrap()),
                number
            );
        }
        assert_eq!(intervals.number_at(start), 0);
    }
}
