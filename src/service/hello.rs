//! The greeting service: one message in, one greeting back, and the end.

use std::sync::Arc;
use std::time::Instant;

use super::{Event, Framing, Next, Output, Service};

/// Answers the first message, whatever it says, with a greeting.
#[derive(Clone, Debug)]
pub(super) struct Hello {
    greeting: Arc<str>,
}

impl Hello {
    /// The greeting that every client gets.
    pub(super) fn new(greeting: Arc<str>) -> Self {
        Self { greeting }
    }
}

impl Service for Hello {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, event: Event<'_>, _: Instant, out: &mut Output<'_>) -> Next {
        match event {
            Event::Open | Event::Timeout => Next::Read,
            Event::Message(_) => {
                out.write(self.greeting.as_bytes());
                Next::Close
            }
        }
    }
}
