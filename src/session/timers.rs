//! The timers of a session: the times at which it acts without an event of its socket.
//!
//! No timer is stored. Each is derived from other fields, so a whole line neither sets nor cancels
//! one; the table is computed when a driver asks for the deadline.

use std::time::{Duration, Instant};

use super::{Awaited, LINGER, Phase, Session};

/// A timer, in the order of priority: of two that are due, the first fires.
///
/// Timers on which the service or the peer waits come before limits on the peer: a loop that runs
/// late must not take its own delay for the peer's silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// The time that the service asked for. Disarmed while the outbox has no room for a reply, or
    /// a message that came before it is deferred.
    Service,
    /// The end of a gap, which ends a message without a terminator. Disarmed while no message would
    /// be served.
    Gap,
    /// The limit on time without a byte, idle or lingering, or on the time for which replies are
    /// owed.
    Silence,
    /// The limit on the time for a message to arrive whole. Disarmed while nothing is received.
    Arrival,
}

impl Session {
    /// The earliest time at which [`tick`](super::ActiveSession::tick) fires a timer, if nothing
    /// else happens before.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers().iter().filter_map(|&(_, at)| at).min() // mutant: wait-for-the-last-timer
    }

    /// The first timer that is due.
    pub(super) fn due(&self, now: Instant) -> Option<Timer> {
        let due = |&(_, at): &(Timer, Option<Instant>)| at.is_some_and(|at| at <= now);
        self.timers().into_iter().find(due).map(|(timer, _)| timer) // mutant: fire-the-last-timer
    }

    /// Moves all timers by the time of a halt of the process. A time that the service waits for
    /// together with a message is an appointment, and stays.
    pub fn delay(&mut self, halt: Duration) {
        self.active_at += halt; // mutant: count-a-halt-as-silence
        // mutant: count-a-halt-as-slow
        self.waiting_since = self.waiting_since.map(|at| at + halt);
        self.framer.delay_gap(halt); // mutant: shorten-a-gap
        if self.phase == Phase::Serving(Awaited::Timeout) {
            self.timeout_at = self.timeout_at.map(|at| at + halt);
        }
    }

    #[inline]
    fn timers(&self) -> [(Timer, Option<Instant>); 4] {
        let serving = matches!(self.phase, Phase::Serving(_));
        [
            (Timer::Service, self.service_at()),
            (Timer::Gap, if serving { self.gap_at() } else { None }),
            (Timer::Silence, self.silence_at()),
            (Timer::Arrival, if serving { self.arrival_at() } else { None }),
        ]
    }

    fn service_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Serving(Awaited::MessageUntil | Awaited::Timeout) => {
                self.timeout_at.filter(|_| self.has_room() && !self.has_deferred())
            }
            _ => None,
        }
    }

    fn gap_at(&self) -> Option<Instant> {
        // mutant: end-a-gap-unserved
        self.framer.deadline().filter(|_| self.is_serving() && !self.owes())
    }

    fn silence_at(&self) -> Option<Instant> {
        let limits = &self.context.limits;
        let limit = match self.phase {
            Phase::Finished => return None,
            // The silence is the service's.
            Phase::Serving(Awaited::Timeout) if !self.owes() => return None,
            Phase::Lingering => LINGER,
            _ if self.owes() => return self.waiting_since.map(|since| since + limits.unread),
            _ => limits.idle,
        };
        Some(self.active_at + limit)
    }

    fn arrival_at(&self) -> Option<Instant> {
        let since = self.waiting_since.filter(|_| !self.owes())?;
        Some(since + self.context.limits.arrival)
    }
}
