//! The path of messages from the inbox to the service, and of replies to the outbox.

use std::mem;
use std::num::NonZero;
use std::ops::Range;
use std::time::Instant;

use super::frame::{Frame, InputState};
use super::{Awaited, CloseReason, Deferred, Input, Phase, Session, Side};
use crate::buffer::Buffer;
use crate::escape;
use crate::explain::{self, SHOWN, TARGET};
use crate::number;
use crate::service::{BYTES_PER_WORK, Event, LIGHT_WORK, MAX_REPLY, MIN_WORK, Next, Output};

/// The reply to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// In the outbox.
    Written,
    /// The message itself.
    Echo,
    /// None yet.
    Deferred,
}

impl Session {
    /// Serves light messages of the inbox until something must be waited for, and advances the
    /// phase.
    pub(super) fn advance(&mut self, now: Instant) {
        self.advance_by(LIGHT_WORK, now);
    }

    /// The same for messages that take at most `most_work` each.
    pub(super) fn advance_by(&mut self, most_work: u32, now: Instant) {
        let owed_since = self.waiting_since.filter(|_| self.owes());
        if self.is_raw {
            self.advance_raw(now);
        } else if self.deferred.is_none() || (most_work > LIGHT_WORK && self.is_serving()) {
            // A deferred message waits for the next activation, and for room for its reply.
            self.advance_messages(most_work, now);
        }
        if owed_since.is_some() {
            self.waiting_since = owed_since;
        }
        self.begin_debt(owed_since.is_some(), now);
        if !matches!(self.phase, Phase::Serving(_)) {
            self.discard_unserved();
        }
        let peer_closed = self.input == Input::PeerClosed;
        if self.phase == Phase::Flushing && !self.owes() && peer_closed {
            self.phase = Phase::Finished;
        }
    }

    /// Gives the service the stream, in pieces of at most [`MAX_REPLY`] bytes.
    fn advance_raw(&mut self, now: Instant) {
        while self.is_serving() {
            if self.inbox.is_empty() {
                self.close_at_end_of_input();
                break;
            }
            let mut inbox = mem::take(&mut self.inbox);
            let length = inbox.len().min(MAX_REPLY);
            if self.answer(&inbox.pending()[..length], LIGHT_WORK, now) == Answer::Echo {
                self.outbox.append(&mut inbox, length);
            } else {
                inbox.consume(length);
            }
            self.inbox = inbox;
            self.context.traffic.add_messages(1);
        }
    }

    /// Gives the service the messages in the inbox.
    ///
    /// The inbox is taken out of the session meanwhile, so that `pending` can borrow from it.
    fn advance_messages(&mut self, most_work: u32, now: Instant) {
        let mut inbox = mem::take(&mut self.inbox);
        let mut pending = inbox.pending();
        let mut first = self.deferred.take().map(|deferred| deferred.split(pending));
        let mut messages = 0;
        let mut waiting_since = self.waiting_since.take();
        let (limit, ended) = (self.context.limits.max_message, self.input != Input::Open);
        let input = InputState { ended, limit, active_at: self.active_at, now };
        while self.is_serving() {
            let line =
                if first.is_some() { first.take() } else { self.framer.line(pending, limit) };
            let (text, rest) = match line {
                Some(line) => line,
                None => match self.framer.next(pending, &input) {
                    Frame::Message { text, rest } => (text, rest),
                    frame @ (Frame::Skip { rest } | Frame::Refuse { rest, .. }) => {
                        if let Frame::Refuse { refusal, .. } = frame {
                            self.outbox.write(&refusal);
                        }
                        self.skip(pending.len() - rest.len());
                        pending = rest;
                        continue;
                    }
                    Frame::Padded { keep } => {
                        self.waiting_since = waiting_since.or(Some(now));
                        self.skip(pending.len() - keep);
                        let taken = inbox.len() - pending.len();
                        inbox.truncate(taken + keep);
                        pending = &inbox.pending()[taken..];
                        break;
                    }
                    Frame::Incomplete => {
                        if !pending.is_empty() {
                            self.waiting_since = waiting_since.or(Some(now));
                        }
                        break;
                    }
                    Frame::TooLong => {
                        self.refuse_message();
                        break;
                    }
                    Frame::End => {
                        self.close_at_end_of_input();
                        break;
                    }
                },
            };
            // mutant: never-defer
            if self.answer(text, most_work, now) == Answer::Deferred {
                let (text, rest_at) = (range_in(inbox.pending(), text), inbox.len() - rest.len());
                self.defer(&mut inbox, text, rest_at);
                pending = inbox.pending();
                break;
            }
            pending = rest;
            waiting_since = None;
            self.discarded = 0;
            messages += 1;
        }
        inbox.consume(inbox.len() - pending.len()); // mutant: serve-twice
        self.inbox = inbox;
        if messages > 0 {
            self.context.traffic.add_messages(messages);
        }
    }

