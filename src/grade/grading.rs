//! The state of a grading: the subject, the dialogue with it, and the questions. A test gets a
//! subject that is well: one that has served a client rightly, or a new one.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use super::design::Design;
use super::dialogue::Dialogue;
use super::question::Questions;
use super::report::{Fault, Outcome, Point, Report};
use super::{Config, Service, Test, also, now};
use crate::choice::Choice;
use crate::duration;
use crate::error::Failure;
use crate::number;
use crate::subject::{self, EndStatus, Subject};

/// The result of a step of a test.
pub(super) type Step<T> = Result<T, Fault>;

/// The reason why no more is tested.
const OUT_OF_TIME: &str = "the time limit was over";

/// The advice to a server that has ended in a test.
pub(super) const SURVIVE: &str =
    "Nothing that a client sends or does may end the server, or keep it from others.";

/// The time in which a server that ends is seen to have ended.
const END_PATIENCE: Duration = Duration::from_millis(100);

/// The state of a grading.
pub(super) struct Grading<'c> {
    config: &'c Config,
    pub(super) subject: Subject,
    pub(super) dialogue: Dialogue,
    pub(super) questions: Questions,
    /// The design, once it was looked at.
    pub(super) design: Option<Design>,
    /// The port of a server that chooses its own.
    own_port: Option<u16>,
    /// True if the subject has served nobody yet.
    pub(super) fresh: bool,
    first: First,
    /// The end of the time limit.
    until: Instant,
    /// Set if a client could not be tried because of it.
    cut_short: bool,
    /// True if the last start of the subject failed.
    start_failed: bool,
    /// The test in which a start failed first.
    without_start: Option<Test>,
}

/// The first start of a subject.
struct First {
    address: SocketAddr,
    startup: Duration,
    backlog: u32,
}

impl<'c> Grading<'c> {
    /// Starts the subject.
    pub(super) fn start(config: &'c Config) -> Result<Self, Failure> {
        let subject = subject::start(&config.server, None)?;
        let own_port = subject.chose_its_port().then_some(subject.address().port());
        let first = First {
            address: subject.address(),
            startup: subject.startup(),
            backlog: subject.backlog(),
        };
        Ok(Self {
            config,
            subject,
            dialogue: Dialogue::default(),
            questions: Questions::new(config.service, config.seed),
            design: None,
            own_port,
            fresh: true,
            first,
            until: now() + config.time_limit,
            cut_short: false,
            start_failed: false,
            without_start: None,
        })
    }

