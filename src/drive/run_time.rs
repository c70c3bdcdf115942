//! The clock of a driver: it stands still while the process is halted.

use std::time::{Duration, Instant};

/// The longest run between two waits that counts in full. A turn of the loop takes less, so what is
/// longer is not a run: the process was halted, or had no processor.
const LONGEST_RUN: Duration = Duration::from_millis(100);

/// The time of a driver, by which its sessions measure their limits: that in which it ran, and that
/// in which it waited as it had asked to. A halt of the process (SIGSTOP) does not count: a peer
/// cannot be served meanwhile, and must not be found silent, or slow, for it.
#[derive(Clone, Copy, Debug)]
pub struct RunTime {
    now: Instant,
    read_at: Instant,
}

impl RunTime {
    /// A clock that shows `now`. `read_at` is the time of the machine.
    pub fn new(now: Instant, read_at: Instant) -> Self {
        Self { now, read_at }
    }

    /// The time at the last call of [`ran`](Self::ran) or [`waited`](Self::waited).
    #[inline]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Counts a run that has ended at `read_at`.
    #[inline]
    pub fn ran(&mut self, read_at: Instant) {
        self.waited(read_at, Some(LONGEST_RUN));
    }

    /// Counts a wait that has ended at `read_at`, and could not take longer than `limit`.
    #[inline]
    pub fn waited(&mut self, read_at: Instant, limit: Option<Duration>) {
        let passed = read_at.saturating_duration_since(self.read_at);
        self.now += limit.map_or(passed, |limit| passed.min(limit));
        self.read_at = read_at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do to begin with")]
    fn only_runs_and_waits_that_were_asked_for_take_time() {
        let start = Instant::now();
        let mut time = RunTime::new(start, start + 500 * MS);
        time.ran(start + 510 * MS);
        assert_eq!(time.now(), start + 10 * MS, "a run");
        time.waited(start + 540 * MS, Some(50 * MS));
        assert_eq!(time.now(), start + 40 * MS, "a wait that an event has ended");
        time.waited(start + 4_000 * MS, Some(50 * MS));
        assert_eq!(time.now(), start + 90 * MS, "a halt after a wait");
        time.ran(start + 8_000 * MS);
        assert_eq!(time.now(), start + 90 * MS + LONGEST_RUN, "a halt within a run");
        time.waited(start + 9_000 * MS, Some(Duration::ZERO));
        assert_eq!(time.now(), start + 90 * MS + LONGEST_RUN, "an interrupted wait");
        time.waited(start + 9_500 * MS, None);
        assert_eq!(time.now(), start + 590 * MS + LONGEST_RUN, "a wait without a limit");
    }
}
