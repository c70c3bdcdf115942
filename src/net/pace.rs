//! How fast the log may grow with what others do: a line a second, however many come.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The shortest time between two lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// Lines of one kind, from all threads of a server.
#[derive(Debug, Default)]
pub struct Pace {
    /// When the last line was logged, and how many were left out since.
    last: Mutex<(Option<Instant>, u64)>,
}

impl Pace {
    /// Whether to log a line now; and if so, how many were left out before it.
    pub fn step(&self, now: Instant) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (logged_at, left_out) = &mut *last;
        if logged_at.is_some_and(|at| now < at + INTERVAL) {
            *left_out += 1;
            return None;
        }
        *logged_at = Some(now);
        Some(std::mem::take(left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a time to count from")]
    fn a_line_a_second_says_how_many_it_stands_for() {
        let (pace, start) = (Pace::default(), Instant::now());
        let at = |milliseconds| pace.step(start + Duration::from_millis(milliseconds));
        assert_eq!((at(0), at(1), at(999)), (Some(0), None, None));
        assert_eq!((at(1000), at(1500), at(5000)), (Some(2), None, Some(1)));
    }
}