    /// The configuration.
    pub(super) fn config(&self) -> &'c Config {
        self.config
    }

    /// The port that the subject always takes, if it was told none.
    pub(super) fn own_port(&self) -> Option<u16> {
        self.own_port
    }

    /// The report with these results.
    pub(super) fn report(self, points: Vec<Point>) -> Report {
        let one_at_a_time = self.capacity() == 1;
        let mut dialogue = self.dialogue.describe(self.config.service);
        if let Some(port) = self.own_port {
            dialogue.push(format!("it listens on port {port}, its own choice"));
        }
        let mut report = Report {
            command: self.config.server.command.text(),
            address: self.first.address,
            startup: self.first.startup,
            backlog: self.first.backlog,
            dialogue,
            points,
            seed: self.config.seed,
        };
        report.explain_once(one_at_a_time);
        report
    }

    /// The fault of a test that has no time to go on.
    pub(super) fn check_time(&mut self) -> Step<()> {
        self.cut_short |= now() >= self.until;
        if self.cut_short { Err(Fault::new(OUT_OF_TIME, "")) } else { Ok(()) }
    }

    /// True if something was not tested because of the time limit.
    pub(super) fn is_cut_short(&self) -> bool {
        self.cut_short
    }

    /// The outcome of a test for which there was no time.
    fn not_run(&self) -> Outcome {
        let limit = duration::format(self.config.time_limit);
        Outcome::NotRun(format!("{OUT_OF_TIME} ({limit})"))
    }

    /// The reason why a test that needs right answers cannot judge a server that gives none.
    fn unanswered(&self, test: Test) -> Option<String> {
        let quiz = self.config.service == Service::Quiz;
        let first = if quiz { Test::WholeGame } else { Test::FourOperators };
        let judged = test == first || matches!(test, Test::WhoServes | Test::PortOccupied);
        (!self.dialogue.known && !judged)
            .then(|| format!("no right answer was found: see {}", first.name()))
    }

    /// Runs a test. Afterwards the subject is well, or a new one.
    pub(super) fn run(&mut self, test: Test, code: fn(&mut Self) -> Step<Outcome>) -> Outcome {
        if self.check_time().is_err() {
            return self.not_run();
        }
        if let Some(reason) = self.unanswered(test) {
            return Outcome::Untested(reason);
        }
        let few = self.dialogue.most_clients;
        let prepared = if few.is_some() { self.renew() } else { self.revive() };
        if let (Some(test), Err(_)) = (self.without_start, &prepared) {
            return Outcome::Untested(format!("it did not start again: see {}", test.name()));
        }
        let (first, before) = (self.subject.first_process(), self.subject.output_length());
        let outcome = prepared.and_then(|()| code(self));
        if self.start_failed {
            self.without_start.get_or_insert(test);
        }
        if self.cut_short {
            return self.not_run();
        }
        if let (Some(few), Err(_), Some(EndStatus::Exit(0))) = (few, &outcome, self.ended()) {
            self.renew().ok();
            return Outcome::Untested(format!(
                "it ends after {}: see second-after-first",
                number::counted(few, "client")
            ));
        }
        outcome.unwrap_or_else(|mut fault| {
            let same = self.subject.first_process() == first && self.subject.ended().is_none();
            if same && self.subject.output_length() > before {
                // It may have said why.
                fault = fault.evidence(self.last_output());
            }
            if fault.advice.is_empty() && self.subject.ended().is_some() {
                let said: Vec<_> = self.last_output().collect();
                fault = fault.advice(SURVIVE).remedy(&said);
            }
            // What is left of a failed test must not be seen by the next.
            self.renew().ok();
            Outcome::Fails(fault)
        })
    }

    /// Runs a teacher's own tests, with a subject that is well.
    pub(super) fn run_also(&mut self, script: &Path) -> Vec<Point> {
        let left = self.until.saturating_duration_since(now());
        let not_run = self.not_run();
        if left.is_zero() {
            return vec![also::point_of(script, not_run)];
        }
        self.revive().ok();
        also::run(script, &self.config.server, self.subject.address(), left, not_run)
    }

    /// A new subject.
    pub(super) fn renew(&mut self) -> Step<()> {
        if self.fresh && self.subject.ended().is_none() {
            return Ok(());
        }
        self.subject.stop_now();
        self.subject = self.start_again(self.own_port)?;
        self.fresh = true;
        Ok(())
    }

    /// The same subject if it is well, or else a new one.
    pub(super) fn revive(&mut self) -> Step<()> {
        if self.subject.ended().is_some() { self.renew() } else { Ok(()) }
    }

    /// A new subject for the next client, if the server ends with each client.
    pub(super) fn next_subject(&mut self) -> Step<()> {
        let usual = self.dialogue.end_after_one;
        if usual.is_none() || self.fresh {
            return Ok(());
        }
        match self.subject.wait(self.dialogue.last_patience()) {
            None => Ok(()),
            end if end == usual => self.renew(),
            Some(end) => Err(Fault::new(format!("the server had ended: {end}"), "")),
        }
    }

    /// A subject that starts on this port, or on a free one.
    pub(super) fn start_again(&mut self, port: Option<u16>) -> Step<Subject> {
        let started = subject::start(&self.config.server, port);
        self.start_failed = started.is_err();
        started.map_err(|failure| {
            let advice = "It must be able to start again and again.";
            let lines = failure.details().to_vec();
            Fault::new(format!("it did not start again: {failure}"), advice).evidence(lines)
        })
    }

    /// The end of the subject, if it ended by itself.
    pub(super) fn ended(&mut self) -> Option<EndStatus> {
        self.subject.wait(END_PATIENCE)
    }

    /// The end of the subject with its last output, a line each; nothing, if it runs.
    pub(super) fn end_evidence(&mut self) -> Vec<String> {
        let Some(end) = self.ended() else { return Vec::new() };
        let mut lines = vec![format!("the server ended by itself: {end}")];
        lines.extend(self.last_output());
        lines
    }

    /// The last output of the subject, a line each.
    pub(super) fn last_output(&self) -> impl Iterator<Item = String> + use<> {
        self.subject.last_output().into_iter().map(|line| format!("| {line}"))
    }
}
