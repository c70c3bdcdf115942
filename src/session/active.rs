//! What happens to a connection, one event at a time: the session's whole interface to its driver.

use std::time::Instant;

use super::{CloseReason, LINGER_BYTES, Phase, Session};
use crate::buffer::Pool;
use crate::service::{Event, Next};

/// What a driver must do now: the only question it asks a session.
#[derive(Debug, PartialEq, Eq)]
pub enum Want<'s> {
    /// Send some of these bytes, then say how many: [`ActiveSession::sent`].
    Send(&'s [u8]),
    /// Receive into this buffer, which is never empty, then say how many: [`ActiveSession::received`].
    Receive(&'s mut [u8]),
    /// Close the sending half of the connection, then say so: [`ActiveSession::shut_down`].
    ShutDown,
    /// Let the other connections have their turn, then say so: [`ActiveSession::resume`].
    Yield,
    /// Wait for [`Session::deadline`], then [`ActiveSession::tick`].
    Wait,
    /// Close the connection.
    Finished,
}

/// A session with its buffers: what happens to a connection happens in a turn.
pub struct ActiveSession<'s> {
    session: &'s mut Session,
    pool: &'s mut Pool,
}

impl<'s> ActiveSession<'s> {
    #[inline]
    pub(super) fn new(session: &'s mut Session, pool: &'s mut Pool) -> Self {
        session.inbox.borrow(pool);
        session.outbox.borrow(pool);
        Self { session, pool }
    }

    /// The connection is there. Must come first, and once.
    pub fn open(&mut self, now: Instant) {
        self.session.notify(Event::Open, now);
        self.session.advance(now);
    }

    /// What the driver must do now.
    pub fn want(&mut self) -> Want<'_> {
        let session = &mut *self.session;
        match session.phase {
            Phase::Serving(_) | Phase::Flushing if !session.outbox.is_empty() => {
                Want::Send(session.outbox.pending())
            }
            Phase::Serving(Next::SleepUntil(_)) => Want::Wait,
            Phase::Serving(_) if session.over_budget() => Want::Yield,
            Phase::Serving(_) | Phase::Lingering { .. } => {
                let room = session.inbox.room();
                assert!(!room.is_empty(), "0 bytes received would mean the end of input");
                Want::Receive(room)
            }
            Phase::Flushing => Want::ShutDown,
            Phase::Finished => Want::Finished,
        }
    }

    /// `n` bytes were received into the buffer that was wanted; none means the end of input.
    pub fn received(&mut self, n: usize, now: Instant) {
        let session = &mut *self.session;
        match &mut session.phase {
            Phase::Lingering { .. } if n == 0 => session.phase = Phase::Finished,
            _ if n == 0 => {
                session.peer_ended = true;
                self.end_input(now);
            }
            Phase::Serving(_) => {
                session.limits.traffic.add_received(n);
                session.inbox.filled(n);
                session.framer.interrupt_gap();
                session.advance(now);
                // Not before: what has come may depend on how long it was quiet until then.
                session.active_at = now;
            }
            Phase::Lingering { discarded } => {
                *discarded += n;
                if *discarded > LINGER_BYTES {
                    session.phase = Phase::Finished;
                }
            }
            Phase::Flushing | Phase::Finished => {}
        }
    }

    /// Nothing will be received any more, though the peer did not close: the server stops. What
    /// came before is answered.
    pub fn end_input(&mut self, now: Instant) {
        self.session.input_ended = true;
        self.session.advance(now);
    }

    /// The first `n` bytes that were to be sent are on their way.
    pub fn sent(&mut self, n: usize, now: Instant) {
        self.session.limits.traffic.add_sent(n);
        self.session.active_at = now;
        self.session.outbox.consume(n);
        self.session.restart_silence();
        self.session.advance(now);
    }

    /// See [`Session::deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        self.session.deadline()
    }

    /// The other connections have had their turn: there may be as much work again. A loop says so
    /// whenever it comes to a connection, also if that did not give way.
    #[inline]
    pub fn resume(&mut self, now: Instant) {
        let session = &mut *self.session;
        let was_over_budget = session.over_budget();
        session.work_used = 0;
        if was_over_budget {
            // Until now nothing would have been received, so the silence was not the peer's.
            if session.is_receiving() {
                session.active_at = now;
            }
            session.advance(now);
        }
    }

    /// How much work was done since the last [`resume`](Self::resume).
    pub fn work(&self) -> u32 {
        self.session.work_used
    }

    /// The sending half of the connection is closed.
    pub fn shut_down(&mut self) {
        self.session.phase = Phase::Lingering { discarded: 0 };
    }

    /// It is `now`; anything that was due happens.
    pub fn tick(&mut self, now: Instant) {
        let session = &mut *self.session;
        match session.phase {
            Phase::Serving(_) if session.timeout_at().is_some_and(|at| at <= now) => {
                session.phase = Phase::Serving(Next::Read);
                session.notify(Event::Timeout, now);
                session.advance(now);
            }
            Phase::Serving(_) if session.gap_at().is_some_and(|at| at <= now) => {
                session.advance(now);
            }
            Phase::Lingering { .. } if session.silent_at() <= now => {
                session.phase = Phase::Finished;
            }
            // Behind what is due to the peer: that we come late must not be taken for its silence.
            Phase::Serving(_) | Phase::Flushing if session.silent_at() <= now => {
                let owed = !session.outbox.is_empty();
                session.finish(if owed { CloseReason::Unread } else { CloseReason::Idle });
            }
            // What was answered before is still sent, and the end of it seen.
            Phase::Serving(_) if session.overdue_at().is_some_and(|at| at <= now) => {
                session.close(CloseReason::TooSlow);
            }
            _ => {}
        }
    }

    /// The socket failed, or the connection is cut: nothing can be sent or received any more.
    pub fn cut(&mut self, close_reason: CloseReason) {
        self.session.finish(close_reason);
    }
}

impl Drop for ActiveSession<'_> {
    #[inline]
    fn drop(&mut self) {
        self.session.inbox.park(self.pool);
        self.session.outbox.park(self.pool);
    }
}
