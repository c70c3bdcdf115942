//! The results of a grading.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::Config;
use crate::error::Failure;

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
}

impl Report {
    /// The report of a server that never listened: one test fails.
    pub(super) fn not_listening(config: &Config, failure: &Failure) -> Self {
        let fault = Fault::new(failure.to_string(), "Listen on the port that you are told.");
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

    /// The number of tests that hold, fail and were skipped.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: fn(&Outcome) -> bool| {
            self.points.iter().filter(|point| wanted(&point.outcome)).count()
        };
        (
            count(|outcome| matches!(outcome, Outcome::Holds(_))),
            count(|outcome| matches!(outcome, Outcome::Fails(_))),
            count(|outcome| matches!(outcome, Outcome::Skipped(_))),
        )
    }
}

impl Outcome {
    /// A test that does not concern this server, for this reason.
    pub(super) fn skipped(reason: &str) -> Self {
        Self::Skipped(reason.to_owned())
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
