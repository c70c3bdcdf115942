//! The results of a grading.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{Config, Test};
use crate::choice::Choice;
use crate::error::Failure;

/// Tests that one cause fails: a server that takes what a recv(2) returns for one question.
const FRAMING: [Test; 3] = [Test::TwoPieces, Test::ByteByByte, Test::TwoInOne];

/// A grading that has ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// The command of the server, as it was given.
    pub command: String,
    /// The address where it listened first.
    pub address: SocketAddr,
    /// The time until it listened.
    pub startup: Duration,
    /// The length of its accept queue, as it was given to listen(2).
    pub backlog: u32,
    /// The peculiarities of the dialogue with it, a sentence each, without a full stop.
    pub dialogue: Vec<String>,
    /// The results, in the order of the tests.
    pub points: Vec<Point>,
    /// The seed of the questions.
    pub seed: u64,
}

/// The result of a test.
#[derive(Clone, Debug)]
pub struct Point {
    /// The name of the test.
    pub name: String,
    /// The property that it tests, a sentence without a full stop.
    pub property: String,
    /// The result.
    pub outcome: Outcome,
}

/// The outcome of a test.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The property holds; in words what was seen, if that says more than the property.
    Holds(Option<String>),
    /// It does not.
    Fails(Fault),
    /// It does not concern this server, for this reason.
    Skipped(String),
    /// Another fault keeps it from being tested, for this reason.
    Untested(String),
    /// It was not looked at, for this reason.
    NotRun(String),
}

/// The number of tests with each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Properties that hold.
    pub holds: usize,
    /// Properties that do not.
    pub fails: usize,
    /// Properties that do not concern the server.
    pub skipped: usize,
    /// Properties that another fault keeps from being tested.
    pub untested: usize,
    /// Properties that were not looked at.
    pub not_run: usize,
}

/// A property that does not hold.
#[derive(Clone, Debug, Default)]
pub struct Fault {
    /// The observation, in one sentence without a full stop.
    pub seen: String,
    /// The change that the author of the server must make, and why; in sentences.
    pub advice: String,
    /// The evidence: bytes exchanged, system calls, sockets; a line each.
    pub evidence: Vec<String>,
    /// The topic of `socklab show` that explains it.
    pub topic: Option<&'static str>,
    /// The test whose fault has the same cause, and explains it.
    pub same_cause_as: Option<&'static str>,
}

impl Report {
    /// The report of a server that never listened: one test fails.
    pub(super) fn not_listening(config: &Config, failure: &Failure) -> Self {
        let advice = match failure.details() {
            [] => "Listen on the port that you are told, and go on running.",
            _ => "Its output may say why. Listen on the port that you are told, and go on running.",
        };
        let fault = Fault::new(failure.to_string(), advice);
        let point = Point {
            name: "listens".to_owned(),
            property: "The server listens on its port".to_owned(),
            outcome: Outcome::Fails(fault.evidence(failure.details().to_vec())),
        };
        Self {
            command: config.server.command.text(),
            address: (Ipv4Addr::UNSPECIFIED, 0).into(),
            startup: Duration::ZERO,
            backlog: 0,
            dialogue: Vec::new(),
            points: vec![point],
            seed: config.seed,
        }
    }

