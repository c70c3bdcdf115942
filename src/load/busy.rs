//! The time that a load's own thread was busy. Near all of the time, it measures itself.

use std::time::{Duration, Instant};

use rustix::time::ClockId;

use super::processor_time;

/// The part of the time that a thread was busy, and the means to find it.
#[derive(Debug)]
pub(super) struct BusyTime {
    began_at: Instant,
    /// The processor time of the thread at the beginning.
    processor_before: Duration,
    /// The time of turns that did not sleep, and in which nothing was sent or came: a thread that
    /// waits for the due time of a request so is not busy.
    spun: Duration,
    turn_at: Instant,
    /// The requests and replies until then.
    progress: u64,
    part: Option<f64>,
}

impl BusyTime {
    /// The thread that calls, from `now` on.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began_at: now,
            processor_before: own_processor_time(),
            spun: Duration::ZERO,
            turn_at: now,
            progress: 0,
            part: None,
        }
    }

    /// Notes the end of a turn. `slept` is true if it might sleep; `progress` is the number of
    /// requests and replies so far.
    #[inline]
    pub(super) fn turn_ended(&mut self, slept: bool, progress: u64, now: Instant) {
        if !slept && progress == self.progress {
            self.spun += now.saturating_duration_since(self.turn_at);
        }
        (self.turn_at, self.progress) = (now, progress);
    }

    /// The part of the time until now, from 0 to 1. It is fixed when it is asked for first.
    pub(super) fn part(&mut self, now: Instant) -> f64 {
        *self.part.get_or_insert_with(|| {
            let before = self.processor_before + self.spun;
            let busy = own_processor_time().saturating_sub(before);
            let time = now.saturating_duration_since(self.began_at);
            (busy.as_secs_f64() / time.as_secs_f64().max(1e-9)).min(1.0)
        })
    }
}

/// The processor time of the thread that calls.
fn own_processor_time() -> Duration {
    processor_time(ClockId::ThreadCPUTime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "processor time passes on the real clock only")]
    fn a_thread_that_waits_for_a_due_time_without_sleeping_is_not_busy() {
        for progresses in [false, true] {
            let began_at = Instant::now();
            let mut busy = BusyTime::new(began_at);
            let (mut now, mut progress) = (began_at, 0);
            while own_processor_time() < busy.processor_before + Duration::from_millis(20) {
                progress += u64::from(progresses);
                now = Instant::now();
                busy.turn_ended(false, progress, now);
            }
            // All of the processor time, which is a part of the time.
            let part = busy.part(now);
            assert_eq!(part > 0.1 * 0.02 / (now - began_at).as_secs_f64(), progresses, "{part}");
        }
    }
}
