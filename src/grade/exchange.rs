//! Exchanges with the subject: a client connects, asks, and gets an answer.

use std::net::SocketAddr;
use std::time::Duration;

use super::client::{Client, quoted};
use super::grading::{Grading, SURVIVE, Step};
use super::numbers::sums;
use super::question::Question;
use super::report::Fault;
use super::text::{Occurrences, without_digits};
use super::{Service, now, wait_until};
use crate::error::cause_of;
use crate::subject::sockets::{self, Socket, State};

/// The shortest time for a connection: with a full accept queue the kernel drops the SYN, and the
/// client sends it again after 1 s and after 3 s.
const SYN_PATIENCE: Duration = Duration::from_millis(3500);

/// The longest time in which the answers to many questions are read, to see if all are given.
const READING_TIME: Duration = Duration::from_secs(5);

/// The longest waits for an answer that pass before one of many counts as missing: a server may
/// collect garbage.
const SILENCE: u32 = 3;

/// The name of a player. Without digits no greeting can make it a sum.
const NAME: &[u8] = b"Bob";

/// The time in which a quiz that asks for no name asks its first question.
const NAMELESS_PATIENCE: Duration = Duration::from_millis(300);

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

impl Grading<'_> {
    /// A client that has connected and been greeted.
    pub(super) fn connect(&mut self) -> Step<Client> {
        self.connect_with(None)
    }

    /// The same with a small receive buffer.
    pub(super) fn connect_with(&mut self, receive_buffer: Option<usize>) -> Step<Client> {
        self.check_time()?;
        self.next_subject()?;
        self.fresh = false;
        self.wait_for_room();
        let address = self.subject.address();
        let patience = self.dialogue.last_patience().max(SYN_PATIENCE);
        let connected = Client::connect_with(address, patience, receive_buffer);
        let mut client = connected.map_err(|error| {
            let cause = cause_of(&error);
            Fault::new(
                format!("a client could not connect: {cause}"),
                "The server must go on accepting clients, whatever the last one did.",
            )
            .evidence(self.end_evidence())
        })?;
        client.gap = self.dialogue.gap();
        self.take_greeting(&mut client);
        Ok(client)
    }

    /// A client, if the server lets it connect soon.
    pub(super) fn connect_quickly(&mut self) -> Option<Client> {
        let patience = self.dialogue.patience();
        self.wait_for_room();
        let mut client = Client::connect(self.subject.address(), patience).ok()?;
        client.gap = self.dialogue.gap();
        self.take_greeting(&mut client);
        Some(client)
    }

    fn take_greeting(&mut self, client: &mut Client) {
        let patience = self.dialogue.greeting_patience();
        if patience.is_zero() {
            return;
        }
        // It may number its clients.
        let known = self.dialogue.greeting.as_deref().map(without_digits);
        let text = client.receive(patience, |text| known.as_ref() == Some(&without_digits(text)));
        if text.is_empty() {
            self.dialogue.not_greeted += u32::from(known.is_some());
        } else if !self.dialogue.known {
            self.dialogue.greeting = Some(text);
        }
    }

    /// A client that may put a question at once: a quiz has asked it one.
    pub(super) fn connect_ready(&mut self) -> Step<Client> {
        let mut client = self.connect()?;
        if self.is_quiz() {
            self.ask(&mut client)?;
        }
        Ok(client)
    }

    /// True if the server asks the questions.
    pub(super) fn is_quiz(&self) -> bool {
        self.config().service == Service::Quiz
    }

    /// The word for what a client sends.
    pub(super) fn noun(&self) -> &'static str {
        if self.is_quiz() { "answer" } else { "question" }
    }

    /// The next question of a client. To a quiz it is a yes, or the right answer.
    pub(super) fn draw(&mut self, client: &Client) -> Question {
        client.asked.map_or_else(|| self.questions.draw(), Question::of_player)
    }

    /// Sends a new question.
    pub(super) fn put(&mut self, client: &mut Client) -> Question {
        let question = self.draw(client);
        client.send(&self.dialogue.write(&question));
        question
    }

    /// Sends a question and receives the answer.
    pub(super) fn answer(&self, client: &mut Client, question: &Question) -> Answer {
        client.send(&self.dialogue.write(question));
        self.receive_answer(client, question)
    }

    /// Receives the answer to a question that was sent.
    pub(super) fn receive_answer(&self, client: &mut Client, question: &Question) -> Answer {
        let patience = self.dialogue.patience();
        let mut reply = self.receive(client, question, patience);
        if reply.is_empty() {
            reply = self.receive(client, question, self.dialogue.last_patience());
        } else if self.dialogue.known && !self.dialogue.shape.is_right(question, &reply) {
            // A server may pause within its answer.
            reply.extend(self.receive(client, question, patience));
        }
        self.judge(question, reply)
    }

    /// Receives the answers to questions that were sent together: until all have come, the end of
    /// the connection, or the longest silence.
    pub(super) fn receive_answers(&self, client: &mut Client, questions: &[Question]) -> Vec<u8> {
        let mut reply = client.receive(self.dialogue.patience(), |_| false);
        // They may come one by one.
        for _ in questions {
            if client.end().is_some() || self.dialogue.shape.has_answers(&reply, questions) {
                break;
            }
            let more = client.receive(self.dialogue.last_patience(), |_| false);
            if more.is_empty() {
                break;
            }
            reply.extend(more);
        }
        reply
    }

    /// The number of answers to so many questions that a client sends together. None if it is not
    /// known: their text is not, or they take too long.
    pub(super) fn answers_to(&mut self, asked: usize) -> Option<usize> {
        let question = self.questions.draw();
        let value = question.value_text()?;
        let mut client = self.connect().ok()?;
        // It may write its values in another way.
        let Answer::Right(reply) = self.answer(&mut client, &question) else { return None };
        let mut found = Occurrences::new(&value);
        found.add(&reply);
        if found.count != 1 {
            return None;
        }
        client.send(&self.dialogue.write(&question).repeat(asked));
        let count = self.count_answers(&mut client, &value, asked, READING_TIME);
        client.close();
        count
    }

    /// Receives up to `asked` answers with this value, fewer if no more come. Returns their number;
    /// none, if they take longer than `limit`.
    pub(super) fn count_answers(
        &self,
        client: &mut Client,
        value: &str,
        asked: usize,
        limit: Duration,
    ) -> Option<usize> {
        let mut found = Occurrences::new(value);
        let silence = self.dialogue.last_patience() * SILENCE;
        let is_all = client.receive_each(silence, now() + limit, |bytes| {
            found.add(bytes);
            found.count >= asked
        });
        is_all.then_some(found.count)
    }

    /// Receives an answer that comes within this time, if at all.
    pub(super) fn answer_within(
        &self,
        client: &mut Client,
        question: &Question,
        patience: Duration,
    ) -> Answer {
        let reply = self.receive(client, question, patience);
        self.judge(question, reply)
    }

    /// Receives until the answer is whole, or a silence. A shape that is not known is never whole.
    pub(super) fn receive(
        &self,
        client: &mut Client,
        question: &Question,
        patience: Duration,
    ) -> Vec<u8> {
        let whole = |reply: &[u8]| self.dialogue.shape.is_whole(question, reply);
        if !question.is_of_quiz() {
            return client.receive(patience, whole);
        }
        let mut reply = self.give_name(client);
        if sums(&reply).is_empty() {
            reply.extend(client.receive(patience, whole));
        }
        client.asked = sums(&reply).last().map(|(_, value)| *value).or(client.asked);
        reply
    }

    /// Gives the name of a player once the server has read the yes: many take what one receive
    /// returns for a message. Returns what a server that is not known has said before.
    pub(super) fn give_name(&self, client: &mut Client) -> Vec<u8> {
        let mut said = Vec::new();
        let due = !client.named && client.asked.is_none() && !self.dialogue.nameless;
        if !due || !self.wait_read(client) {
            return said;
        }
        if !self.dialogue.known {
            said = client.receive(NAMELESS_PATIENCE, |_| false);
        }
        if sums(&said).is_empty() && client.end().is_none() {
            client.send(&self.dialogue.wrap(NAME));
            client.named = true;
        }
        said
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
        let question = self.draw(client);
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
        let asked = if question.is_of_quiz() { "sent " } else { "asked " }.to_owned() + &asked;
        let seen = match answer {
            Answer::Right(reply) => {
                self.dialogue.shape.note_right(reply);
                return Ok(());
            }
            Answer::Other(reply) => format!("{asked}, got {}, not {right}", quoted(reply)),
            Answer::Nothing if client.end().is_some() => {
                format!("{asked}, and the connection ended without an answer")
            }
            Answer::Nothing => format!("{asked}, and no answer came"),
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

    /// The same after something that another client has done.
    pub(super) fn check_well_after(&mut self, after: &str) -> Step<()> {
        self.check_well().map_err(|fault| {
            let seen = format!("{after}{}", fault.seen);
            let said: Vec<_> = self.last_output().collect();
            let fault = Fault { seen, ..fault }.advice(SURVIVE);
            fault.remedy(&said)
        })
    }

    /// The server's side of a client's connection.
    pub(super) fn server_side(&self, client: SocketAddr) -> Option<Socket> {
        let sockets = sockets::table();
        let port = self.subject.address().port();
        sockets.into_iter().find(|it| it.remote == client && it.local.port() == port)
    }

    /// The states of the connections that the server has not closed.
    pub(super) fn connections(&self) -> Vec<State> {
        let port = self.subject.address().port();
        let sockets = sockets::table().into_iter();
        let ours = sockets.filter(|it| it.local.port() == port && it.inode != 0);
        ours.map(|it| it.state).filter(|it| *it != State::Listen).collect()
    }

    /// Waits until the server has accepted the client. Returns false if it does not.
    pub(super) fn wait_accepted(&self, client: &Client) -> bool {
        let accepted = || self.server_side(client.address).is_some_and(|it| it.inode != 0);
        wait_until(self.dialogue.patience(), accepted)
    }

    /// Waits until the server has read all that the client has sent. Returns false if it does not.
    pub(super) fn wait_read(&self, client: &Client) -> bool {
        wait_until(self.dialogue.patience(), || self.has_read(client))
    }

    /// True if the server has read all that the client has sent, or has closed.
    pub(super) fn has_read(&self, client: &Client) -> bool {
        let side = self.server_side(client.address);
        side.is_none_or(|socket| socket.unread == 0 && socket.inode != 0)
    }
}
