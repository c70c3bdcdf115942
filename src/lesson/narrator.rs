//! The narrator of a lesson: prints each call with its result, compares the result with the
//! promise of the kernel, and draws the conclusion.

use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::iter;

use super::Prediction;
use super::ends::{Ends, both, counter};
use super::words::{explain, wrapped};
use crate::error::errno;

/// The width of the column of the actor, in characters.
const WHO: usize = 9;

/// The width of the column of the call, in characters.
const CALL: usize = 43;

/// The width of a line, in characters.
const LINE: usize = 100;

/// The kernel's version, as uname(2) has it.
const VERSION: &str = "/proc/sys/kernel/osrelease";

/// The counter of connections that skipped TIME-WAIT, for want of room: others have filled it up
/// (`net.ipv4.tcp_max_tw_buckets`).
const OVERFLOWS: &str = "TCPTimeWaitOverflow";

const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "31";
const CYAN: &str = "36";

/// The narrator of one lesson.
#[derive(Debug)]
pub(super) struct Narrator {
    colour: bool,
    /// Results that were compared with the promise of the kernel.
    checks: usize,
    /// Those that were different: the promise, and the result.
    differences: Vec<(String, String)>,
    /// The reason for which nothing can be concluded.
    doubt: Option<String>,
    /// The number of connections that had skipped TIME-WAIT when the lesson began.
    overflows: u64,
    /// The command that runs the same against the learner's own server.
    command: Option<&'static str>,
    /// The calls, the results and the conclusion, whose words are explained at the end.
    told: String,
}

impl Narrator {
    pub(super) fn new(colour: bool) -> Self {
        let overflows = counter(OVERFLOWS);
        Self {
            colour,
            checks: 0,
            differences: Vec::new(),
            doubt: None,
            overflows,
            command: None,
            told: String::new(),
        }
    }

    /// Prints a call and its result: `client  connect  ESTABLISHED`.
    pub(super) fn line(&mut self, who: &str, call: impl Display, result: impl Display) {
        self.row(who, &call.to_string(), &result.to_string(), None);
    }

    /// Prints a call and its result, which the kernel promises to be `expected`.
    pub(super) fn expect(
        &mut self,
        who: &str,
        call: impl Display,
        expected: impl Display,
        seen: impl Display,
    ) {
        let (expected, seen) = (expected.to_string(), seen.to_string());
        let holds = expected == seen;
        self.check(who, call, seen, holds, &expected);
    }

    /// Prints a call and its result, of which the kernel promises what `promise` says.
    pub(super) fn check(
        &mut self,
        who: &str,
        call: impl Display,
        seen: impl Display,
        holds: bool,
        promise: &str,
    ) {
        self.checks += 1;
        let seen = seen.to_string();
        let colour = if holds { GREEN } else { RED };
        self.row(who, &call.to_string(), &seen, Some(colour));
        if !holds {
            self.differences.push((promise.to_owned(), seen));
        }
    }

    /// Prints the states of both ends once they are these, or those that they stay in.
    pub(super) fn states(&mut self, ends: &Ends, client: &str, server: &str) {
        let seen = ends.reach(client, server);
        self.expect("kernel", "the states of both ends", both(client, server), seen);
    }

    /// The conclusion for a programmer, in two lines or three.
    pub(super) fn so(&mut self, text: &str) {
        self.told.extend([text, "\n"]);
        for line in wrapped("So: ", text, LINE) {
            self.plain(&self.painted(BOLD, &line));
        }
    }

    /// The same as one line of Python, or a few.
    pub(super) fn python(&mut self, code: &str) {
        self.told.extend([code, "\n"]);
        let headings = iter::once("Python:").chain(iter::repeat(""));
        for (heading, line) in headings.zip(code.lines()) {
            self.plain(&self.painted(BOLD, &format!("    {heading:<7} {line}")));
        }
    }

    /// The command of ours that cures it, or that finds it in the learner's own server.
    pub(super) fn cure(&mut self, command: &'static str) {
        self.command = Some(command);
    }

    /// Takes back what was said: this machine was too busy to be sure.
    pub(super) fn doubt(&mut self, reason: impl Into<String>) {
        self.doubt = Some(reason.into());
    }

