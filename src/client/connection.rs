//! One connection to a server: connecting, sending and receiving, each within a time limit.
//!
//! The only clock of the client is read here. The end of a reply is decided in [`super::reply`].

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::failures::{self, connection_failed, is_disconnect, is_timeout};
use super::reply::{self, GAP, Reply, ReplyState};
use crate::duration::UNLIMITED;
use crate::error::Failure;
use crate::net::address::{self, Connected};
use crate::service::BUSY_TEXT;

/// The longest message, in bytes without its newline. With the newline it is no longer than the
/// longest reply, so that every echo can be received, and it fits into the kernel's buffers while
/// the server is busy writing its reply.
pub(super) const MAX_MESSAGE: usize = (1 << 20) - 1;

/// The shortest timeout of a socket, for which zero would mean none.
const MIN_WAIT: Duration = Duration::from_millis(1);

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
    reply: Reply,
    /// A text was received.
    got_text: bool,
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
            reply: Reply::new(now()),
            got_text: false,
            closed: false,
            message: Vec::new(),
            read_buffer: vec![0; READ_SIZE].into(),
        })
    }

    /// The greeting of a server that speaks first.
    ///
    /// It is received before the first message is sent, so that it is not taken for the reply.
    pub(super) fn greeting(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let state = self.receive_reply(now() + self.greeting_wait())?;
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

    /// Sends `message` with a newline, and returns the reply without its terminator.
    pub fn ask(&mut self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let deadline = self.send_message(message, b"\n")?;
        match self.next_text(deadline)? {
            Some(reply) => Ok(reply),
            None if self.closed => Err(self.closed_early()),
            None => Err(self.no_answer()),
        }
    }

    /// Sends `text` and `terminator`, and returns the deadline of the reply.
    pub(super) fn send_message(
        &mut self,
        text: &[u8],
        terminator: &[u8],
    ) -> Result<Instant, Failure> {
        if text.len() > MAX_MESSAGE {
            return Err(failures::message_too_long(MAX_MESSAGE));
        }
        self.message.clear();
        self.message.extend_from_slice(text);
        self.message.extend_from_slice(terminator);
        let deadline = self.deadline();
        self.send(deadline)?;
        Ok(deadline)
    }

    /// The next text from the server, without its terminator. `None` if nothing has arrived by
    /// `deadline`, or if the server has [closed](Self::is_closed) the connection.
    pub(super) fn next_text(&mut self, deadline: Instant) -> Result<Option<Vec<u8>>, Failure> {
        match self.receive_reply(deadline)? {
            ReplyState::Incomplete | ReplyState::Complete => self.take_text().map(Some),
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

    /// The failure of a server that sent nothing until the deadline of a reply.
    pub(super) fn no_answer(&self) -> Failure {
        failures::no_answer(self.timeout)
    }

    /// The time after which a greeting that the server sends immediately has arrived: one round
    /// trip (our acknowledgement there, its text back) and a gap.
    pub(super) fn greeting_wait(&self) -> Duration {
        (self.round_trip + GAP).min(self.timeout)
    }

    /// True if the end of input was received.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The failure of a server that closed the connection instead of replying.
    pub(super) fn closed_early(&self) -> Failure {
        failures::closed_early(self.got_text)
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
                Err(error) if is_timeout(&error) => return Err(failures::no_answer(self.timeout)),
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
            Ok(received) => Ok(Some(self.reply.received(&self.read_buffer[..received], now()))),
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

    /// The text that has arrived, unless it says that the server is full.
    fn take_text(&mut self) -> Result<Vec<u8>, Failure> {
        let text = self.reply.take();
        let first = !self.got_text;
        self.got_text = true;
        if first && text == BUSY_TEXT.trim_end().as_bytes() {
            Err(failures::server_busy(&text))
        } else {
            Ok(text)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the client's edge: its only clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}
