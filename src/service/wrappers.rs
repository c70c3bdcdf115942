//! Wrappers around any service: the options `--banner` and `--once`.

use std::sync::Arc;
use std::time::Instant;

use super::{Event, Framing, Game, Next, Output, Service};

/// A service that sends a line first.
pub(super) struct Banner {
    text: Arc<str>,
    service: Box<dyn Service>,
}

impl Banner {
    pub(super) fn new(text: Arc<str>, service: Box<dyn Service>) -> Self {
        Self { text, service }
    }
}

impl Service for Banner {
    fn framing(&self) -> Framing {
        self.service.framing()
    }

    fn step(&mut self, event: Event<'_>, now: Instant, out: &mut Output<'_>) -> Next {
        if matches!(event, Event::Open) {
            out.write(self.text.as_bytes());
            if !out.is_a_line() {
                out.write(b"\n");
            }
        }
        self.service.step(event, now, out)
    }

    fn take_record(&mut self) -> Option<Box<Game>> {
        self.service.take_record()
    }
}

/// A service that answers one message, then closes.
pub(super) struct Once {
    service: Box<dyn Service>,
}

impl Once {
    pub(super) fn new(service: Box<dyn Service>) -> Self {
        Self { service }
    }
}

impl Service for Once {
    fn framing(&self) -> Framing {
        self.service.framing()
    }

    fn step(&mut self, event: Event<'_>, now: Instant, out: &mut Output<'_>) -> Next {
        match (event, self.service.step(event, now, out)) {
            (_, Next::Defer) => Next::Defer,
            (Event::Message(_), _) => Next::Close,
            (_, next) => next,
        }
    }

    fn take_record(&mut self) -> Option<Box<Game>> {
        self.service.take_record()
    }
}
