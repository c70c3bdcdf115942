//! One connection to a server: connecting, sending and receiving, each within a time limit.
//!
//! The only clock of the client is read here. The end of a reply is decided in [`super::reply`].

use std::io::{self, Read, Write};
use std::mem;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::net::sockopt;

use super::failures::{self, Asked, connection_failed, is_timeout};
use super::reply::{self, GAP, Reply, ReplyState};
use crate::duration::UNLIMITED;
use crate::error::{Failure, is_disconnect};
use crate::escape;
use crate::net::address::{self, Connected};
use crate::service::is_rejection;

/// The longest message, in bytes without its newline. With the newline it is no longer than the
/// longest reply, so that every echo can be received, and it fits into the kernel's buffers while
/// the server is busy writing its reply.
pub(super) const MAX_MESSAGE: usize = (1 << 20) - 1;

/// The shortest timeout of a socket, for which zero would mean none.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// An empty message, where messages have no newlines: something must be sent.
const BLANK: &[u8] = b" ";

/// The most bytes received by one call.
const READ_SIZE: usize = 16 * 1024;

const _: () = assert!(MAX_MESSAGE < reply::MAX_REPLY_LEN);

/// A connection on which one message at a time is sent and answered.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// The time limit for each reply, from when its message is sent.
    timeout: Duration,
    /// The time that the handshake took, which is the least that a greeting needs.
    round_trip: Duration,
    /// The end of each message that [`Connection::ask`] sends: a newline, or nothing.
    terminator: &'static [u8],
    reply: Reply,
    /// A text was received.
    got_text: bool,
    /// A message was answered.
    answered: bool,
    /// The time of the last message, or else of the connection.
    sent_at: Instant,
    /// The server has closed the connection.
    closed: bool,
    /// The message being sent, with its terminator.
    message: Vec<u8>,
    read_buffer: Box<[u8]>,
}

impl Connection {
    /// Connects to the first address of `host` that accepts, within `timeout`. The resolver alone
    /// may take longer.
    pub fn open(host: &str, port: u16, timeout: Duration) -> Result<Self, Failure> {
        let timeout = timeout.min(UNLIMITED);
        let Connected { stream, round_trip, .. } = address::connect(host, port, timeout)?;
        // A message is followed by nothing that could be sent in the same segment.
        stream.set_nodelay(true).map_err(|error| connection_failed(&error))?;
        Ok(Self {
            stream,
            timeout,
            round_trip,
            terminator: b"\n",
            reply: Reply::new(now()),
            got_text: false,
            answered: false,
            sent_at: now(),
            closed: false,
            message: Vec::new(),
            read_buffer: vec![0; READ_SIZE].into(),
        })
    }

    /// The same connection to a server that cannot take the newline behind a message.
    #[must_use]
    pub fn without_newlines(mut self) -> Self {
        self.terminator = b"";
        self
    }

    /// The greeting of a server that speaks first.
    ///
    /// It is received before the first message is sent, so that it is not taken for the reply.
    pub(super) fn greeting(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let state = self.receive_reply(now() + self.greeting_wait())?;
        self.unsolicited_text(state)
    }

    /// The text that arrives within a gap behind the last reply, as from a server that pauses
    /// inside its replies: only behind the last message is a part sure to be left over.
    pub(super) fn last_words(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if self.closed {
            return Ok(None);
        }
        let state = self.receive_reply(now() + GAP.min(self.timeout))?;
        self.unsolicited_text(state)
    }

    /// The text that has arrived since the last reply, if any: the rest of a reply that arrived in
    /// parts, or a late greeting. Does not wait.
    pub(super) fn unsolicited(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        self.reply.expect(now());
        self.stream.set_nonblocking(true).map_err(|error| connection_failed(&error))?;
        let state = loop {
            match self.read_once()? {
                Some(ReplyState::Incomplete | ReplyState::Complete | ReplyState::Late) => {}
                Some(state) => break state,
                None => break ReplyState::Complete,
            }
            if self.closed {
                break ReplyState::Complete;
            }
        };
        self.stream.set_nonblocking(false).map_err(|error| connection_failed(&error))?;
        self.unsolicited_text(state)
    }

    /// Sends `message` with its terminator, and returns the reply without one. Where there is no
    /// newline, an empty message is a space: something must be sent.
    pub fn ask(&mut self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let deadline = self.send_message(message)?;
        match self.receive_reply(deadline)? {
            ReplyState::Incomplete | ReplyState::Complete => {}
            ReplyState::Late if self.reply.is_empty() => {
                return Err(failures::no_answer(self.timeout, self.asked()));
            }
            ReplyState::Late => return Err(failures::partial_answer(self.timeout)),
            ReplyState::TooLong => return Err(failures::reply_too_long()),
            ReplyState::Closed => return Err(failures::closed_early(self.asked())),
        }
        let reply = self.take_text()?;
        self.answered = true;
        Ok(reply)
    }

    /// Sends a message with its terminator, and returns the deadline of the reply.
    pub(super) fn send_message(&mut self, text: &[u8]) -> Result<Instant, Failure> {
        if text.len() > MAX_MESSAGE {
            return Err(failures::message_too_long(MAX_MESSAGE));
        }
        let text = if text.is_empty() && self.terminator.is_empty() { BLANK } else { text };
        self.message.clear();
        self.message.extend_from_slice(text);
        self.message.extend_from_slice(self.terminator);
        log::debug!("sent \"{}\"", escape::for_log(text));
        self.sent_at = now();
        let deadline = self.deadline();
        self.send(deadline)?;
        Ok(deadline)
    }

