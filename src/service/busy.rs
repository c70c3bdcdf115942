//! The service of a client that is not served: one line that says why, then close.

use std::time::Instant;

use super::{Event, Framing, Next, Output, Service};

/// The text for every client of a full server, which our own client knows.
pub const BUSY_TEXT: &str = "busy: the server is full, try again later\n";

/// The text for a client that the machine has no thread or process for.
const UNAVAILABLE_TEXT: &str = "busy: the server cannot start a worker, try again later\n";

/// The text for a client whose address has as many connections as it may have.
const SOURCE_LIMIT_TEXT: &str = "busy: too many connections from your address, try again later\n";

/// True for the line, with or without its newline, of a server that does not serve the client.
pub fn is_rejection(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let texts = [BUSY_TEXT, UNAVAILABLE_TEXT, SOURCE_LIMIT_TEXT];
    texts.iter().any(|text| line == text.trim_ascii_end().as_bytes())
}

/// Sends a text, whatever the client sends.
#[derive(Clone, Copy, Debug)]
pub struct Busy {
    text: &'static str,
}

impl Busy {
    /// The service of a full server.
    pub fn full() -> Self {
        Self { text: BUSY_TEXT }
    }

    /// The service of a server that cannot start a worker.
    pub fn unavailable() -> Self {
        Self { text: UNAVAILABLE_TEXT }
    }

    /// The service of a server with as many clients from this address as there may be.
    pub fn source_limit() -> Self {
        Self { text: SOURCE_LIMIT_TEXT }
    }

    /// The text.
    pub fn text(self) -> &'static str {
        self.text
    }
}

impl Service for Busy {
    /// Raw: the text is sent before any message could show its terminator.
    fn framing(&self) -> Framing {
        Framing::Raw
    }

    fn step(&mut self, _: Event<'_>, _: Instant, out: &mut Output<'_>) -> Next {
        out.write(self.text.as_bytes());
        Next::Close
    }
}
