//! One connection's life, without its socket.
//!
//! A [`Session`] turns received bytes into a service's events, and the service's replies into bytes
//! to send. It does no I/O and reads no clock: a driver activates it, reports what happened
//! ([`ActiveSession::received`], [`ActiveSession::sent`], [`ActiveSession::tick`], ...) and asks
//! for its next action, [`ActiveSession::want`]. Every call runs the session as far as it can go
//! without its driver.
//!
//! | phase | input | output | ends with |
//! | --- | --- | --- | --- |
//! | new | none | none | the first activation: the service's opening |
//! | serving | messages go to the service | replies are sent | the service's last reply, end of input, a message over the limit |
//! | flushing | not read | the rest is sent | an empty outbox: our FIN is sent |
//! | lingering | received and discarded | none | the peer's FIN, a deadline, too much input |
//! | finished | | | |
//!
//! Lingering exists because closing a socket with unread input resets the connection, and a reset
//! destroys replies that are still on their way (RFC 1122, 4.2.2.13).
//!
//! Backpressure needs no code of its own. Output is sent before input is received. A peer that does
//! not read leaves the outbox full; then no steps are taken, nothing more is received, and TCP's
//! window closes on the peer.

use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::buffer::{Buffer, Pool};
use crate::explain::TARGET;
use crate::number;
use crate::service::{Framing, Service};

mod active;
mod close_reason;
mod context;
mod frame;
mod framing;
mod limits;
mod search;
mod serving;
mod telnet;
mod terminator;
mod timers;
mod traffic;

pub use active::{ActiveSession, Want};
pub use close_reason::CloseReason;
pub use context::{Context, Side};
use framing::Framer;
pub use framing::{FramingMode, GAP, LINE_GAP};
use limits::{LEAST_RATE, OUTBOX_HIGH_WATER};
pub use limits::{LINGER, LINGER_BYTES, Limits, MAX_MESSAGE_LIMIT, OUTBOX_LIMIT};
pub use traffic::Traffic;

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Serving(Awaited),
    Flushing,
    Lingering,
    Finished,
}

/// The event that the service waits for: [`Next`](crate::service::Next) without `Close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Message,
    MessageUntil,
    Timeout,
}

/// The state of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Open,
    /// The server stops: nothing more is received, though the peer has not closed.
    Stopped,
    /// The peer's FIN was received, so there is nothing to linger for.
    PeerClosed,
}

/// A message that was framed and not served, at the front of the inbox.
#[derive(Clone, Copy, Debug)]
struct Deferred {
    /// The length of its text, in bytes.
    text: NonZero<u16>,
    /// The length of its terminator.
    terminator: u8,
}

const _: () = assert!(MAX_MESSAGE_LIMIT <= u16::MAX as usize);

impl Deferred {
    /// The text at the front of `pending`, and what comes behind the message.
    fn split(self, pending: &[u8]) -> (&[u8], &[u8]) {
        let (text, behind) = pending.split_at(self.text.get().into());
        (text, &behind[self.terminator.into()..])
    }
}

/// One connection, from its first event to its last byte.
pub struct Session {
    service: Box<dyn Service>,
    context: Arc<Context>,
    /// The client's number in the log.
    client: u64,
    framer: Framer,
    /// True if the service takes the stream unframed.
    is_raw: bool,
    input: Input,
    /// Bytes received and not served. Between calls this is at most one partial message, or more
    /// while the service sleeps, the outbox is above its mark, the budget is used up, or the next
    /// message is heavy.
    inbox: Buffer,
    /// Bytes written by the service and not sent, at most [`OUTBOX_LIMIT`].
    outbox: Buffer,
    phase: Phase,
    /// The time of the event that the service waits for, if that is a timeout.
    timeout_at: Option<Instant>,
    /// Bytes of input discarded since the last message or, while lingering, since our FIN: at most
    /// [`LINGER_BYTES`].
    discarded: u32,
    /// The time of the last byte in either direction; discarded bytes do not count.
    active_at: Instant,
    /// The start of the session's wait for its peer. While the outbox has bytes: the time at which
    /// they began to be owed, moved forward by what was sent since. Otherwise the arrival of the
    /// first byte of the partial message in the inbox, if there is one.
    waiting_since: Option<Instant>,
    /// The rest of the budget, in products of 64-bit limbs. Below 0 the budget is used up, and
    /// other connections run first.
    work_left: i32,
    /// The message at the front of the inbox, if its service has deferred it.
    deferred: Option<Deferred>,
    /// The first reason to end the connection, once there is one.
    close_reason: Option<CloseReason>,
}

impl Session {
    /// The session of a connection that was opened at `now`. `client` is its number in the log.
    pub fn new(
        service: Box<dyn Service>,
        context: Arc<Context>,
        client: u64,
        now: Instant,
    ) -> Session {
        let framing = service.framing();
        Session {
            framer: Framer::new(framing, context.limits.framing_mode),
            is_raw: framing == Framing::Raw,
            service,
            context,
            client,
            input: Input::Open,
            inbox: Buffer::default(),
            outbox: Buffer::default(),
            phase: Phase::New,
            timeout_at: None,
            discarded: 0,
            active_at: now,
            waiting_since: None,
            work_left: i32::MAX,
            deferred: None,
            close_reason: None,
        }
    }

