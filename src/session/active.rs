//! The session's interface to its driver: the next action, and reports of what happened.

use std::time::{Duration, Instant};

use super::timers::Timer;
use super::{Awaited, CloseReason, Input, Phase, Session};
use crate::buffer::Pool;
use crate::service::{Event, LIGHT_WORK};

/// The next action of a driver.
#[derive(Debug, PartialEq, Eq)]
pub enum Want<'s> {
    /// Send some of these bytes, then report how many: [`ActiveSession::sent`].
    Send(&'s [u8]),
    /// Receive into this buffer, which is never empty, then report how many bytes:
    /// [`ActiveSession::received`].
    Receive(&'s mut [u8]),
    /// Close the sending half of the connection, then report it: [`ActiveSession::shut_down`].
    ShutDown,
    /// The budget is used up, or the next message is heavy: let other connections run, then
    /// activate the session again.
    Yield,
    /// Wait for [`Session::deadline`], then call [`ActiveSession::tick`].
    Wait,
    /// Close the connection.
    Finished,
}

/// A session with buffers and a budget, for one slice. Dropping it returns the buffers to the pool.
pub struct ActiveSession<'s> {
    session: &'s mut Session,
    pool: &'s mut Pool,
    budget: u32,
}

impl<'s> ActiveSession<'s> {
    #[inline]
    pub(super) fn new(
        session: &'s mut Session,
        pool: &'s mut Pool,
        budget: u32,
        now: Instant,
    ) -> Self {
        session.inbox.borrow(pool);
        session.outbox.borrow(pool);
        let had_yielded = session.yields(); // mutant: never-resume
        let most_work = if session.is_heavy() { u32::MAX } else { LIGHT_WORK };
        session.begin_slice(budget);
        if session.phase == Phase::New {
            session.phase = Phase::Serving(Awaited::Message);
            session.notify(Event::Open, now);
            session.advance(now);
        } else if had_yielded && session.may_compute_ahead(pool) {
            // Nothing was received since the last slice, so the silence was not the peer's.
            if !session.owes() {
                session.active_at = now;
            }
            session.advance_by(most_work, now);
        }
        Self { session, pool, budget }
    }

    /// The next action.
    #[inline]
    pub fn want(&mut self) -> Want<'_> {
        let session = &mut *self.session;
        match session.phase {
            Phase::Serving(_) | Phase::Flushing if session.owes() => {
                Want::Send(session.outbox.pending())
            }
            Phase::Serving(Awaited::Timeout) => Want::Wait,
            Phase::Serving(_) if session.yields() => Want::Yield,
            Phase::New | Phase::Serving(_) | Phase::Lingering => {
                let room = session.inbox.room();
                assert!(!room.is_empty(), "0 bytes received would mean the end of input");
                let size = room.len().min(self.pool.receive_limit());
                Want::Receive(&mut room[..size])
            }
            Phase::Flushing => Want::ShutDown,
            Phase::Finished => Want::Finished,
        }
    }

    /// Begins another slice without an activation, for a driver that has waited.
    #[inline]
    pub fn renew_budget(&mut self) {
        self.session.begin_slice(self.budget);
    }

    /// Reports `n` bytes in the buffer of [`Want::Receive`]; 0 means the end of input.
    #[inline]
    pub fn received(&mut self, n: usize, now: Instant) {
        let session = &mut *self.session;
        match session.phase {
            Phase::Lingering if n == 0 => session.phase = Phase::Finished,
            _ if n == 0 => {
                session.input = Input::PeerClosed;
                session.advance(now);
            }
            Phase::New | Phase::Serving(_) => {
                session.context.traffic.add_received(n);
                session.inbox.filled(n);
                if self.pool.is_small() && session.inbox.is_filled() {
                    self.pool.enlarge();
                    session.inbox.borrow(self.pool);
                    session.outbox.borrow(self.pool);
                }
                session.framer.interrupt_gap(); // mutant: keep-a-gap
                session.advance(now);
                // Not earlier: the meaning of these bytes may depend on the silence before them.
                session.active_at = now; // mutant: forget-what-was-received
            }
            Phase::Lingering => {
                if !session.discard(n) {
                    session.phase = Phase::Finished;
                }
            }
            Phase::Flushing | Phase::Finished => {}
        }
    }

    /// Reports that the server stops: nothing more will be received, though the peer has not
    /// closed. Messages in the inbox are answered.
    pub fn end_input(&mut self, now: Instant) {
        if self.session.input == Input::Open {
            self.session.input = Input::Stopped;
        }
        self.session.advance(now);
    }

    /// Reports that the first `n` bytes of [`Want::Send`] were sent.
    #[inline]
    pub fn sent(&mut self, n: usize, now: Instant) {
        self.session.context.traffic.add_sent(n);
        self.session.active_at = now;
        self.session.pay_debt(n, now);
        // The silence so far may have been ours.
        self.session.framer.interrupt_gap(); // mutant: count-our-own-silence
        if self.session.has_more() && self.session.may_compute_ahead(self.pool) {
            self.session.advance(now);
        }
    }

    /// True if replies are owed, so that the next action is to send.
    #[inline]
    pub fn owes(&self) -> bool {
        self.session.owes()
    }

    /// True if the client's next message is awaited, for which there is no limit but that on its
    /// silence.
    #[inline]
    pub fn is_between_messages(&self) -> bool {
        let session = &self.session;
        session.phase == Phase::Serving(Awaited::Message)
            && session.waiting_since.is_none()
            && session.framer.deadline().is_none()
    }

    /// True if the rest of a message is awaited.
    #[inline]
    pub fn awaits_rest(&self) -> bool {
        !self.session.owes() && self.session.waiting_since.is_some()
    }

    /// See [`Session::delay`].
    pub fn delay(&mut self, halt: Duration) {
        self.session.delay(halt);
    }

    /// See [`Session::deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        self.session.deadline()
    }

    /// The work done in this slice, in products of 64-bit limbs.
    pub fn work(&self) -> u32 {
        let work = i64::from(self.budget) - i64::from(self.session.work_left);
        u32::try_from(work).unwrap_or(u32::MAX)
    }

    /// Reports that the sending half of the connection is closed.
    pub fn shut_down(&mut self) {
        self.session.phase = Phase::Lingering; // mutant: close-without-lingering
        self.session.discarded = 0;
    }

    /// Fires the first timer that is due. A driver calls it after receiving: input that has arrived
    /// comes before a timer that is due.
    pub fn tick(&mut self, now: Instant) {
        let session = &mut *self.session;
        let Some(timer) = session.due(now) else { return };
        match (timer, session.phase) {
            (Timer::Service, phase) => {
                if phase == Phase::Serving(Awaited::Timeout) {
                    session.active_at = now;
                }
                session.phase = Phase::Serving(Awaited::Message);
                session.notify(Event::Timeout, now);
                session.advance(now);
            }
            (Timer::Gap, _) => session.advance(now),
            (Timer::Silence, Phase::Lingering) => session.phase = Phase::Finished,
            (Timer::Silence, _) => {
                let owes = session.owes();
                session.cut(if owes { CloseReason::Unread } else { CloseReason::Idle });
            }
            // Not cut: earlier replies are still sent.
            (Timer::Arrival, _) => session.close(CloseReason::TooSlow),
        }
    }

    /// Reports that the socket failed: nothing more can be sent or received.
    pub fn cut(&mut self, reason: CloseReason) {
        self.session.cut(reason);
    }
}

impl Drop for ActiveSession<'_> {
    #[inline]
    fn drop(&mut self) {
        self.session.inbox.park(self.pool);
        self.session.outbox.park(self.pool);
    }
}
