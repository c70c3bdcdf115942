//! One connection to a server: connect, ask, hear the reply, each within the time allowed.
//!
//! The only clock of the client is read here; what the bytes mean is decided in [`super::reply`].

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::reply::{self, Admission, GAP, Reply};
use super::words::{broken, busy, cannot_connect, half_an_answer, hung_up_on, long_answer};
use super::words::{long_question, no_answer};
use crate::error::Failure;
use crate::service::BUSY_TEXT;

/// The longest question, in bytes without its newline: with it no longer than the longest reply,
/// so that an echo of any question can be heard; and few enough bytes for the kernel's buffers to
/// take while the server is busy writing its reply.
pub(super) const QUESTION_LIMIT: usize = (1 << 20) - 1;

/// A longer timeout is cut to this: a year is for ever, and can be added to any instant.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The shortest wait asked of the kernel, which takes zero to mean for ever.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Limiter for what one call receives.
const CHUNK: usize = 16 * 1024;

const _: () = assert!(QUESTION_LIMIT < reply::LIMIT);

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
    heard: bool,
    /// The server will say no more.
    closed: bool,
    /// The question on its way, with its newline.
    question: Vec<u8>,
    chunk: Box<[u8]>,
}

impl Connection {
    /// Connects to the first address of `host` that answers, all of them within `timeout`.
    ///
    /// Only asking the resolver for the addresses is not limited by it: the system allows no limit.
    pub fn open(host: &str, port: u16, timeout: Duration) -> Result<Self, Failure> {
        let timeout = timeout.min(LONGEST_TIMEOUT);
        let addresses: Vec<SocketAddr> = (host, port)
            .to_socket_addrs()
            .map_err(|error| Failure::cannot(format!("find the address of {host}"), &error))?
            .collect();
        let (stream, round_trip) = connect(&addresses, timeout)
            .map_err(|error| cannot_connect(host, port, timeout, &error))?;
        // A question is one small segment, and nothing follows it that it could wait for.
        stream.set_nodelay(true).map_err(|error| broken(&error))?;
        Ok(Self {
            stream,
            timeout,
            round_trip,
            reply: Reply::new(now()),
            heard: false,
            closed: false,
            question: Vec::new(),
            chunk: vec![0; CHUNK].into(),
        })
    }

    /// What the server says before it is asked, if it is one of those that speak first.
    ///
    /// Called before the first question, so that a greeting is not taken for its answer.
    pub(super) fn greeting(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let verdict = self.hear(now() + self.moment())?;
        self.unasked_text(verdict)
    }

    /// What has come since the last reply, if anything: the rest of a reply whose first lines came
    /// apart, or a greeting that took its time. Does not wait.
    pub(super) fn unasked(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        self.reply.expect(now());
        self.stream.set_nonblocking(true).map_err(|error| broken(&error))?;
        let verdict = loop {
            match self.receive()? {
                Some(Admission::Open | Admission::Complete | Admission::Late) => {}
                Some(verdict) => break verdict,
                None => break Admission::Complete,
            }
            if self.closed {
                break Admission::Complete;
            }
        };
        self.stream.set_nonblocking(false).map_err(|error| broken(&error))?;
        self.unasked_text(verdict)
    }

    /// Sends `question`, newline added, and returns the reply without its terminator.
    pub fn ask(&mut self, question: &[u8]) -> Result<Vec<u8>, Failure> {
        let deadline = self.tell(question, b"\n")?;
        match self.listen(deadline)? {
            Some(reply) => Ok(reply),
            None if self.closed => Err(self.no_more_answers()),
            None => Err(self.too_late()),
        }
    }