    /// The next bytes from the server, for a parser of its own. `None` if nothing has arrived by
    /// `deadline`, or if the server has [closed](Self::is_closed) the connection.
    pub(super) fn next_bytes(&mut self, deadline: Instant) -> Result<Option<Vec<u8>>, Failure> {
        match self.receive_reply(deadline)? {
            ReplyState::Incomplete | ReplyState::Complete => {
                let bytes = self.reply.take_raw();
                self.take_note(bytes.trim_ascii_end())?;
                Ok(Some(bytes))
            }
            ReplyState::Late if self.reply.is_empty() => Ok(None),
            ReplyState::Late => Err(failures::partial_answer(self.timeout)),
            ReplyState::TooLong => Err(failures::reply_too_long()),
            ReplyState::Closed => Ok(None),
        }
    }

    /// The deadline of a reply that is expected from now on.
    pub(super) fn deadline(&self) -> Instant {
        now() + self.timeout
    }

    /// True if the server has answered a message.
    pub(super) fn has_answered(&self) -> bool {
        self.answered
    }

    /// True if each message ends with a newline.
    pub(super) fn sends_newlines(&self) -> bool {
        !self.terminator.is_empty()
    }

    /// The facts about a server that does not reply.
    pub(super) fn asked(&self) -> Asked {
        Asked {
            got_text: self.got_text,
            answered: self.answered,
            newline: Some(self.sends_newlines()),
        }
    }

    /// The time after which a greeting that the server sends immediately has arrived: one round
    /// trip (our acknowledgement there, its text back) and a gap.
    pub(super) fn greeting_wait(&self) -> Duration {
        (self.round_trip + GAP).min(self.timeout)
    }

    /// True if the server has closed the connection, as far as was received.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The time limit for each reply.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends the message, normally in one write.
    fn send(&mut self, deadline: Instant) -> Result<(), Failure> {
        let mut unsent = self.message.as_slice();
        while !unsent.is_empty() {
            let wait = deadline.saturating_duration_since(now()).max(MIN_WAIT);
            self.stream.set_write_timeout(Some(wait)).map_err(|error| connection_failed(&error))?;
            match self.stream.write(unsent) {
                Ok(sent) => unsent = &unsent[sent..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => {
                    return Err(failures::no_answer(self.timeout, self.asked()));
                }
                // What the server sent before it closed can still be received, and explains more.
                Err(error) if is_disconnect(&error) => return Ok(()),
                Err(error) => return Err(connection_failed(&error)),
            }
        }
        Ok(())
    }

    /// Receives until the state of the reply is final, at the latest soon after `deadline`.
    fn receive_reply(&mut self, deadline: Instant) -> Result<ReplyState, Failure> {
        self.reply.expect(deadline);
        loop {
            // At least one read, even past the deadline: after a pause of this process the reply
            // may have arrived long ago.
            let wait = self.reply.due().saturating_duration_since(now()).max(MIN_WAIT);
            self.stream.set_read_timeout(Some(wait)).map_err(|error| connection_failed(&error))?;
            let state = self.read_once()?.unwrap_or_else(|| self.reply.silence(now()));
            if state != ReplyState::Incomplete {
                return Ok(state);
            }
        }
    }

    /// Reads once. `None` if nothing arrived within the stream's timeout.
    fn read_once(&mut self) -> Result<Option<ReplyState>, Failure> {
        match self.stream.read(&mut self.read_buffer) {
            Ok(0) => {
                self.closed = true;
                Ok(Some(self.reply.ended()))
            }
            Ok(received) => {
                let state = self.reply.received(&self.read_buffer[..received], now());
                if state == ReplyState::Incomplete {
                    self.acknowledge();
                }
                Ok(Some(state))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Ok(Some(ReplyState::Incomplete))
            }
            Err(error) if is_timeout(&error) => Ok(None),
            // A server that closes with input unread resets the connection after its last reply
            // (RFC 9293, 3.6.1).
            Err(error) if is_disconnect(&error) => {
                self.closed = true;
                Ok(Some(self.reply.ended()))
            }
            Err(error) => Err(connection_failed(&error)),
        }
    }

    /// The unsolicited text, unless it is empty but for a terminator.
    fn unsolicited_text(&mut self, state: ReplyState) -> Result<Option<Vec<u8>>, Failure> {
        if state == ReplyState::TooLong {
            return Err(failures::reply_too_long());
        }
        if self.reply.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.take_text()?).filter(|text| !text.is_empty()))
    }

    /// Acknowledges what has been received. The server's kernel may hold back the rest of the reply
    /// until then (Nagle's algorithm), and ours would wait 40 ms, which is longer than the gap that
    /// ends a reply. The option does not stay set (tcp(7)).
    fn acknowledge(&self) {
        // Without it the reply comes in two parts, as if the server had paused.
        sockopt::set_tcp_quickack(&self.stream, true).ok();
    }

    /// The text that has arrived, unless it says that the server is busy.
    fn take_text(&mut self) -> Result<Vec<u8>, Failure> {
        let text = self.reply.take();
        self.take_note(&text)?;
        Ok(text)
    }

    /// Logs a text that was received. Fails if it says that the server is busy.
    fn take_note(&mut self, text: &[u8]) -> Result<(), Failure> {
        let millis = (now() - self.sent_at).as_secs_f64() * 1e3;
        log::debug!("received \"{}\" after {millis:.3} ms", escape::for_log(text));
        let is_first = !mem::replace(&mut self.got_text, true);
        if is_first && is_rejection(text) {
            return Err(failures::server_busy(text));
        }
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[expect(clippy::disallowed_methods, reason = "the client's edge: its only clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}
