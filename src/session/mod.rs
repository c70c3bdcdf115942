//! One connection's life, without its socket.
//!
//! A [`Session`] turns received bytes into a service's events and the service's replies into bytes
//! to send. It does no I/O and reads no clock: a driver tells it what happened ([`ActiveSession::received`],
//! [`ActiveSession::sent`], [`ActiveSession::tick`], ...) and asks one question, [`ActiveSession::want`]. Every call runs the
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

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use crate::buffer::{Buffer, Pool};
use crate::service::{
    BYTES_PER_WORK, Event, MAX_REPLY, MIN_WORK, Next, Output, Service, WORK_PER_SLICE,
};

mod active;
mod close_reason;
mod deadlines;
mod framing;
mod limits;
mod search;
mod telnet;
mod terminator;
mod traffic;

pub use active::{ActiveSession, Want};
pub use close_reason::CloseReason;
use framing::{Frame, Framer, InputState};
pub use framing::{FramingMode, GAP, LINE_GAP};
use limits::OUTBOX_HIGH_WATER;
pub use limits::{LINGER, LINGER_BYTES, Limits, MAX_MESSAGE_LIMIT, OUTBOX_LIMIT};
pub use traffic::Traffic;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The service waits for this, which is not the end.
    Serving(Next),
    Flushing,
    /// `discarded`: bytes of input since our FIN, at most [`LINGER_BYTES`].
    Lingering {
        discarded: usize,
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
    /// while the service sleeps, the outbox is above its mark or others have their turn.
    inbox: Buffer,
    /// Written by the service and not yet sent, at most [`OUTBOX_LIMIT`].
    outbox: Buffer,
    phase: Phase,
    /// When the last byte moved, in either direction; thrown away ones do not count.
    active_at: Instant,
    /// Since when a part of a message stands in the inbox, if one does.
    partial_since: Option<Instant>,
    /// The work that the messages were since other connections had their turn.
    work_used: u32,
    /// Nothing will be received any more.
    input_ended: bool,
    /// The peer's FIN was seen, so there is nothing to linger for.
    peer_ended: bool,
    /// Why the connection ends, once it does. The first reason stays.
    close_reason: Option<CloseReason>,
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
            framer: Framer::new(service.framing(), limits.framing_mode),
            service,
            limits,
            client,
            inbox: Buffer::default(),
            outbox: Buffer::default(),
            phase: Phase::Serving(Next::Read),
            active_at: now,
            partial_since: None,
            work_used: 0,
            input_ended: false,
            peer_ended: false,
            close_reason: None,
        }
    }

    /// The client's number in the log.
    pub fn client(&self) -> u64 {
        self.client
    }

    /// Begins a turn: until its end the session has its buffers out of `pool`.
    #[inline]
    pub fn activate<'s>(&'s mut self, pool: &'s mut Pool) -> ActiveSession<'s> {
        ActiveSession::new(self, pool)
    }

    /// Why the connection ended or is about to; none while it is being served.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.close_reason
    }

    /// How many bytes of memory the session holds in its buffers.
    pub fn bytes_held(&self) -> usize {
        self.inbox.size() + self.outbox.size()
    }

    /// Serves what is in the inbox, up to the first reason to stop, and moves on through the
    /// phases.
    ///
    /// The inbox is out of the session while it is served, so that one cursor goes through it.
    fn advance(&mut self, now: Instant) {
        let mut inbox = mem::take(&mut self.inbox);
        let mut pending = inbox.pending();
        let mut messages = 0;
        let mut partial_since = self.partial_since.take();
        let (ended, limit) = (self.input_ended, self.limits.max_message);
        let input = InputState { ended, limit, active_at: self.active_at, now };
        while self.is_serving() {
            let (text, rest) = match self.framer.line(pending, limit) {
                Some(line) => line,
                None => match self.framer.next(pending, &input) {
                    Frame::Message { text, rest } => (text, rest),
                    Frame::Skip { rest } => {
                        pending = rest;
                        self.count(0, 0);
                        continue;
                    }
                    Frame::Padded { keep } => {
                        let taken = inbox.len() - pending.len();
                        inbox.truncate(taken + keep);
                        pending = &inbox.pending()[taken..];
                        self.partial_since = partial_since.or(Some(now));
                        break;
                    }
                    Frame::Incomplete => {
                        if !pending.is_empty() {
                            self.partial_since = partial_since.or(Some(now));
                        }
                        break;
                    }
                    Frame::TooLong => {
                        self.refuse_message();
                        break;
                    }
                    Frame::End => {
                        let gone = self.peer_ended;
                        self.close(if gone {
                            CloseReason::PeerClosed
                        } else {
                            CloseReason::Drained
                        });
                        break;
                    }
                },
            };
            if self.answer(text, now) {
                let (taken, length) = (inbox.len() - pending.len(), text.len());
                debug_assert_eq!(length + rest.len(), pending.len(), "only raw input is mirrored");
                inbox.consume(taken);
                self.outbox.append(&mut inbox, length);
                pending = inbox.pending();
            } else {
                pending = rest;
            }
            partial_since = None;
            messages += 1;
        }
        inbox.consume(inbox.len() - pending.len());
        self.inbox = inbox;
        if messages > 0 {
            self.limits.traffic.add_messages(messages);
        }
        if !matches!(self.phase, Phase::Serving(_)) {
            self.inbox.clear();
        }
        if self.phase == Phase::Flushing && self.outbox.is_empty() && self.peer_ended {
            self.phase = Phase::Finished;
        }
    }

    /// Whether what the peer sends would be received: before all replies are sent, nothing is, and
    /// no silence is the peer's.
    #[inline]
    fn is_receiving(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Any silence so far may have been ours.
    #[inline]
    fn restart_silence(&mut self) {
        self.framer.interrupt_gap();
        self.partial_since = None;
    }

    /// Whether a message would be served now: the service is awake, there is room for a reply, and
    /// it is this connection's turn.
    #[inline]
    fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Serving(Next::Read | Next::ReadUntil(_)))
            && self.has_room()
            && !self.over_budget()
    }

    /// Whether there is room for what a step may write.
    #[inline]
    fn has_room(&self) -> bool {
        self.outbox.len() < OUTBOX_HIGH_WATER
    }

    /// Whether its messages were so much work that other connections have their turn first.
    #[inline]
    fn over_budget(&self) -> bool {
        self.work_used > WORK_PER_SLICE
    }

    /// Counts the work that so many bytes of input were.
    #[inline]
    fn count(&mut self, work: u32, bytes: usize) {
        let moved = u32::try_from(bytes / BYTES_PER_WORK).unwrap_or(u32::MAX);
        self.work_used = self.work_used.saturating_add(work.max(moved).max(MIN_WORK));
    }

    /// Something other than a message happens to the service.
    fn notify(&mut self, event: Event<'_>, now: Instant) {
        self.framer.begin_reply(&mut self.outbox);
        let text_at = self.outbox.len();
        let mut out = Output::new(&mut self.outbox, self.framer.delimiter());
        let next = self.service.step(event, now, &mut out);
        let work = out.work();
        if !out.is_empty() {
            let said = self.outbox.pending()[text_at..].escape_ascii();
            log::debug!("client {}: -> \"{said}\"", self.client);
        }
        self.count(work, 0);
        self.end_reply(text_at);
        self.apply(next);
    }

    /// Gives the service a message. Returns whether that is to be the reply.
    #[inline]
    fn answer(&mut self, text: &[u8], now: Instant) -> bool {
        self.framer.begin_reply(&mut self.outbox);
        let text_at = self.outbox.len();
        let mut out = Output::new(&mut self.outbox, self.framer.delimiter());
        let next = self.service.step(Event::Message(text), now, &mut out);
        let echoes_input = out.echoes_input();
        let work = out.work();
        self.count(work, text.len());
        if log::log_enabled!(log::Level::Debug) {
            self.log_exchange(text, if echoes_input { None } else { Some(text_at) });
        }
        self.end_reply(text_at);
        self.apply(next);
        echoes_input
    }

    /// `reply_at`: where in the outbox the reply is; without it, it is the message itself.
    #[cold]
    fn log_exchange(&self, text: &[u8], reply_at: Option<usize>) {
        let reply = reply_at.map_or(text, |at| &self.outbox.pending()[at..]);
        let (text, reply) = (text.escape_ascii(), reply.escape_ascii());
        log::debug!("client {}: \"{text}\" -> \"{reply}\"", self.client);
    }

    /// Ends what a step wrote, if it wrote anything, as the last message ended.
    #[inline]
    fn end_reply(&mut self, text_at: usize) {
        debug_assert!(self.outbox.len() - text_at <= MAX_REPLY, "a reply over the limit");
        self.framer.end_reply(&mut self.outbox, text_at);
    }

    fn refuse_message(&mut self) {
        let limit = self.limits.max_message;
        let text = format!("ValueError: message too long (limit {limit} bytes)");
        self.framer.begin_reply(&mut self.outbox);
        let text_at = self.outbox.len();
        self.outbox.write(text.as_bytes());
        self.end_reply(text_at);
        self.close(CloseReason::TooLong);
    }

    #[inline]
    fn apply(&mut self, next: Next) {
        match next {
            // By far the most frequent, and less to write than a time.
            Next::Read => self.phase = Phase::Serving(Next::Read),
            Next::Close => self.close(CloseReason::Served),
            next => self.phase = Phase::Serving(next),
        }
    }

    /// No more service: what is in the outbox is still sent, what is in the inbox is not wanted.
    fn close(&mut self, close_reason: CloseReason) {
        self.close_reason.get_or_insert(close_reason);
        self.inbox.clear();
        self.phase = Phase::Flushing;
    }

    /// No more anything.
    fn finish(&mut self, close_reason: CloseReason) {
        self.close(close_reason);
        self.outbox.clear();
        self.phase = Phase::Finished;
    }
}
