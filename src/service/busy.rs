//! The service of a full server: one line, then close.

use std::time::Instant;

use super::{Event, Framing, Next, Output, Service};

/// The reply of a full server. The command `client` recognises it.
pub const BUSY_TEXT: &str = "busy: the server is full, try again later\n";

/// Replies that the server is full, and closes.
#[derive(Clone, Copy, Debug)]
pub struct Busy;

impl Service for Busy {
    /// Raw, because the text is sent before any message could show its terminator.
    fn framing(&self) -> Framing {
        Framing::Raw
    }

    fn step(&mut self, _: Event<'_>, _: Instant, out: &mut Output<'_>) -> Next {
        out.write(BUSY_TEXT.as_bytes());
        Next::Close
    }
}