    /// Keeps a message for the next activation, at the front of the inbox. Its text is at `text`,
    /// and what comes behind it begins at `rest_at`.
    #[cold]
    fn defer(&mut self, inbox: &mut Buffer, text: Range<usize>, rest_at: usize) {
        let terminator = if rest_at == inbox.len() {
            // It may have been padding of any length.
            inbox.truncate(text.end);
            0
        } else {
            rest_at - text.end
        };
        let length = u16::try_from(text.len()).ok().and_then(NonZero::new);
        self.deferred = Some(Deferred {
            text: length.expect("a heavy message has a text, within the limit"),
            terminator: u8::try_from(terminator).expect("a terminator is short"),
        });
        inbox.consume(text.start);
    }

    /// Skips `n` bytes that belong to no message. After too many the next message is too long.
    #[cold]
    fn skip(&mut self, n: usize) {
        self.charge(0, 0);
        if !self.discard(n) {
            self.refuse_message();
        }
    }

    /// Closes the connection if nothing more will be received.
    fn close_at_end_of_input(&mut self) {
        match self.input {
            Input::Open => {}
            Input::Stopped => self.close(CloseReason::Drained),
            Input::PeerClosed => self.close(CloseReason::PeerClosed),
        }
    }

    /// Charges the work of a step that took `bytes` bytes of input.
    #[inline]
    fn charge(&mut self, work: u32, bytes: usize) {
        let moved = u32::try_from(bytes / BYTES_PER_WORK).unwrap_or(u32::MAX);
        self.work_left = self.work_left.saturating_sub_unsigned(work.max(moved).max(MIN_WORK));
    }

    /// Gives the service an event other than a message.
    pub(super) fn notify(&mut self, event: Event<'_>, now: Instant) {
        let was_owed = self.owes();
        self.framer.begin_reply(&mut self.outbox);
        let text_at = self.outbox.len();
        let records = self.context.records.as_deref();
        let out = Output::new(&mut self.outbox, self.framer.delimiter());
        let mut out = out.with_records(records);
        let next = self.service.step(event, now, &mut out);
        let (work, is_empty) = (out.work(), out.is_empty());
        if !is_empty && is_logged() {
            let reply = &self.outbox.pending()[text_at..];
            let (side, client) = (self.context.side, self.client);
            log::debug!("{side} {client}: -> \"{}\"", escape::for_log(reply));
            let shown = escape::quoted(reply, SHOWN);
            log::debug!(target: TARGET, "unasked, the service tells client {client}: {shown}");
        }
        self.charge(work, 0);
        self.end_reply(text_at);
        self.begin_debt(was_owed, now);
        self.apply(next);
    }

    /// Gives the service a message.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call for each message: a tenth of its time")]
    fn answer(&mut self, text: &[u8], most_work: u32, now: Instant) -> Answer {
        self.framer.begin_reply(&mut self.outbox);
        let text_at = self.outbox.len();
        let records = self.context.records.as_deref();
        let out = Output::new(&mut self.outbox, self.framer.delimiter());
        let mut out = out.with_records(records).with_most_work(most_work);
        let next = self.service.step(Event::Message(text), now, &mut out);
        let (echoes, work) = (out.echoes_input(), out.work());
        self.charge(work, text.len());
        if is_logged() && next != Next::Defer {
            self.log_exchange(text, if echoes { None } else { Some(text_at) });
        }
        self.end_reply(text_at);
        match next {
            // By far the most frequent.
            Next::Read => self.phase = Phase::Serving(Awaited::Message),
            Next::Defer => {
                assert!(most_work < u32::MAX, "deferred a step that may do any work");
                return Answer::Deferred;
            }
            _ => self.apply(next),
        }
        if echoes { Answer::Echo } else { Answer::Written }
    }