    /// Borrows buffers from `pool` for a slice of `budget` products of 64-bit limbs, which the last
    /// message may exceed. The first activation opens the connection. An activation after a slice
    /// that yielded continues with the messages in the inbox.
    #[inline]
    pub fn activate<'s>(
        &'s mut self,
        pool: &'s mut Pool,
        budget: u32,
        now: Instant,
    ) -> ActiveSession<'s> {
        ActiveSession::new(self, pool, budget, now)
    }

    /// The client's number in the log.
    pub fn client(&self) -> u64 {
        self.client
    }

    /// Finishes the session: nothing more is sent or received.
    pub fn cut(&mut self, reason: CloseReason) {
        self.close(reason);
        if self.owes() {
            let (client, unsent) = (self.client, number::bytes(self.outbox.len()));
            log::debug!(target: TARGET, "unsent to client {client}: {unsent} of replies");
        }
        self.outbox.clear();
        self.phase = Phase::Finished;
    }

    /// True if the next message is heavy.
    #[inline]
    fn has_deferred(&self) -> bool {
        self.deferred.is_some() // mutant: take-a-spent-budget-for-heavy
    }

    /// True if the next activation computes a heavy message. Replies that are owed are sent before.
    #[inline]
    pub fn is_heavy(&self) -> bool {
        self.has_deferred() && !self.owes()
    }

    /// The reason of the connection's end; none while it is served.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.close_reason
    }

    /// The size of the memory in the session's buffers, in bytes.
    pub fn bytes_held(&self) -> usize {
        self.inbox.size() + self.outbox.size()
    }

    /// Sets the budget of a slice, in products of 64-bit limbs.
    #[inline]
    fn begin_slice(&mut self, budget: u32) {
        self.work_left = i32::try_from(budget).unwrap_or(i32::MAX);
    }

    /// True if replies are not sent yet. No input is received until they are, so a silence before
    /// that is not the peer's.
    #[inline]
    fn owes(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// True if there is more to do when a reply has been sent: further input, or the end.
    #[inline]
    fn has_more(&self) -> bool {
        let serving = matches!(self.phase, Phase::Serving(_));
        !(serving && self.input == Input::Open && self.inbox.is_empty())
    }

    /// True if more messages may be served now. With many connections none are while replies are
    /// owed, which the peer may never read.
    #[inline]
    fn may_compute_ahead(&self, pool: &Pool) -> bool {
        !(pool.is_scarce() && self.owes())
    }

    /// Begins a debt at `now` if there is one, and there was none before. The wait for a partial
    /// message ends with it: its rest is not received before the debt is paid.
    #[inline]
    fn begin_debt(&mut self, was_owed: bool, now: Instant) {
        if !was_owed && self.owes() {
            self.waiting_since = Some(now);
        }
    }

    /// Takes `n` bytes off the debt. The peer has [`Limits::unread`] from the debt's start. Bytes
    /// sent move that start forward by their time at [`LEAST_RATE`], but never past `now`.
    #[inline]
    fn pay_debt(&mut self, n: usize, now: Instant) {
        self.outbox.consume(n); // mutant: send-a-tail-twice
        let Some(since) = self.waiting_since else { return };
        let moved = if self.owes() {
            now.min(since + Duration::from_secs(n as u64) / LEAST_RATE)
        } else {
            now
        };
        if self.phase == Phase::Serving(Awaited::Timeout) {
            // A pause begins with the last send, or the peer might receive what comes before and
            // after it together.
            self.timeout_at = self.timeout_at.map(|at| at + (moved - since));
        }
        self.waiting_since = Some(moved).filter(|_| self.owes());
    }

    /// True if a message would be served: the service waits for one, there is room for a reply, and
    /// the budget is not used up.
    #[inline]
    fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Serving(Awaited::Message | Awaited::MessageUntil))
            && self.has_room()
            && !self.over_budget()
    }

    /// True if there is room for the largest reply.
    #[inline]
    fn has_room(&self) -> bool {
        self.outbox.len() < OUTBOX_HIGH_WATER
    }

    /// True if the budget is used up.
    #[inline]
    fn over_budget(&self) -> bool {
        self.work_left < 0
    }

    /// True if messages in the inbox wait for the next slice: the budget is used up, or the next
    /// message is heavy.
    #[inline]
    fn yields(&self) -> bool {
        self.over_budget() || self.deferred.is_some()
    }

    /// Counts `n` bytes of discarded input. Returns false if they are too many.
    #[cold]
    fn discard(&mut self, n: usize) -> bool {
        self.discarded = self.discarded.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
        self.discarded <= LINGER_BYTES
    }

    /// Discards what was received and not served.
    fn discard_unserved(&mut self) {
        if !self.inbox.is_empty() {
            let (client, unserved) = (self.client, number::bytes(self.inbox.len()));
            log::debug!(target: TARGET, "no reply to the last {unserved} of client {client}");
            self.inbox.clear();
        }
    }

    /// Takes the record of a conversation that ends before its service has ended it.
    fn keep_unfinished(&mut self) {
        if let Phase::Serving(_) = self.phase {
            let record = self.service.take_record();
            if let (Some(game), Some(sink)) = (record, &self.context.records) {
                sink.record(game);
            }
        }
    }

    /// Ends the service. The outbox is still sent; the inbox is discarded.
    fn close(&mut self, reason: CloseReason) {
        self.keep_unfinished();
        if self.close_reason.is_none() {
            self.close_reason = Some(reason);
            log::debug!(target: TARGET, "client {} is to be closed: {reason}", self.client);
        }
        self.discard_unserved();
        self.deferred = None;
        self.phase = Phase::Flushing;
    }
}

impl Drop for Session {
    /// A session that is dropped in the middle, by a loop that fails or a thread that panics, has a
    /// record as well.
    fn drop(&mut self) {
        self.keep_unfinished();
    }
}
