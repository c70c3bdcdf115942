//! Halts of the process (SIGSTOP, a machine that sleeps), found by a driver from its clock: a wait
//! or a run took much longer than it can. The deadlines of all sessions then move by the time of
//! the halt. A peer could not be served meanwhile, so that time is not its silence or slowness.
//!
//! A server that is only busy is late as well, and its deadlines must hold. So a run has a generous
//! time for all that it does, only what exceeds that by more than `SLACK` is a halt, and `SLACK`
//! counts as passed even then: timers are slow on a machine that is always late, but never stop.
//!
//! SIGSTOP interrupts a wait (signal(7)), and so does a signal that the program receives. Only the
//! first is a halt. A halt between the end of a wait and the reading of the clock cannot be told
//! from a longer wait; what has arrived is received before any timer fires all the same.

use std::time::Duration;

/// The delay that any wait or run may have, by other processes, a slow terminal or disk, or what is
/// not counted: at most 64 accepts, and as many timers, for each turn of a loop.
const SLACK: Duration = Duration::from_millis(50);

/// The longest time of a product of 64-bit limbs, in nanoseconds: several times what it takes.
const NANOS_PER_WORK: u64 = 4;

/// The longest time for an event of a connection: a receive, a send, a close, a line of the log.
const TIME_PER_EVENT: Duration = Duration::from_micros(100);

/// The time for which the process was halted within a run or a wait that took `passed`, and that
/// takes `longest` without a halt. It is zero unless `passed` is more than `SLACK` over that.
#[inline]
pub fn time_halted(passed: Duration, longest: Duration) -> Duration {
    passed.saturating_sub(longest.saturating_add(SLACK))
}

/// The longest time of a run that handled this many events, and did `work`, in products of 64-bit
/// limbs.
#[inline]
pub fn longest_run(events: usize, work: u64) -> Duration {
    let events = u32::try_from(events).unwrap_or(u32::MAX);
    TIME_PER_EVENT
        .saturating_mul(events)
        .saturating_add(Duration::from_nanos(work.saturating_mul(NANOS_PER_WORK)))
}

/// The longest time of a wait with this timeout. A wait that was `stopped`, that is interrupted by
/// no signal that the program receives, has none: nobody knows when in the wait the halt began.
#[inline]
pub fn longest_wait(timeout: Option<Duration>, stopped: bool) -> Duration {
    if stopped { Duration::ZERO } else { timeout.unwrap_or(Duration::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_far_beyond_the_longest_run_or_wait_is_a_halt() {
        let ms = Duration::from_millis;
        let timeout = |stopped| longest_wait(Some(ms(300)), stopped);
        assert_eq!(time_halted(ms(20), longest_run(0, 0)), ms(0), "a busy turn");
        assert_eq!(time_halted(ms(500), longest_run(0, 0)), ms(450), "a halt in a run");
        assert_eq!(time_halted(ms(150), longest_run(1000, 0)), ms(0), "events");
        assert_eq!(time_halted(ms(59), longest_run(0, 9_000_000 / NANOS_PER_WORK)), ms(0), "work");
        assert_eq!(time_halted(ms(301), timeout(false)), ms(0), "a timeout");
        assert_eq!(time_halted(ms(340), timeout(false)), ms(0), "a little late");
        assert_eq!(time_halted(ms(4350), timeout(false)), ms(4000), "a halt in a wait");
        assert_eq!(time_halted(ms(250), timeout(true)), ms(200), "a stopped wait");
        assert_eq!(time_halted(ms(9000), longest_wait(None, false)), ms(0), "no timeout");
    }

    #[test]
    fn a_server_that_is_always_late_has_time_that_passes() {
        let turn = Duration::from_millis(200);
        assert!(time_halted(turn, longest_run(0, 0)) <= turn * 3 / 4);
    }
}
