//! Halts of the process (SIGSTOP, a machine that stands still), as a driver finds them: its wait or
//! its run took longer than it could. The deadlines of its sessions move by that time, because a
//! peer cannot be served meanwhile, and must not be found silent, or slow, for it.
//!
//! A halt in a wait interrupts it (signal(7)). One in the instant between the end of a wait and the
//! reading of the clock cannot be told from a longer wait; what has arrived is received before any
//! timer fires all the same.

use std::time::Duration;

/// The delay that every wait and every run may have, by the kernel's timers and other processes. It
/// is much shorter than a gap.
const SLACK: Duration = Duration::from_millis(5);

/// The longest time of a product of 64-bit limbs, in nanoseconds: several times what it takes.
const NANOS_PER_WORK: u64 = 4;

/// The time of a halt within a run or a wait that took `passed`, and `most` at most without one. It
/// counts as having begun as long before the latest end as it ended after: a peer that could not
/// be served needs some time before its deadline. Each wait advances the clock by `SLACK` all the
/// same, or a machine that is always late would fire no timer.
#[inline]
pub fn length(passed: Duration, most: Duration) -> Duration {
    let late = passed.saturating_sub(most.saturating_add(SLACK));
    (2 * late).min(passed.saturating_sub(SLACK))
}

/// The longest time of a run that did `work`, in products of 64-bit limbs.
#[inline]
pub fn longest_run(work: u64) -> Duration {
    Duration::from_nanos(work.saturating_mul(NANOS_PER_WORK))
}

/// The longest time of a wait with this timeout. One that was interrupted was halted for some of
/// its time, and nobody knows for how much.
#[inline]
pub fn longest_wait(timeout: Option<Duration>, interrupted: bool) -> Duration {
    if interrupted { Duration::ZERO } else { timeout.unwrap_or(Duration::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_beyond_the_longest_run_or_wait_is_a_halt() {
        let ms = Duration::from_millis;
        assert_eq!(length(ms(14), longest_run(9_000_000 / NANOS_PER_WORK)), ms(0), "work");
        assert_eq!(length(ms(3005), longest_run(0)), ms(3000), "a halt in a run");
        assert_eq!(length(ms(51), longest_wait(Some(ms(50)), false)), ms(0), "a timeout");
        assert_eq!(length(ms(4055), longest_wait(Some(ms(50)), false)), ms(4050), "a late one");
        assert_eq!(length(ms(65), longest_wait(Some(ms(50)), false)), ms(20), "a little late");
        assert_eq!(length(ms(45), longest_wait(Some(ms(50)), true)), ms(40), "an interrupted wait");
        assert_eq!(length(ms(9000), longest_wait(None, false)), ms(0), "no timeout");
    }
}
