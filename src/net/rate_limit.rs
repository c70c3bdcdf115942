//! A limit on log lines: peers decide how often something happens, so they must not decide how fast
//! the log grows.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::cause_of;

/// The time for which an allowance holds.
const INTERVAL: Duration = Duration::from_secs(1);

/// An allowance of log lines per second, shared by all threads of a server.
#[derive(Debug)]
pub struct RateLimit {
    /// The most lines in a second.
    lines: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The first line of the current second.
    since: Option<Instant>,
    /// The lines since then.
    used: u32,
    /// Events counted by [`allow_counted`](RateLimit::allow_counted) that no line was about.
    suppressed: u64,
}

impl Default for RateLimit {
    /// One line per second.
    fn default() -> Self {
        Self::new(1)
    }
}

impl RateLimit {
    /// An allowance of `lines` per second.
    pub fn new(lines: u32) -> Self {
        Self { lines, state: Mutex::default() }
    }

    /// Uses the allowance if there is one; true means that a line may be logged now.
    pub fn allow(&self, now: Instant) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).take(self.lines, now)
    }

    /// The same for an event that a later line accounts for. `Some(n)` means that a line may be
    /// logged now, and that `n` events before this one were not.
    pub fn allow_counted(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.take(self.lines, now) {
            return Some(std::mem::take(&mut state.suppressed));
        }
        state.suppressed += 1;
        None
    }

    /// Logs a failure of the machine, if the allowance permits.
    pub fn warn(&self, what: std::fmt::Arguments<'_>, error: &io::Error, now: Instant) {
        if self.allow(now) {
            log::warn!("{what}: {}", cause_of(error));
        }
    }
}

impl State {
    fn take(&mut self, lines: u32, now: Instant) -> bool {
        if self.since.is_none_or(|since| now >= since + INTERVAL) {
            (self.since, self.used) = (Some(now), 0);
        }
        self.used += 1;
        self.used <= lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a time to count from")]
    fn the_lines_of_a_second_are_limited_and_a_later_one_accounts_for_the_rest() {
        let start = Instant::now();
        let limit = RateLimit::new(1);
        let at = |milliseconds| limit.allow(start + Duration::from_millis(milliseconds));
        let lines = [0, 1, 999, 1000, 1500, 5000, 5001].map(at);
        assert_eq!(lines, [true, false, false, true, false, true, false]);
        let at = |milliseconds| limit.allow_counted(start + Duration::from_millis(milliseconds));
        assert_eq!([5002, 5003, 6000, 7000].map(at), [None, None, Some(2), Some(0)]);

        let limit = RateLimit::new(100);
        let allowed = (0..1000).filter(|&ms| limit.allow(start + Duration::from_millis(ms)));
        assert_eq!(allowed.count(), 100);
    }
}
