//! The service hello: one message in, a greeting back, then close.

use std::sync::Arc;
use std::time::Instant;

use super::{Event, Framing, Next, Output, Service};

/// The greeting of the original server.
pub(super) const GREETING: &str = "Hello from the server!";

/// A service that answers the first message with a greeting.
#[derive(Clone, Debug)]
pub(super) struct Hello {
    greeting: Arc<str>,
}

impl Hello {
    /// A service with this greeting.
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
