//! A limit on log lines: peers decide how often something happens, so they must not decide how fast
//! the log grows.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::cause_of;

/// The shortest time between two lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// An allowance of one log line per second, shared by all threads of a server.
#[derive(Debug, Default)]
pub struct RateLimit {
    /// The time of the last line.
    last: Mutex<Option<Instant>>,
    /// Events counted by [`allow_counted`](Self::allow_counted) since the last line about them.
    suppressed: AtomicU64,
}

impl RateLimit {
    /// Uses the allowance if there is one; true means that a line may be logged now.
    pub fn allow(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|at| now >= at + INTERVAL);
        if due {
            *last = Some(now);
        }
        due
    }

    /// The same for an event that a later line accounts for. `Some(n)` means that a line may be
    /// logged now, and that `n` events before this one were not.
    pub fn allow_counted(&self, now: Instant) -> Option<u64> {
        if self.allow(now) {
            return Some(self.suppressed.swap(0, Ordering::AcqRel));
        }
        self.suppressed.fetch_add(1, Ordering::AcqRel);
        None
    }

    /// Logs a failure of the machine, if the allowance permits.
    pub fn warn(&self, what: std::fmt::Arguments<'_>, error: &io::Error, now: Instant) {
        if self.allow(now) {
            log::warn!("{what}: {}", cause_of(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a time to count from")]
    fn one_line_a_second_is_allowed_and_accounts_for_those_before_it() {
        let (limit, start) = (RateLimit::default(), Instant::now());
        let at = |milliseconds| limit.allow(start + Duration::from_millis(milliseconds));
        let lines = [0, 1, 999, 1000, 1500, 5000, 5001].map(at);
        assert_eq!(lines, [true, false, false, true, false, true, false]);
        let at = |milliseconds| limit.allow_counted(start + Duration::from_millis(milliseconds));
        assert_eq!([5002, 5003, 6000, 7000].map(at), [None, None, Some(2), Some(0)]);
    }
}
