//! One connection's life, without its socket.
//!
//! A [`Session`] turns received bytes into a service's events and the service's replies into bytes
//! to send. It does no I/O and reads no clock: a driver tells it what happened ([`Turn::received`],
//! [`Turn::sent`], [`Turn::tick`], ...) and asks one question, [`Turn::want`]. Every call runs the
//! session to rest, so there is nothing that a driver could forget to drain.
//!
//! | phase | input | output | left by |
//! | --- | --- | --- | --- |
//! | serving | messages go to the service | replies are sent | the service's last word, end of input, too long a message |
//! | flushing | not read | what is left is sent | all is sent: our FIN goes out |
//! | lingering | read and thrown away | none | the peer's FIN, a deadline, too much input |
//! | finished | | | |
//!
//! Lingering exists because a socket that is closed with unread input resets the connection, and a
//! reset destroys replies that are still on their way (RFC 1122, 4.2.2.13).
//!
//! Backpressure needs no code of its own. Output is sent before input is received; so a peer that
//! does not read leaves the outbox full, no steps are taken, nothing more is received, and TCP's
//! window closes on the peer.

use std::sync::Arc;
use std::time::Instant;

use crate::buffer::{Buffer, Pool};
use crate::service::{Event, Next, Output, Service};

mod ending;
mod framing;
mod limits;

pub use ending::Ending;
use framing::{Frame, Framer};
use limits::OUTBOX_HIGH_WATER;
pub use limits::{LINGER, LINGER_BYTES, Limits, MAX_MESSAGE_LIMIT, OUTBOX_LIMIT};

/// What a driver must do now: the only question it asks a session.
#[derive(Debug, PartialEq, Eq)]
pub enum Want<'s> {
    /// Send some of these bytes, then say how many: [`Turn::sent`].
    Send(&'s [u8]),
    /// Receive into this buffer, which is never empty, then say how many: [`Turn::received`].
    Receive(&'s mut [u8]),
    /// Close the sending half of the connection, then say so: [`Turn::shut_down`].
    ShutDown,
    /// Wait for [`Session::deadline`], then [`Turn::tick`].
    Wait,
    /// Close the connection.
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    Flushing,
    /// `thrown_away`: bytes of input since our FIN, at most [`LINGER_BYTES`].
    Lingering {
        until: Instant,
        thrown_away: usize,
    },
    Finished,
}

/// One connection, from its first event to its last byte.
pub struct Session {
    service: Box<dyn Service>,
    limits: Arc<Limits>,
    /// The client's number in the log.
    client: u64,
    framer: Framer,
    /// Received and not yet taken by the service: at rest at most one partial message, or more
    /// while the service sleeps or the outbox is above its mark.
    inbox: Buffer,
    /// Written by the service and not yet sent, at most [`OUTBOX_LIMIT`].
    outbox: Buffer,
    phase: Phase,
    /// What the service waits for; has a meaning only while serving.
    next: Next,
    /// When the last byte moved, in either direction.
    active_at: Instant,
    /// Nothing will be received any more.
    input_ended: bool,
    /// The peer's FIN was seen, so there is nothing to linger for.
    peer_ended: bool,
    /// Why the connection ends, once it does. The first reason stays.
    ending: Option<Ending>,
}

impl Session {
    /// A connection that is there since `now`. `client` is its number in the log.
    pub fn new(
        service: Box<dyn Service>,
        limits: Arc<Limits>,
        client: u64,
        now: Instant,
    ) -> Session {
        Session {
            framer: Framer::new(service.framing()),
            service,
            limits,
            client,
            inbox: Buffer::default(),
            outbox: Buffer::default(),
            phase: Phase::Serving,
            next: Next::Read,
            active_at: now,
            input_ended: false,
            peer_ended: false,
            ending: None,
        }
    }

    /// The client's number in the log.
    pub fn client(&self) -> u64 {
        self.client
    }

    /// Begins a turn: until its end the session has its buffers out of `pool`.
    #[inline]
    pub fn turn<'s>(&'s mut self, pool: &'s mut Pool) -> Turn<'s> {
        self.inbox.borrow(pool);
        self.outbox.borrow(pool);
        Turn { session: self, pool }
    }

    /// When [`Turn::tick`] is due, if nothing else happens before: the earliest of the service's
    /// own time, the idle limit and the end of lingering.
    pub fn deadline(&self) -> Option<Instant> {
        let idle_at = self.active_at + self.limits.idle;
        match (self.phase, self.next) {
            (Phase::Serving, Next::ReadUntil(at) | Next::SleepUntil(at)) => Some(at.min(idle_at)),
            (Phase::Serving | Phase::Flushing, _) => Some(idle_at),
            (Phase::Lingering { until, .. }, _) => Some(until),
            (Phase::Finished, _) => None,
        }
    }

    /// Why the connection ended or is about to; none while it is being served.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// How many bytes of memory the session holds in its buffers.
    pub fn bytes_held(&self) -> usize {
        self.inbox.size() + self.outbox.size()
    }

    /// Serves what is in the inbox, up to the first reason to stop, and moves on through the
    /// phases.
    fn advance(&mut self, now: Instant) {
        while self.phase == Phase::Serving
            && self.outbox.len() < OUTBOX_HIGH_WATER
            && !matches!(self.next, Next::SleepUntil(_))
        {
            let ended = self.input_ended;
            match self.framer.next(self.inbox.pending(), ended, self.limits.max_message) {
                Frame::Message { text, whole } => self.answer(text, whole, now),
                Frame::Incomplete => break,
                Frame::TooLong => self.refuse_message(),
                Frame::End if self.peer_ended => self.close(Ending::PeerClosed),
                Frame::End => self.close(Ending::Drained),
            }
        }
        if self.phase == Phase::Flushing && self.outbox.is_empty() && self.peer_ended {
            self.phase = Phase::Finished;
        }
    }

    /// Something other than a message happens to the service.
    fn notify(&mut self, event: Event<'_>, now: Instant) {
        let before = self.outbox.len();
        let next = self.service.step(event, now, &mut Output::new(&mut self.outbox));
        self.end_reply(before);
        self.obey(next);
    }

    /// Gives the service the message at the front of the inbox: `text` bytes of it, `whole` with
    /// its terminator.
    #[inline]
    fn answer(&mut self, text: usize, whole: usize, now: Instant) {
        let before = self.outbox.len();
        let text = &self.inbox.pending()[..text];
        let next = self.service.step(Event::Message(text), now, &mut Output::new(&mut self.outbox));
        if log::log_enabled!(log::Level::Debug) {
            let reply = &self.outbox.pending()[before..];
            let (text, reply) = (text.escape_ascii(), reply.escape_ascii());
            log::debug!("client {}: \"{text}\" -> \"{reply}\"", self.client);
        }
        self.end_reply(before);
        self.inbox.consume(whole);
        self.obey(next);
    }

    /// Ends what a step wrote, if it wrote anything, as the last message ended.
    #[inline]
    fn end_reply(&mut self, before: usize) {
        if self.outbox.len() > before {
            self.framer.end_reply(&mut self.outbox);
        }
    }

    fn refuse_message(&mut self) {
        let limit = self.limits.max_message;
        let text = format!("ValueError: message too long (limit {limit} bytes)");
        self.outbox.write(text.as_bytes());
        self.framer.end_reply(&mut self.outbox);
        self.close(Ending::TooLong);
    }

    fn obey(&mut self, next: Next) {
        match next {
            Next::Close => self.close(Ending::Served),
            next => self.next = next,
        }
    }

    /// No more service: what is in the outbox is still sent, what is in the inbox is not wanted.
    fn close(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
        self.inbox.clear();
        self.phase = Phase::Flushing;
    }

    /// No more anything.
    fn finish(&mut self, ending: Ending) {
        self.close(ending);
        self.outbox.clear();
        self.phase = Phase::Finished;
    }
}

/// A session with its buffers: what happens to a connection happens in a turn.
pub struct Turn<'s> {
    session: &'s mut Session,
    pool: &'s mut Pool,
}

