//! What a server does for its clients, told as pure state machines.
//!
//! A [`Service`] sees events, never a socket, a clock or a delimiter, and says after each what it
//! waits for. So one text serves under every model, and a test drives it by calling it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::arithmetic::Dialect;
use crate::buffer::Buffer;

mod busy;
mod calc;
mod echo;
mod fourops;
mod game;
mod hello;
mod quiz;
mod wrappers;

pub use busy::{BUSY_TEXT, Busy};
use calc::Calc;
use echo::Echo;
use fourops::Fourops;
pub use game::{Answer, Game, MAX_QUESTIONS, QUESTIONS, Rules, Scoreboard};
use hello::Hello;
pub use quiz::MAX_SLEEP;
use quiz::Quiz;
use wrappers::{Banner, Once};

/// The longest reply a service may write in one step, in bytes. It bounds what a connection can
/// hold back when its peer does not read.
pub const MAX_REPLY: usize = 64 * 1024;

/// Work, in products of 64-bit limbs, after which other connections come first: about a tenth of a
/// millisecond. One request may cost 300 times as much, and a client may send many of them at once.
pub const WORK_PER_SLICE: u32 = 1 << 17;

/// What a message counts at the least, whatever its service does with it, in the same unit.
pub const MIN_WORK: u32 = 64;

/// The bytes of a message that count one unit, if nothing more is done with them than to move them.
pub const BYTES_PER_WORK: usize = 4;

/// Everything that can happen to a service.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The connection is there; nothing was received yet.
    Open,
    /// One whole message without its terminator or, for a raw service, some bytes of the stream.
    Message(&'a [u8]),
    /// The time of [`Next::ReadUntil`] or [`Next::SleepUntil`] has come.
    Timeout,
}

/// What a service waits for next: the whole of its control over its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next message, however long it takes.
    Read,
    /// The next message, or a [`Event::Timeout`] at this time.
    ReadUntil(Instant),
    /// A [`Event::Timeout`] at this time; messages wait until then. A time that is not in the
    /// future means: let the other connections have their turn first.
    SleepUntil(Instant),
    /// Nothing: what was written is sent, then the connection ends.
    Close,
}

/// How a service wants its input cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Into messages; each reply gets the terminator that its message had.
    Messages,
    /// Not at all: any number of bytes, as they come.
    Raw,
}

/// One client's conversation.
pub trait Service: Send {
    /// How the input is cut; the same answer for the whole conversation.
    fn framing(&self) -> Framing;

    /// Takes one event, writes at most one reply of at most [`MAX_REPLY`] bytes, and says what
    /// comes next.
    fn step(&mut self, event: Event<'_>, now: Instant, out: &mut Output<'_>) -> Next;
}

/// How the client will know where a reply ends: its session sees to that, but a service may have
/// to leave time between replies that nothing else keeps apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// Not at all, or by a NUL that only a buffer of C cares for: what one receive brings is taken
    /// for one reply.
    None,
    /// By a newline.
    Newline,
    /// By a newline and a NUL: the newline is there, but a whole buffer is received at once.
    NewlineNul,
    /// By the length in front of it.
    Length,
}

/// Where a step writes its reply. Writing cannot fail: the room was made sure of before the step.
#[derive(Debug)]
pub struct Output<'a> {
    buffer: &'a mut Buffer,
    /// The bytes in the buffer before the step.
    before: usize,
    delimiter: Delimiter,
    /// The reply is the message.
    echoes_input: bool,
    /// The work that the step was.
    work: u32,
}

impl<'a> Output<'a> {
    /// What is written goes to the end of `buffer`, and will be delimited so.
    #[inline]
    pub fn new(buffer: &'a mut Buffer, delimiter: Delimiter) -> Self {
        let before = buffer.len();
        Self { buffer, before, delimiter, echoes_input: false, work: 0 }
    }

    /// Whether the step has written nothing so far.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.buffer.len() == self.before && !self.echoes_input
    }

    /// The message itself is the reply of a raw service. Written, it would be copied; as it is, its
    /// session sends it out of the buffer that it was received in.
    #[inline]
    pub fn echo_input(&mut self) {
        self.echoes_input = true;
    }

    /// Whether [`echo_input`](Self::echo_input) was said.
    #[inline]
    pub fn echoes_input(&self) -> bool {
        self.echoes_input
    }

    /// Says how much work the step was, in products of 64-bit limbs, if it was more than a message
    /// counts anyway. When that adds up to more than [`WORK_PER_SLICE`], the other connections have
    /// their turn first.
    #[inline]
    pub fn charge(&mut self, work: u64) {
        self.work = u32::try_from(work).unwrap_or(u32::MAX);
    }

    /// What was [charged](Self::charge).
    #[inline]
    pub fn work(&self) -> u32 {
        self.work
    }

    /// Whether the client can tell two replies apart that it receives at once.
    pub fn is_delimited(&self) -> bool {
        matches!(self.delimiter, Delimiter::Newline | Delimiter::Length)
    }

    /// Whether the reply will get a newline at its end.
    pub fn is_a_line(&self) -> bool {
        matches!(self.delimiter, Delimiter::Newline | Delimiter::NewlineNul)
    }

    /// Writes an integer in decimal.
    #[inline]
    pub fn write_integer(&mut self, value: i64) {
        match value {
            // One digit is the most frequent answer, and needs no conversion.
            0..=9 => self.buffer.push(b'0' + value.to_le_bytes()[0]),
            _ => self.buffer.write(itoa::Buffer::new().format(value).as_bytes()),
        }
    }

    /// Writes bytes of the reply as they are.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) {
        self.buffer.write(bytes);
    }
}

impl fmt::Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.buffer.write(text.as_bytes());
        Ok(())
    }
}

/// A client, as a service may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its number in the log.
    pub number: u64,
    /// Where it comes from.
    pub address: SocketAddr,
}

/// Which service a server offers, with its settings: what every new connection's service is made
/// of.
#[derive(Clone, Debug)]
pub enum ServiceSpec {
    /// A calculator: an expression in, its value back, or an error: this text, if there is one.
    Calc(Dialect, Option<Arc<str>>),
    /// Every byte back as it came.
    Echo,
    /// One message in, this greeting back.
    Hello(Arc<str>),
    /// Two numbers in, what the four operations make of them back.
    Fourops,
    /// A game of sums.
    Quiz(Rules),
    /// A first line for every client, then another service.
    Banner(Arc<str>, Box<ServiceSpec>),
    /// The answer of another service to the first message, then the end.
    Once(Box<ServiceSpec>),
}

impl ServiceSpec {
    /// The service for one new connection.
    pub fn build(&self, peer: Peer) -> Box<dyn Service> {
        match self {
            Self::Calc(dialect, error) => Box::new(Calc::new(*dialect, error.clone())),
            Self::Echo => Box::new(Echo),
            Self::Hello(greeting) => Box::new(Hello::new(Arc::clone(greeting))),
            Self::Fourops => Box::new(Fourops),
            Self::Quiz(rules) => Box::new(Quiz::new(rules.clone(), peer)),
            Self::Banner(text, spec) => Box::new(Banner::new(Arc::clone(text), spec.build(peer))),
            Self::Once(spec) => Box::new(Once::new(spec.build(peer))),
        }
    }
}