    /// The number of tests with each outcome.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for point in &self.points {
            *match point.outcome {
                Outcome::Holds(_) => &mut counts.holds,
                Outcome::Fails(_) => &mut counts.fails,
                Outcome::Skipped(_) => &mut counts.skipped,
                Outcome::Untested(_) => &mut counts.untested,
                Outcome::NotRun(_) => &mut counts.not_run,
            } += 1;
        }
        counts
    }

    fn fault_of(&mut self, test: Test) -> Option<&mut Fault> {
        let point = self.points.iter_mut().find(|point| point.name == test.name())?;
        if let Outcome::Fails(fault) = &mut point.outcome { Some(fault) } else { None }
    }

    /// Explains the faults of one cause once, at the first of them. The server may be known to
    /// serve one client at a time.
    pub(super) fn explain_once(&mut self, one_at_a_time: bool) {
        let cause = Test::SeveralAtOnce;
        if one_at_a_time
            && self.fault_of(cause).is_some()
            && let Some(fault) = self.fault_of(Test::WhoServes)
        {
            fault.advice = format!("{} It has the same cause as {}.", fault.advice, cause.name());
            fault.same_cause_as = Some(cause.name());
        }
        let fails = |test: &Test| self.fault_of(*test).is_some();
        let names: Vec<_> = FRAMING.into_iter().filter(fails).map(Test::name).collect();
        let [first, others @ ..] = &names[..] else { return };
        if others.is_empty() {
            return;
        }
        for point in &mut self.points {
            let Outcome::Fails(fault) = &mut point.outcome else { continue };
            if point.name == *first {
                fault.advice = format!(
                    "{} fail for one cause: what one recv returns is taken for one message. TCP \
                     is a stream of bytes and keeps no boundaries. Collect what arrives in a \
                     buffer of the client; while a whole message is in it, take that out and \
                     answer it; keep the rest for the next recv. In Python, a server that waits \
                     for one client at a time can read lines with `for line in conn.makefile()`.",
                    names.join(", ")
                );
            } else if others.contains(&&point.name[..]) {
                fault.advice = format!("It has the same cause as {first}.");
                fault.topic = None;
                fault.same_cause_as = Some(first);
            }
        }
    }
}

impl Counts {
    /// The properties that concern the server.
    pub fn concerned(self) -> usize {
        self.holds + self.fails + self.untested + self.not_run
    }
}

impl Outcome {
    /// A test that does not concern this server, for this reason.
    pub(super) fn skipped(reason: &str) -> Self {
        Self::Skipped(reason.to_owned())
    }

    /// A test that another fault makes impossible, for this reason.
    pub(super) fn untested(reason: &str) -> Self {
        Self::Untested(reason.to_owned())
    }
}

impl Fault {
    /// A fault without evidence yet.
    pub fn new(seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { seen: seen.into(), advice: advice.into(), ..Self::default() }
    }

    /// The same fault with other advice.
    #[must_use]
    pub fn advice(self, advice: impl Into<String>) -> Self {
        Self { advice: advice.into(), ..self }
    }

    /// The same fault with the advice for an error that the server has told, if that is known.
    #[must_use]
    pub fn remedy(self, said: &[String]) -> Self {
        let has = |errors: &[&str]| {
            let mut lines = said.iter().chain(&self.evidence);
            lines.any(|line| errors.iter().any(|error| line.contains(error)))
        };
        let gone = [
            "EPIPE",
            "Broken pipe",
            "BrokenPipe",
            "ECONNRESET",
            "onnection reset",
            "ConnectionReset",
        ];
        if has(&["EINTR", "Interrupted system call", "InterruptedError"]) {
            let advice = "A signal interrupts the call (EINTR), such as SIGCHLD when a child has \
                          ended: make the call again, or set SA_RESTART.";
            self.advice(advice).topic("interrupted")
        } else if has(&["SIGPIPE"]) {
            let advice = "A send to a client that is gone raises SIGPIPE, which ends a process: \
                          ignore that signal or send with MSG_NOSIGNAL. When send fails, close \
                          the connection.";
            self.advice(advice).topic("sigpipe")
        } else if has(&gone) {
            let advice = "send and recv fail when the client is gone: handle that error where the \
                          client is served, and close its connection only.";
            self.advice(advice).topic("rst")
        } else {
            self
        }
    }

    /// Adds the topic that explains it.
    #[must_use]
    pub fn topic(self, topic: &'static str) -> Self {
        Self { topic: Some(topic), ..self }
    }

    /// Adds lines of evidence.
    #[must_use]
    pub fn evidence(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(lines);
        self
    }
}