    /// Sends `text` and `terminator`, and returns the time by which it should be answered.
    pub(super) fn tell(&mut self, text: &[u8], terminator: &[u8]) -> Result<Instant, Failure> {
        if text.len() > QUESTION_LIMIT {
            return Err(long_question());
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
    pub(super) fn listen(&mut self, deadline: Instant) -> Result<Option<Vec<u8>>, Failure> {
        match self.hear(deadline)? {
            Admission::Open | Admission::Complete => self.take().map(Some),
            Admission::Late if self.reply.is_empty() => Ok(None),
            Admission::Late => Err(half_an_answer(self.timeout)),
            Admission::Long => Err(long_answer()),
            Admission::Closed => Ok(None),
        }
    }

    /// By when a reply expected from now on must have come.
    pub(super) fn deadline(&self) -> Instant {
        now() + self.timeout
    }

    /// The server was silent until a reply's deadline.
    pub(super) fn too_late(&self) -> Failure {
        no_answer(self.timeout)
    }

    /// How long a server that has something to say at once needs to be heard: one round trip (our
    /// acknowledgement there, its words back) and a gap.
    pub(super) fn moment(&self) -> Duration {
        (self.round_trip + GAP).min(self.timeout)
    }

    /// Whether the server is known to have closed the connection.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The server closed the connection instead of answering.
    pub(super) fn no_more_answers(&self) -> Failure {
        hung_up_on(self.heard)
    }

    /// Sends the question in one write, if the kernel takes it.
    fn send(&mut self, deadline: Instant) -> Result<(), Failure> {
        let mut unsent = self.question.as_slice();
        while !unsent.is_empty() {
            let wait = deadline.saturating_duration_since(now()).max(SHORTEST_WAIT);
            self.stream.set_write_timeout(Some(wait)).map_err(|error| broken(&error))?;
            match self.stream.write(unsent) {
                Ok(sent) => unsent = &unsent[sent..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if timed_out(&error) => return Err(no_answer(self.timeout)),
                // What the server said before it left can still be read, and says more.
                Err(error) if hung_up(&error) => return Ok(()),
                Err(error) => return Err(broken(&error)),
            }
        }
        Ok(())
    }

    /// Receives until the reply is decided, which it is soon after `deadline`.
    fn hear(&mut self, deadline: Instant) -> Result<Admission, Failure> {
        self.reply.expect(deadline);
        loop {
            // At least one look, even past the deadline: a process that was stopped for a while
            // finds its reply waiting.
            let wait = self.reply.due().saturating_duration_since(now()).max(SHORTEST_WAIT);
            self.stream.set_read_timeout(Some(wait)).map_err(|error| broken(&error))?;
            let verdict = self.receive()?.unwrap_or_else(|| self.reply.silence(now()));
            if verdict != Admission::Open {
                return Ok(verdict);
            }
        }
    }

    /// One read: `None` when nothing came in the time that the stream allows.
    fn receive(&mut self) -> Result<Option<Admission>, Failure> {
        match self.stream.read(&mut self.chunk) {
            Ok(0) => {
                self.closed = true;
                Ok(Some(self.reply.ended()))
            }
            Ok(received) => Ok(Some(self.reply.received(&self.chunk[..received], now()))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Some(Admission::Open)),
            Err(error) if timed_out(&error) => Ok(None),
            // A server that closes with input unread resets, right after its last reply.
            Err(error) if hung_up(&error) => {
                self.closed = true;
                Ok(Some(self.reply.ended()))
            }
            Err(error) => Err(broken(&error)),
        }
    }

    /// What has come unasked, unless it is nothing, or no more than a terminator.
    fn unasked_text(&mut self, verdict: Admission) -> Result<Option<Vec<u8>>, Failure> {
        if verdict == Admission::Long {
            return Err(long_answer());
        }
        if self.reply.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.take()?).filter(|text| !text.is_empty()))
    }

    /// The text that has come, unless it is the server's word that it is full.
    fn take(&mut self) -> Result<Vec<u8>, Failure> {
        let text = self.reply.take();
        let first = !self.heard;
        self.heard = true;
        if first && text == BUSY_TEXT.trim_end().as_bytes() { Err(busy(&text)) } else { Ok(text) }
    }
}

/// Connects to one of `addresses`, tried in order; each gets an equal share of the time left, so
/// that one that swallows packets leaves time for the next. Returns also how long it took.
fn connect(addresses: &[SocketAddr], timeout: Duration) -> io::Result<(TcpStream, Duration)> {
    let deadline = now() + timeout;
    let mut shares = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        let start = now();
        let share = deadline.saturating_duration_since(start) / shares.max(1);
        shares = shares.saturating_sub(1);
        match TcpStream::connect_timeout(address, share.max(SHORTEST_WAIT)) {
            Ok(stream) => return Ok((stream, now() - start)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A socket whose timeout passed says "would block".
pub(super) fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// The server left without the ceremony of an end of input.
fn hung_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    )
}

#[expect(clippy::disallowed_methods, reason = "the client's edge: its only clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}
