//! One connection to a server: connect, ask, hear the reply, each within the time allowed.
//!
//! The only clock of the client is read here; what the bytes mean is decided in [`super::reply`].

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::failures::{self, connection_failed, is_disconnect, is_timeout};
use super::reply::{self, GAP, Reply, ReplyState};
use crate::duration::UNLIMITED;
use crate::error::Failure;
use crate::net::address::{self, Connected};
use crate::service::BUSY_TEXT;

/// The longest question, in bytes without its newline: with it no longer than the longest reply,
/// so that an echo of any question can be read; and few enough bytes for the kernel's buffers to
/// take while the server is busy writing its reply.
pub(super) const MAX_QUESTION: usize = (1 << 20) - 1;

/// The shortest wait asked of the kernel, which takes zero to mean for ever.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// Limiter for what one call receives.
const READ_SIZE: usize = 16 * 1024;

const _: () = assert!(MAX_QUESTION < reply::MAX_REPLY_LEN);

/// A connection to a server that is asked one question at a time.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// For each reply, from the moment the question is sent.
    timeout: Duration,
    /// How long the handshake took, one round trip: the least time a greeting needs.
    round_trip: Duration,
    reply: Reply,
    /// The server has said something.
    got_text: bool,
    /// The server will say no more.
    closed: bool,
    /// The question on its way, with its newline.
    question: Vec<u8>,
    read_buffer: Box<[u8]>,
}

impl Connection {
    /// Connects to the first address of `host` that answers, all of them within `timeout`.
    ///
    /// Only asking the resolver for the addresses is not limited by it: the system allows no limit.
    pub fn open(host: &str, port: u16, timeout: Duration) -> Result<Self, Failure> {
        let timeout = timeout.min(UNLIMITED);
        let Connected { stream, round_trip, .. } = address::connect(host, port, timeout)?;
        // A question is one small segment, and nothing follows it that it could wait for.
        stream.set_nodelay(true).map_err(|error| connection_failed(&error))?;
        Ok(Self {
            stream,
            timeout,
            round_trip,
            reply: Reply::new(now()),
            got_text: false,
            closed: false,
            question: Vec::new(),
            read_buffer: vec![0; READ_SIZE].into(),
        })
    }

    /// What the server says before it is asked, if it is one of those that speak first.
    ///
    /// Called before the first question, so that a greeting is not taken for its answer.
    pub(super) fn greeting(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let state = self.receive_reply(now() + self.greeting_wait())?;
        self.unsolicited_text(state)
    }

    /// What has come since the last reply, if anything: the rest of a reply whose first lines came
    /// apart, or a greeting that took its time. Does not wait.
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

    /// Sends `question`, newline added, and returns the reply without its terminator.
    pub fn ask(&mut self, question: &[u8]) -> Result<Vec<u8>, Failure> {
        let deadline = self.send_message(question, b"\n")?;
        match self.next_text(deadline)? {
            Some(reply) => Ok(reply),
            None if self.closed => Err(self.closed_early()),
            None => Err(self.no_answer()),
        }
    }

    /// Sends `text` and `terminator`, and returns the time by which it should be answered.
    pub(super) fn send_message(
        &mut self,
        text: &[u8],
        terminator: &[u8],
    ) -> Result<Instant, Failure> {
        if text.len() > MAX_QUESTION {
            return Err(failures::message_too_long());
        }
        self.question.clear();
        self.question.extend_from_slice(text);
        self.question.extend_from_slice(terminator);
        let deadline = self.deadline();
        self.send(deadline)?;
        Ok(deadline)
    }

    /// The next thing the server says, without its terminator; `None` when it has said nothing
    /// until `deadline` or, as [`Self::is_closed`] tells, will say no more.
    pub(super) fn next_text(&mut self, deadline: Instant) -> Result<Option<Vec<u8>>, Failure> {
        match self.receive_reply(deadline)? {
            ReplyState::Incomplete | ReplyState::Complete => self.take_text().map(Some),
            ReplyState::Late if self.reply.is_empty() => Ok(None),
            ReplyState::Late => Err(failures::partial_answer(self.timeout)),
            ReplyState::TooLong => Err(failures::reply_too_long()),
            ReplyState::Closed => Ok(None),
        }
    }

    /// By when a reply expected from now on must have come.
    pub(super) fn deadline(&self) -> Instant {
        now() + self.timeout
    }

    /// The server was silent until a reply's deadline.
    pub(super) fn no_answer(&self) -> Failure {
        failures::no_answer(self.timeout)
    }

    /// How long a server that has something to say at once needs to be heard: one round trip (our
    /// acknowledgement there, its words back) and a gap.
    pub(super) fn greeting_wait(&self) -> Duration {
        (self.round_trip + GAP).min(self.timeout)
    }

    /// Whether the server is known to have closed the connection.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The server closed the connection instead of answering.
    pub(super) fn closed_early(&self) -> Failure {
        failures::closed_early(self.got_text)
    }

    /// Sends the question in one write, if the kernel takes it.
    fn send(&mut self, deadline: Instant) -> Result<(), Failure> {
        let mut unsent = self.question.as_slice();
        while !unsent.is_empty() {
            let wait = deadline.saturating_duration_since(now()).max(MIN_WAIT);
            self.stream.set_write_timeout(Some(wait)).map_err(|error| connection_failed(&error))?;
            match self.stream.write(unsent) {
                Ok(sent) => unsent = &unsent[sent..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(failures::no_answer(self.timeout)),
                // What the server said before it left can still be read, and says more.
                Err(error) if is_disconnect(&error) => return Ok(()),
                Err(error) => return Err(connection_failed(&error)),
            }
        }
        Ok(())
    }

    /// Receives until the reply is decided, which it is soon after `deadline`.
    fn receive_reply(&mut self, deadline: Instant) -> Result<ReplyState, Failure> {
        self.reply.expect(deadline);
        loop {
            // At least one look, even past the deadline: a process that was stopped for a while
            // finds its reply waiting.
            let wait = self.reply.due().saturating_duration_since(now()).max(MIN_WAIT);
            self.stream.set_read_timeout(Some(wait)).map_err(|error| connection_failed(&error))?;
            let state = self.read_once()?.unwrap_or_else(|| self.reply.silence(now()));
            if state != ReplyState::Incomplete {
                return Ok(state);
            }
        }
    }

    /// One read: `None` when nothing came in the time that the stream allows.
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
            // A server that closes with input unread resets, right after its last reply.
            Err(error) if is_disconnect(&error) => {
                self.closed = true;
                Ok(Some(self.reply.ended()))
            }
            Err(error) => Err(connection_failed(&error)),
        }
    }

    /// What has come unasked, unless it is nothing, or no more than a terminator.
    fn unsolicited_text(&mut self, state: ReplyState) -> Result<Option<Vec<u8>>, Failure> {
        if state == ReplyState::TooLong {
            return Err(failures::reply_too_long());
        }
        if self.reply.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.take_text()?).filter(|text| !text.is_empty()))
    }

    /// The text that has come, unless it is the server's word that it is full.
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
