//! The calculator: an expression in, the result of Python's `str(eval(text))` back.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use super::{Event, Framing, Next, Output, Service};
use crate::arithmetic::limits::FAST_BYTE_COST;
use crate::arithmetic::{self, Dialect};

/// A service that evaluates one expression per message.
#[derive(Clone, Debug)]
pub(super) struct Calc {
    dialect: Dialect,
    /// The reply to every error, instead of the error's own text.
    error_text: Option<Arc<str>>,
}

impl Calc {
    /// A calculator with these rules, and this reply to every error, if it has one.
    pub(super) fn new(dialect: Dialect, error_text: Option<Arc<str>>) -> Self {
        Self { dialect, error_text }
    }

    /// Answers a text that the fast path does not take, or defers it.
    #[inline(never)]
    fn answer_full(&self, text: &[u8], out: &mut Output<'_>) -> Next {
        let most_work = u64::from(out.most_work());
        let answer = match arithmetic::evaluate_within(text, self.dialect, most_work) {
            Ok(answer) => answer,
            Err(spent) => {
                out.charge(spent);
                return Next::Defer;
            }
        };
        match answer.outcome {
            Ok(value) => value.render(out),
            Err(error) => match &self.error_text {
                Some(text) => out.write_str(text),
                None => error.render(out),
            },
        }
        .expect("an output takes all that is written to it");
        // `hex(1) * 0` is an empty string. A client that received nothing would wait for its reply.
        if out.is_empty() {
            out.write(b"''");
        }
        out.charge(answer.work);
        Next::Read
    }
}

impl Service for Calc {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, event: Event<'_>, _: Instant, out: &mut Output<'_>) -> Next {
        let Event::Message(text) = event else { return Next::Read };
        match arithmetic::evaluate_fast(text, self.dialect) {
            Some(value) => {
                out.write_integer(value);
                out.charge(text.len() as u64 * FAST_BYTE_COST);
                Next::Read
            }
            None => self.answer_full(text, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Delimiter, MIN_WORK, WORK_PER_SLICE};
    use super::*;
    use crate::buffer::Buffer;

    /// The number of such requests in one slice.
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn requests_per_slice(text: &str) -> u64 {
        let mut buffer = Buffer::default();
        let mut out = Output::new(&mut buffer, Delimiter::Newline);
        let mut calc = Calc::new(Dialect::Python, None);
        calc.step(Event::Message(text.as_bytes()), Instant::now(), &mut out);
        u64::from(WORK_PER_SLICE / out.work().max(MIN_WORK)) + 1
    }

    #[test]
    fn a_slice_has_fewer_requests_the_more_work_they_take() {
        assert_eq!(requests_per_slice("1 + 2"), u64::from(WORK_PER_SLICE / MIN_WORK) + 1);
        assert_eq!(requests_per_slice("1 +"), u64::from(WORK_PER_SLICE / MIN_WORK) + 1);
        assert_eq!(requests_per_slice(&format!("1{}", "+1".repeat(2_000))), 9);
        assert_eq!(requests_per_slice(&format!("1.{}", "+1".repeat(2_000))), 3);
        assert_eq!(requests_per_slice(&" x".repeat(2_000)), 3);
        assert_eq!(requests_per_slice("2**262143 % 7"), 1);
    }
}
