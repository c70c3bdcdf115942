//! The calculator: an expression in, what Python's `str(eval(text))` answers back.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use super::{Event, Framing, Next, Output, Service};
use crate::arithmetic::{self, Dialect};

/// Work, in products of 64-bit limbs, after which other connections come first: about a tenth of a
/// millisecond. One request may cost 300 times as much, and a client may send many of them at once.
const TURN_OF_WORK: u64 = 1 << 17;

/// What a request counts at the least: reading it is work, too.
const LEAST_WORK: u64 = 128;

/// Evaluates one expression a message.
#[derive(Clone, Debug)]
pub(super) struct Calc {
    dialect: Dialect,
    /// What every mistake is answered with, instead of its own words.
    error_text: Option<Arc<str>>,
    /// The time of the last step, which stands still as long as no other connection has its turn.
    turn: Option<Instant>,
    /// The work done in that turn, at most [`TURN_OF_WORK`] between steps.
    spent: u64,
}

impl Calc {
    /// The rules by which expressions are evaluated, and the words for all mistakes.
    pub(super) fn new(dialect: Dialect, error_text: Option<Arc<str>>) -> Self {
        Self { dialect, error_text, turn: None, spent: 0 }
    }

    /// Answers what has no short way, and returns the work it was.
    #[inline(never)]
    fn answer_at_length(&self, text: &[u8], out: &mut Output<'_>) -> u64 {
        let answer = arithmetic::evaluate_at_length(text, self.dialect);
        match answer.outcome {
            Ok(value) => value.render(out),
            Err(error) => match &self.error_text {
                Some(text) => out.write_str(text),
                None => error.render(out),
            },
        }
        .expect("an output takes all that is written to it");
        // `hex(1) * 0` is an empty text. A client that got nothing would wait for ever.
        if out.is_empty() {
            out.write(b"''");
        }
        answer.work.max(LEAST_WORK)
    }
}

impl Service for Calc {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, event: Event<'_>, now: Instant, out: &mut Output<'_>) -> Next {
        let Event::Message(text) = event else { return Next::Read };
        let work = match arithmetic::evaluate_shortly(text, self.dialect) {
            Some(value) => {
                out.write_integer(value);
                LEAST_WORK
            }
            None => self.answer_at_length(text, out),
        };
        if self.turn != Some(now) {
            self.turn = Some(now);
            self.spent = 0;
        }
        self.spent += work;
        if self.spent <= TURN_OF_WORK {
            return Next::Read;
        }
        self.spent = 0;
        Next::SleepUntil(now)
    }
}
