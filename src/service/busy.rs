//! What a client is told when the server is full: one line, then the end.

use std::time::Instant;

use super::{Event, Framing, Next, Output, Service};

/// The words that every client of a full server reads, and that our own client knows.
pub const BUSY_TEXT: &str = "busy: the server is full, try again later\n";

/// Says that the server is full, whatever the client sends.
#[derive(Clone, Copy, Debug)]
pub struct Busy;

impl Service for Busy {
    /// Raw, because the text goes out before any message could show its terminator.
    fn framing(&self) -> Framing {
        Framing::Raw
    }

    fn step(&mut self, _: Event<'_>, _: Instant, out: &mut Output<'_>) -> Next {
        out.write(BUSY_TEXT.as_bytes());
        Next::Close
    }
}
