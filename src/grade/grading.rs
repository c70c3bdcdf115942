//! The state of a grading: the subject, the dialogue with it, and the questions. A test gets a
//! subject that is well: one that has served a client rightly, or a new one.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::client::{Client, quoted};
use super::design::Design;
use super::dialogue::Dialogue;
use super::question::{Question, Questions};
use super::report::{Fault, Outcome, Point, Report};
use super::{Config, also};
use crate::error::Failure;
use crate::subject::sockets::{self, Socket};
use crate::subject::{self, EndStatus, Subject};

/// The result of a step of a test.
pub(super) type Step<T> = Result<T, Fault>;

/// The times of a patience that pass before "no answer" is said.
const LAST_PATIENCE: u32 = 3;

/// The shortest time for a connection: with a full accept queue the kernel drops the SYN, and the
/// client sends it again after 1 s and after 3 s.
const SYN_PATIENCE: Duration = Duration::from_millis(3500);

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
    fresh: bool,
    /// True if a wrong question has ended the server, once that was tried.
    wrong_input_ends: Option<bool>,
    first: First,
}

/// The first start of a subject.
struct First {
    address: SocketAddr,
    startup: Duration,
    backlog: u32,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The right one.
    Right(Vec<u8>),
    /// Another text.
    Other(Vec<u8>),
    /// None, for the longest patience or until the connection ended.
    Nothing,
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
            wrong_input_ends: None,
            first,
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
        let mut manner = self.dialogue.describe();
        if let Some(port) = self.own_port {
            manner.push(format!("it listens on port {port}, its own choice"));
        }
        Report {
            command: self.config.server.command.text(),
            address: self.first.address,
            startup: self.first.startup,
            backlog: self.first.backlog,
            manner,
            points,
            seed: self.config.seed,
        }
    }

    /// Runs a test. Afterwards the subject is well, or a new one.
    pub(super) fn run(&mut self, test: fn(&mut Self) -> Step<Outcome>) -> Outcome {
        let outcome = self.revive().and_then(|()| test(self));
        outcome.unwrap_or_else(|fault| {
            // What is left of a failed test must not be seen by the next.
            self.renew().ok();
            Outcome::Fails(fault)
        })
    }

    /// Runs a teacher's own tests, with a subject that is well.
    pub(super) fn run_also(&mut self, script: &Path) -> Vec<Point> {
        self.revive().ok();
        also::run(script, &self.config.server, self.subject.address())
    }

    // ------------------------------------------------------------ the subject

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
        match self.subject.wait(self.dialogue.patience() * LAST_PATIENCE) {
            None => Ok(()),
            end if end == usual => self.renew(),
            Some(end) => Err(Fault::new(format!("the server had ended: {end}"), "")),
        }
    }

    /// A subject that starts on this port, or on a free one.
    pub(super) fn start_again(&self, port: Option<u16>) -> Step<Subject> {
        subject::start(&self.config.server, port).map_err(|failure| {
            let advice = "It must be able to start again and again.";
            let lines = failure.details().to_vec();
            Fault::new(format!("it did not start again: {failure}"), advice).evidence(lines)
        })
    }

    /// The end of the subject, if it ended by itself.
    pub(super) fn ended(&mut self) -> Option<EndStatus> {
        self.subject.wait(END_PATIENCE)
    }

    /// True if a plain wrong question ends the server: then it is no news that others do.
    pub(super) fn wrong_input_ends(&mut self) -> bool {
        if let Some(known) = self.wrong_input_ends {
            return known;
        }
        let tried = self.revive().and_then(|()| self.connect());
        let ends = tried.is_ok_and(|mut client| {
            client.send(format!("hello{}", self.dialogue.writing.terminator).as_bytes());
            client.receive(self.dialogue.patience(), |_| false);
            self.ended().is_some()
        });
        self.wrong_input_ends = Some(ends);
        ends
    }

    /// The server's side of a client's connection.
    pub(super) fn server_side(&self, client: SocketAddr) -> Option<Socket> {
        let sockets = sockets::table();
        let port = self.subject.address().port();
        sockets.into_iter().find(|it| it.remote == client && it.local.port() == port)
    }

    /// The end of the subject with its last output, a line each; nothing, if it runs.
    pub(super) fn end_evidence(&mut self) -> Vec<String> {
        let Some(end) = self.ended() else { return Vec::new() };
        let output = self.subject.last_output().into_iter().map(|line| format!("| {line}"));
        [format!("the server ended by itself: {end}")].into_iter().chain(output).collect()
    }

    /// Waits until the server has accepted the client. Returns false if it does not.
    pub(super) fn wait_accepted(&self, client: &Client) -> bool {
        let accepted = || self.server_side(client.address).is_some_and(|it| it.inode != 0);
        super::wait_until(self.dialogue.patience(), accepted)
    }

    /// Waits until the server has read all that the client has sent. Returns false if it does not.
    pub(super) fn wait_read(&self, client: &Client) -> bool {
        let read = || {
            let side = self.server_side(client.address);
            side.is_none_or(|socket| socket.unread == 0 && socket.inode != 0)
        };
        super::wait_until(self.dialogue.patience(), read)
    }

    // ------------------------------------------------------------ the dialogue

    /// A client that has connected and been greeted.
    pub(super) fn connect(&mut self) -> Step<Client> {
        self.connect_with(None)
    }

    /// The same with a small receive buffer.
    pub(super) fn connect_with(&mut self, receive_buffer: Option<usize>) -> Step<Client> {
        self.next_subject()?;
        self.fresh = false;
        let address = self.subject.address();
        let patience = (self.dialogue.patience() * LAST_PATIENCE).max(SYN_PATIENCE);
        let connected = Client::connect_with(address, patience, receive_buffer);
        let mut client = connected.map_err(|error| {
            let cause = crate::error::cause_of(&error);
            Fault::new(
                format!("a client could not connect: {cause}"),
                "The server must go on accepting clients, whatever the last one did.",
            )
            .evidence(self.end_evidence())
        })?;
        self.take_greeting(&mut client);
        Ok(client)
    }

    /// A client, if the server lets it connect soon.
    pub(super) fn connect_quickly(&mut self) -> Option<Client> {
        let patience = self.dialogue.patience();
        let mut client = Client::connect(self.subject.address(), patience).ok()?;
        self.take_greeting(&mut client);
        Some(client)
    }

    fn take_greeting(&mut self, client: &mut Client) {
        let patience = self.dialogue.greeting_patience();
        if patience.is_zero() {
            return;
        }
        let known = self.dialogue.greeting.clone();
        let text = client.receive(patience, |text| known.as_deref() == Some(text));
        if text.is_empty() {
            self.dialogue.not_greeted += u32::from(known.is_some());
        } else if !self.dialogue.known {
            self.dialogue.greeting = Some(text);
        }
    }

    /// Sends a question and receives the answer.
    pub(super) fn answer(&self, client: &mut Client, question: &Question) -> Answer {
        client.send(&self.dialogue.write(question));
        self.receive_answer(client, question)
    }

    /// Receives the answer to a question that was sent.
    pub(super) fn receive_answer(&self, client: &mut Client, question: &Question) -> Answer {
        let shape = &self.dialogue.shape;
        let patience = self.dialogue.patience();
        let mut receive = |patience| {
            client.receive(patience, |reply| self.dialogue.known && shape.is_whole(question, reply))
        };
        let mut reply = receive(patience);
        if reply.is_empty() {
            reply = receive(patience * LAST_PATIENCE);
        }
        self.judge(question, reply)
    }

    /// Receives an answer that comes within this time, if at all.
    pub(super) fn answer_within(
        &self,
        client: &mut Client,
        question: &Question,
        patience: Duration,
    ) -> Answer {
        let shape = &self.dialogue.shape;
        let whole = |reply: &[u8]| self.dialogue.known && shape.is_whole(question, reply);
        let reply = client.receive(patience, whole);
        self.judge(question, reply)
    }

    fn judge(&self, question: &Question, reply: Vec<u8>) -> Answer {
        match reply {
            reply if reply.is_empty() => Answer::Nothing,
            reply if self.dialogue.shape.is_right(question, &reply) => Answer::Right(reply),
            reply => Answer::Other(reply),
        }
    }

    /// Asks a new question; a wrong answer, or none, is a fault.
    pub(super) fn ask(&mut self, client: &mut Client) -> Step<()> {
        let question = self.questions.draw();
        self.ask_this(client, &question)
    }

    /// Asks this question.
    pub(super) fn ask_this(&mut self, client: &mut Client, question: &Question) -> Step<()> {
        let answer = self.answer(client, question);
        self.expect_right(client, question, &answer)
    }

    /// The fault of an answer that is not right.
    pub(super) fn expect_right(
        &mut self,
        client: &Client,
        question: &Question,
        answer: &Answer,
    ) -> Step<()> {
        let asked = quoted(question.text(self.dialogue.writing.blanks).as_bytes());
        let right = question.answer_text();
        let seen = match answer {
            Answer::Right(_) => return Ok(()),
            Answer::Other(reply) => format!("asked {asked}, got {}, not {right}", quoted(reply)),
            Answer::Nothing if client.end().is_some() => {
                format!("asked {asked}, and the connection ended without an answer")
            }
            Answer::Nothing => format!("asked {asked}, and no answer came"),
        };
        Err(Fault::new(seen, "").evidence(client.evidence()).evidence(self.end_evidence()))
    }

    /// Checks that the server still runs and serves a new client.
    pub(super) fn check_well(&mut self) -> Step<()> {
        let mut client = self.connect()?;
        self.ask(&mut client)?;
        client.close();
        Ok(())
    }
}