    /// A call failed that never should.
    pub(super) fn cannot_go_on(&mut self, error: &io::Error) {
        self.differences.push(("that each call succeeds".to_owned(), errno(error)));
    }

    /// Prints the last lines. Returns false if the kernel did not do as expected.
    pub(super) fn conclude(&mut self) -> bool {
        let version = fs::read_to_string(VERSION).unwrap_or_default();
        let version = version.split(['-', '\n']).next().unwrap_or_default();
        if !self.differences.is_empty() && counter(OVERFLOWS) > self.overflows {
            self.doubt("other programs have filled the kernel's table of TIME-WAIT");
        }
        let doubt = self.doubt.take();
        if let Some(reason) = &doubt {
            self.plain(&format!("Cannot tell: {reason}. Run it again."));
        } else if self.differences.is_empty() {
            let checks = self.checks;
            self.plain(&format!("This kernel ({version}): {checks} checks, all as expected."));
        } else {
            self.plain(&format!("This kernel ({version}) did otherwise:"));
            for (expected, seen) in &self.differences {
                self.plain(&format!("  expected: {expected}"));
                self.plain(&format!("  seen:     {seen}"));
            }
        }
        if let Some(command) = self.command {
            self.plain(&format!("Try: {command}"));
        }
        for line in explain(&self.told, LINE) {
            self.plain(&line);
        }
        doubt.is_some() || self.differences.is_empty()
    }

    /// Asks for a prediction. Returns its index; none without an answer.
    pub(super) fn ask(&mut self, prediction: &Prediction) -> Option<usize> {
        self.plain(prediction.question);
        for (n, answer) in (1..).zip(prediction.answers) {
            self.plain(&format!("  {n}  {answer}"));
        }
        let choices = prediction.answers.len();
        loop {
            self.print(&format!("1 to {choices}? "));
            let line = read_line()?;
            if let Some(n) = line.trim().parse().ok().filter(|n| (1..=choices).contains(n)) {
                return Some(n - 1);
            }
        }
    }

    /// Compares a prediction with the right answer.
    pub(super) fn compare(&mut self, guess: usize, prediction: &Prediction) {
        let answers = prediction.answers;
        let verdict = match prediction.right {
            right if right == guess => "that is so.".to_owned(),
            right => format!("it is: {}.", answers[right]),
        };
        self.plain(&format!("You said: {}; {verdict}", answers[guess]));
    }

    pub(super) fn heading(&self, text: &str) {
        self.plain(&self.painted(BOLD, text));
    }

    pub(super) fn plain(&self, text: &str) {
        self.print(&format!("{text}\n"));
    }

    fn row(&mut self, who: &str, call: &str, result: &str, colour: Option<&str>) {
        self.told.extend([who, " ", call, " ", result, "\n"]);
        let actor = self.painted(CYAN, &format!("{who:<WHO$}"));
        let result = colour.map_or(result.to_owned(), |colour| self.painted(colour, result));
        self.plain(format!("{actor}{call:<CALL$} {result}").trim_end());
    }

    /// Prints at once: a lesson is followed as it runs. Whoever has stopped reading needs no more.
    #[expect(clippy::unused_self, reason = "the narrator is the one that prints")]
    fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[m") } else { text.to_owned() }
    }
}

/// A line of stdin, none at its end. Not a byte more is read: the next lesson is another process.
fn read_line() -> Option<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while rustix::io::read(rustix::stdio::stdin(), &mut byte).is_ok_and(|len| len > 0) {
        if byte == *b"\n" {
            return Some(String::from_utf8_lossy(&line).into_owned());
        }
        line.extend(byte);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_is_not_the_promised_one_fails_the_lesson() {
        let mut narrator = Narrator::new(false);
        narrator.expect("client", "connect", "ESTABLISHED", "ESTABLISHED");
        assert!(narrator.conclude());
        narrator.expect("client", "connect", "ESTABLISHED", "SYN-SENT");
        assert!(!narrator.conclude());
    }

    #[test]
    fn a_doubtful_result_is_not_held_against_the_kernel() {
        let mut narrator = Narrator::new(false);
        narrator.expect("client", "connect", "ESTABLISHED", "SYN-SENT");
        narrator.doubt("the machine was slow");
        assert!(narrator.conclude());
    }
}