impl Turn<'_> {
    /// The connection is there. Must come first, and once.
    pub fn open(&mut self, now: Instant) {
        self.session.notify(Event::Open, now);
        self.session.advance(now);
    }

    /// What the driver must do now.
    pub fn want(&mut self) -> Want<'_> {
        let session = &mut *self.session;
        match session.phase {
            Phase::Serving | Phase::Flushing if !session.outbox.is_empty() => {
                Want::Send(session.outbox.pending())
            }
            Phase::Serving if session.input_ended => Want::Wait,
            Phase::Serving if matches!(session.next, Next::SleepUntil(_)) => Want::Wait,
            Phase::Serving | Phase::Lingering { .. } => {
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
            Phase::Serving => {
                session.active_at = now;
                session.inbox.filled(n);
                session.advance(now);
            }
            Phase::Lingering { thrown_away, .. } => {
                *thrown_away += n;
                if *thrown_away > LINGER_BYTES {
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
        self.session.active_at = now;
        self.session.outbox.consume(n);
        self.session.advance(now);
    }

    /// See [`Session::deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        self.session.deadline()
    }

    /// The sending half of the connection is closed.
    pub fn shut_down(&mut self) {
        let until = self.session.active_at + LINGER;
        self.session.phase = Phase::Lingering { until, thrown_away: 0 };
    }

    /// It is `now`; anything that was due happens.
    pub fn tick(&mut self, now: Instant) {
        let session = &mut *self.session;
        if session.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match (session.phase, session.next) {
            (Phase::Lingering { .. }, _) => session.phase = Phase::Finished,
            (Phase::Serving, Next::ReadUntil(at) | Next::SleepUntil(at)) if at <= now => {
                session.next = Next::Read;
                session.notify(Event::Timeout, now);
                session.advance(now);
            }
            _ => session.finish(Ending::Idle),
        }
    }

    /// The socket failed, or the connection is cut: nothing can be sent or received any more.
    pub fn cut(&mut self, ending: Ending) {
        self.session.finish(ending);
    }
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        self.session.inbox.park(self.pool);
        self.session.outbox.park(self.pool);
    }
}
