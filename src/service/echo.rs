//! The echo service (RFC 862): every byte back, unchanged.

use std::time::Instant;

use super::{Event, Framing, Next, Output, Service};

/// A service that sends back every byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Echo;

impl Service for Echo {
    fn framing(&self) -> Framing {
        Framing::Raw
    }

    fn step(&mut self, event: Event<'_>, _: Instant, out: &mut Output<'_>) -> Next {
        if let Event::Message(_) = event {
            out.echo_input();
        }
        Next::Read
    }
}
