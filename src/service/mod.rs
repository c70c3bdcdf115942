//! The services: conversations as state machines without I/O.
//!
//! A [`Service`] sees events, never a socket, a clock or a delimiter. After each event it returns
//! the event that it waits for next. So the same code serves under every model, and a test drives
//! it with plain calls.
//!
//! | file | |
//! | --- | --- |
//! | `calc`, `echo`, `hello`, `quiz`, `fourops` | a service each |
//! | `busy` | the service of a full server |
//! | `game`, `record` | the rules of the quiz, and the records that the server keeps |
//! | `wrappers` | the options `--banner` and `--once`, around any service |
//! | `spec` | the services by name |

use std::fmt;
use std::time::Instant;

use crate::buffer::Buffer;

mod busy;
mod calc;
mod echo;
mod fourops;
mod game;
mod hello;
mod quiz;
mod record;
mod spec;
mod wrappers;

pub use busy::{BUSY_TEXT, Busy, is_rejection};
pub use game::{Answer, Game, MAX_QUESTIONS, Rules};
pub use quiz::{MAX_SLEEP, REFUSAL};
pub use record::{Receipt, RecordSink, RecordState};
pub use spec::{Peer, ServiceKind, ServiceSpec};

/// The longest reply of one step, in bytes. It bounds the memory of a connection whose peer does
/// not read.
pub const MAX_REPLY: usize = 64 * 1024;

/// The work of one connection after which other connections run, in products of 64-bit limbs:
/// about a tenth of a millisecond. One request may cost 256 times as much, and a client may send
/// many of them in one segment.
pub const WORK_PER_SLICE: u32 = 1 << 17;

/// The most work of a light message, in products of 64-bit limbs. Light ones do not wait for heavy
/// ones.
pub const LIGHT_WORK: u32 = WORK_PER_SLICE / 8;

/// The least work of a message, in products of 64-bit limbs.
pub const MIN_WORK: u32 = 64;

/// The number of bytes whose copy counts as one product of 64-bit limbs.
pub const BYTES_PER_WORK: usize = 4;

/// Everything that can happen to a service.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The connection is established; nothing was received yet.
    Open,
    /// One message without its terminator or, for a raw service, some bytes of the stream.
    Message(&'a [u8]),
    /// The time of [`Next::ReadUntil`] or [`Next::SleepUntil`] was reached.
    Timeout,
}

/// The event that a service waits for. This is all the control that it has over its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next message, without a time limit.
    Read,
    /// The next message, or [`Event::Timeout`] at this time.
    ReadUntil(Instant),
    /// [`Event::Timeout`] at this time; messages wait until then. A time in the past lets other
    /// connections run first.
    SleepUntil(Instant),
    /// None. The output is sent, then the connection is closed.
    Close,
    /// The same message again, in a step that may do any work: it takes more than
    /// [`Output::most_work`]. Nothing was written.
    Defer,
}

/// The form in which a service takes its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Messages; each reply gets the terminator that its message had.
    Messages,
    /// Raw bytes, any number at a time.
    Raw,
}

/// One client's conversation.
pub trait Service: Send {
    /// The form of the input; the same for the whole conversation.
    fn framing(&self) -> Framing;

    /// Handles one event: writes at most one reply, of at most [`MAX_REPLY`] bytes, and returns the
    /// event to wait for.
    fn step(&mut self, event: Event<'_>, now: Instant, out: &mut Output<'_>) -> Next;

    /// Takes the record of a conversation that was not finished, if there is one. Called when the
    /// connection ends.
    fn take_record(&mut self) -> Option<Box<Game>> {
        None
    }
}

/// The delimiter of replies. The session writes it. A service may have to leave time between
/// replies that have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// None, or the NUL of a C string: the client takes the bytes of one receive for one reply.
    None,
    /// A newline.
    Newline,
    /// A newline and a NUL. The client reads a whole buffer, not a line.
    NewlineNul,
    /// A length before the reply.
    Length,
}

/// The output of a step. Writing cannot fail: room for it was reserved before the step.
#[derive(Debug)]
pub struct Output<'a> {
    buffer: &'a mut Buffer,
    /// The number of bytes in the buffer before the step.
    before: usize,
    delimiter: Delimiter,
    /// True if the message itself is the reply.
    echoes_input: bool,
    /// The work of the step.
    work: u32,
    most_work: u32,
    records: Option<&'a dyn RecordSink>,
}

impl<'a> Output<'a> {
    /// An output that appends to `buffer`, for a reply with this delimiter.
    #[inline]
    pub fn new(buffer: &'a mut Buffer, delimiter: Delimiter) -> Self {
        let before = buffer.len();
        Self {
            buffer,
            before,
            delimiter,
            echoes_input: false,
            work: 0,
            most_work: u32::MAX,
            records: None,
        }
    }

    /// The same for a step of at most this work.
    #[inline]
    #[must_use]
    pub fn with_most_work(self, most_work: u32) -> Self {
        Self { most_work, ..self }
    }

    /// The same with a sink for records; without one they are discarded.
    #[inline]
    #[must_use]
    pub fn with_records(self, records: Option<&'a dyn RecordSink>) -> Self {
        Self { records, ..self }
    }

    /// True if the step has written nothing so far.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.buffer.len() == self.before && !self.echoes_input
    }

    /// Makes the message itself the reply of a raw service. The session sends it from the buffer in
    /// which it was received, without a copy.
    #[inline]
    pub fn echo_input(&mut self) {
        self.echoes_input = true;
    }

    /// True after [`echo_input`](Self::echo_input).
    #[inline]
    pub fn echoes_input(&self) -> bool {
        self.echoes_input
    }

    /// Sets the work of the step, in products of 64-bit limbs. At least [`MIN_WORK`] is counted.
    /// Other connections run when this one has used up its budget.
    #[inline]
    pub fn charge(&mut self, work: u64) {
        self.work = u32::try_from(work).unwrap_or(u32::MAX);
    }

    /// The work that was [charged](Self::charge).
    #[inline]
    pub fn work(&self) -> u32 {
        self.work
    }

    /// The most work of the step, in products of 64-bit limbs. Calc and
    /// fourops return [`Next::Defer`] rather than exceed it. The messages of the others are light.
    #[inline]
    pub fn most_work(&self) -> u32 {
        self.most_work
    }

    /// Hands over a record for the server to keep.
    pub fn record(&self, game: Box<Game>) -> Receipt {
        self.records.map_or_else(|| Receipt::new(RecordState::Kept), |records| records.record(game))
    }

    /// True if the client can separate two replies that arrive in one receive.
    pub fn is_delimited(&self) -> bool {
        matches!(self.delimiter, Delimiter::Newline | Delimiter::Length)
    }

    /// True if the session will write a newline after the reply.
    pub fn is_a_line(&self) -> bool {
        matches!(self.delimiter, Delimiter::Newline | Delimiter::NewlineNul)
    }

    /// Writes an integer in decimal.
    #[inline]
    pub fn write_integer(&mut self, value: i64) {
        match value {
            // One digit is the most frequent result, and needs no conversion.
            0..=9 => self.buffer.push(b'0' + value.to_le_bytes()[0]),
            _ => self.buffer.write(itoa::Buffer::new().format(value).as_bytes()),
        }
    }

    /// Writes bytes of the reply.
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
