//! The due times of requests in an open loop: fixed, whatever the server does.
//!
//! Request 0 is due at the start, and one more every `1/rate` of a second. The requests go to the
//! connections in rotation. All times are computed in whole numbers, so that a time and the number
//! of requests due by then never disagree.

use std::time::{Duration, Instant};

const NANOS: u128 = 1_000_000_000;

/// A constant rate of requests on all connections together.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    start: Instant,
    /// Requests per second, at least 1.
    rate: u64,
    /// The number of connections, at least 1.
    connections: u64,
}

impl Schedule {
    /// A schedule that begins at `start`.
    pub fn new(start: Instant, rate: u64, connections: usize) -> Self {
        assert!(rate > 0 && connections > 0, "no request would ever be due");
        Self { start, rate, connections: connections as u64 }
    }

    /// The due time of request `n` of connection `index`, both counted from 0.
    pub fn due(&self, index: usize, n: u64) -> Instant {
        self.nth_due(n * self.connections + index as u64)
    }

    /// The number of requests of connection `index` that are due by `now`.
    pub fn due_by(&self, index: usize, now: Instant) -> u64 {
        (self.total_due_by(now) + self.connections - 1 - index as u64) / self.connections
    }

    /// The first due time after `now`, on any connection.
    pub fn next(&self, now: Instant) -> Instant {
        self.nth_due(self.total_due_by(now))
    }

    fn nth_due(&self, n: u64) -> Instant {
        let nanos = u128::from(n) * NANOS / u128::from(self.rate);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The number of requests due by `now` on all connections. Request n is due by then if
    /// n * 10^9 / rate, rounded down, is at most the nanoseconds that have passed.
    pub(super) fn total_due_by(&self, now: Instant) -> u64 {
        let Some(passed) = now.checked_duration_since(self.start) else { return 0 };
        let last = ((passed.as_nanos() + 1) * u128::from(self.rate) - 1) / NANOS;
        u64::try_from(last).unwrap_or(u64::MAX - 1) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn a_request_is_due_from_its_due_time_on_and_not_before() {
        let start = Instant::now();
        for rate in [1, 3, 7, 1000, 999_983, 3_000_000_000] {
            let schedule = Schedule::new(start, rate, 3);
            for n in (0..50).chain(100_000..100_050) {
                for index in 0..3 {
                    let due = schedule.due(index, n);
                    assert!(schedule.due_by(index, due) > n, "{rate} a second, {n} of {index}");
                    if let Some(before) = due.checked_sub(Duration::from_nanos(1)) {
                        assert!(schedule.due_by(index, before) <= n);
                    }
                    assert!(schedule.next(due) > due);
                }
            }
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn requests_go_to_the_connections_in_rotation() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 1000, 2);
        let second = start + Duration::from_secs(1);
        assert_eq!(schedule.due(1, 0), start + Duration::from_millis(1));
        assert_eq!(schedule.due(0, 1), start + Duration::from_millis(2));
        assert_eq!((schedule.due_by(0, second), schedule.due_by(1, second)), (501, 500));
        assert_eq!(schedule.next(second), second + Duration::from_millis(1));
    }
}