    /// `reply_at`: the position of the reply in the outbox; none if the reply is the message
    /// itself.
    #[cold]
    fn log_exchange(&self, text: &[u8], reply_at: Option<usize>) {
        let reply = reply_at.map_or(text, |at| &self.outbox.pending()[at..]);
        if self.context.side == Side::Server && explain::is_enabled() {
            let shown = escape::quoted(text, SHOWN);
            let answer = match reply_at {
                None => "the same".to_owned(),
                Some(_) if reply.is_empty() => "empty".to_owned(),
                Some(_) => escape::quoted(reply, SHOWN),
            };
            let (client, end) = (self.client, self.end_of_message());
            log::debug!(
                target: TARGET,
                "message of client {client}: {shown}, ended by {end}; its reply is {answer}",
            );
        }
        let (text, reply) = (escape::for_log(text), escape::for_log(reply));
        match self.context.side {
            Side::Server => log::debug!("client {}: \"{text}\" -> \"{reply}\"", self.client),
            // The message is the answer to what was sent before, not to what is sent now.
            Side::Client => {
                log::debug!("connection {}: <- \"{text}\"", self.client);
                if reply_at.is_some_and(|at| at < self.outbox.len()) {
                    log::debug!("connection {}: -> \"{reply}\"", self.client);
                }
            }
        }
    }

    /// The words for what has ended the last message.
    fn end_of_message(&self) -> &'static str {
        match (self.framer.end(), self.input) {
            _ if self.is_raw => "nothing: the service takes bytes as they come",
            (Some(terminator), _) => terminator,
            (None, Input::Open) => "silence",
            (None, Input::PeerClosed) => "the end of input",
            (None, Input::Stopped) => "the stop of the server",
        }
    }

    /// Ends the reply of a step, if it wrote one, with the terminator of the last message.
    #[inline]
    fn end_reply(&mut self, text_at: usize) {
        debug_assert!(self.outbox.len() - text_at <= MAX_REPLY, "a reply over the limit");
        self.framer.end_reply(&mut self.outbox, text_at);
    }

    /// Replies to a message over the limit, and closes the connection.
    fn refuse_message(&mut self) {
        let limit = self.context.limits.max_message;
        let client = self.client;
        let most = number::bytes(limit);
        log::debug!(target: TARGET, "message of client {client}: over {most}, refused");
        let text = format!("ValueError: message too long (limit {limit} bytes)");
        self.framer.begin_reply(&mut self.outbox);
        let text_at = self.outbox.len();
        self.outbox.write(text.as_bytes());
        self.end_reply(text_at);
        self.close(CloseReason::TooLong);
    }

    /// Moves to the phase that a step's result asks for.
    fn apply(&mut self, next: Next) {
        let awaited = match next {
            Next::Read => Awaited::Message,
            Next::ReadUntil(at) => {
                self.timeout_at = Some(at);
                Awaited::MessageUntil
            }
            Next::SleepUntil(at) => {
                self.timeout_at = Some(at);
                Awaited::Timeout
            }
            Next::Close => return self.close(CloseReason::Served),
            Next::Defer => unreachable!("only a message is deferred"),
        };
        self.phase = Phase::Serving(awaited);
    }
}

/// True if messages are logged, or explained.
#[inline]
fn is_logged() -> bool {
    // One look for every message: explaining needs that level as well.
    log::max_level() >= log::Level::Debug
        && (log::log_enabled!(log::Level::Debug) || explain::is_enabled())
}

/// The position of `part` in `whole`, of which it is a part.
#[cold]
fn range_in(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}
