//! How fast the log may grow with what others do: a line a second, however many come.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The shortest time between two lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// The lines of one server, from all its threads.
#[derive(Debug, Default)]
pub struct RateLimit {
    /// When the last line was logged.
    last: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// Whether to log a line now.
    pub fn allow(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|at| now >= at + INTERVAL);
        if due {
            *last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a time to count from")]
    fn there_is_a_line_a_second() {
        let (limit, start) = (RateLimit::default(), Instant::now());
        let at = |milliseconds| limit.allow(start + Duration::from_millis(milliseconds));
        let lines = [0, 1, 999, 1000, 1500, 5000, 5001].map(at);
        assert_eq!(lines, [true, false, false, true, false, true, false]);
    }
}
