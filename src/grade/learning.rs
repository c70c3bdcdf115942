//! The exchanges that find out how a server speaks: the first ones, and one with a wrong question.

use std::time::Duration;

use super::client::{Client, GAP, quoted};
use super::dialogue::{Dialogue, FIRST_PATIENCE, WrongInput};
use super::grading::Grading;
use super::numbers::{equal, numbers, sums};
use super::question::{Question, Shape};
use super::snapshot::{Snapshot, set_up};
use super::writing::Writing;
use super::{Service, now, wait_until};
use crate::choice::Choice;
use crate::subject::EndStatus;

/// Questions from which the shape of the answers is learnt.
const LEARNT: usize = 3;

/// The time for an answer to a question in one of the rare writings.
const RARE_PATIENCE: Duration = Duration::from_secs(1);

/// A question by which a calculator is known, and its value.
const SUM: (&[u8], f64) = (b"17 + 25", 42.0);

/// The clients of a server that may be made for a few.
const FEW_CLIENTS: usize = 11;

/// The first exchanges in one writing.
enum Learnt {
    /// The server has given right answers.
    Right(Vec<(Question, Vec<u8>)>),
    /// It has answered the question, but not rightly.
    Wrong(Vec<u8>, Vec<u8>),
    /// It has said nothing.
    Silence,
}

impl Grading<'_> {
    /// Finds out how the server speaks.
    pub(super) fn learn(&mut self) {
        let mut wrong = None;
        // One that has answered has seen the end of the question.
        let mut right = self.try_writings(&Writing::USUAL, FIRST_PATIENCE, &mut wrong);
        if !right {
            // A wrong answer may come from a server that cuts off two bytes: it needs CR LF, the
            // first of these.
            let rare = if wrong.is_none() { &Writing::RARE[..] } else { &Writing::RARE[..1] };
            right = self.try_writings(rare, RARE_PATIENCE, &mut wrong);
        }
        if right {
            self.count_clients();
            return;
        }
        let unknown = if self.is_cut_short() {
            "the time limit was over before a right answer was found".to_owned()
        } else {
            self.describe_unknown(wrong)
        };
        self.dialogue = Dialogue { unknown, ..Dialogue::default() };
    }

    /// Asks in these ways until the answers are right; false if they never are. The first wrong
    /// answer is kept, with its question.
    fn try_writings(
        &mut self,
        writings: &[Writing],
        patience: Duration,
        wrong: &mut Option<(Vec<u8>, Vec<u8>)>,
    ) -> bool {
        for &writing in writings {
            // What a quiz is told has no blanks.
            if self.is_quiz() && !writing.blanks {
                continue;
            }
            // A wrong writing may have ended it a moment ago.
            if self.ended().is_some() && self.renew().is_err() {
                break;
            }
            self.dialogue.writing = writing;
            self.dialogue.end_after_one = None;
            self.dialogue.pause = None;
            self.dialogue.nameless = false;
            match self.first_answers(patience) {
                Learnt::Right(answers) => {
                    self.dialogue.shape = Shape::learn(&answers).unwrap_or_default();
                    self.dialogue.known = true;
                    return true;
                }
                Learnt::Wrong(asked, reply) => *wrong = wrong.take().or(Some((asked, reply))),
                Learnt::Silence => {}
            }
        }
        false
    }

    /// The peculiarity of a server without a right answer.
    fn describe_unknown(&mut self, wrong: Option<(Vec<u8>, Vec<u8>)>) -> String {
        let unknown = self.describe_wrong(wrong);
        match self.other_service().filter(|it| *it != self.config().service) {
            Some(other) => {
                format!("{unknown}; it may be another service: --service {}", other.name())
            }
            None => unknown,
        }
    }

    /// The service that the server seems to offer.
    fn other_service(&mut self) -> Option<Service> {
        self.dialogue = Dialogue::default();
        let (asked, value) = SUM;
        let reply = self.replies(&[asked]);
        if reply.trim_ascii() == asked {
            return Some(Service::Echo);
        }
        if numbers(&reply).iter().any(|(_, number)| equal(*number, value)) {
            return Some(Service::Calc);
        }
        let replies = self.replies(&[b"yes", b"Bob"]);
        (!sums(&replies).is_empty()).then_some(Service::Quiz)
    }

    /// The replies to these messages of a new client.
    fn replies(&mut self, messages: &[&[u8]]) -> Vec<u8> {
        let mut replies = Vec::new();
        if let Ok(mut client) = self.revive().and_then(|()| self.connect()) {
            for message in messages {
                client.send(&self.dialogue.wrap(message));
                replies.extend(client.receive(RARE_PATIENCE, |_| false));
            }
            client.close();
        }
        replies
    }

    fn describe_wrong(&mut self, wrong: Option<(Vec<u8>, Vec<u8>)>) -> String {
        match wrong {
            _ if self.asks_a_person() => {
                "a person is to type its answers: it waits for its standard input with a question \
                 that it has received"
                    .to_owned()
            }
            None if self.dialogue.greeting.as_ref().is_some_and(|it| !is_text(it)) => {
                let greeting = self.dialogue.greeting.as_deref().unwrap_or_default();
                format!("its greeting is no text, and it is not graded: {}", quoted(greeting))
            }
            None => "it answers no question: not with a newline, a NUL or nothing behind it, nor \
                     with its length before it"
                .to_owned(),
            Some((_, reply)) if !is_text(&reply) => {
                format!("its answers are no text, and not graded: {}", quoted(&reply))
            }
            Some((asked, reply)) => format!(
                "no right answer was found to any question: {} is answered {}",
                quoted(&asked),
                quoted(&reply)
            ),
        }
    }

    /// The answers to the first questions, in the present writing.
    fn first_answers(&mut self, patience: Duration) -> Learnt {
        let mut answers = Vec::new();
        let mut client: Option<Client> = None;
        while answers.len() < LEARNT {
            let connected = client.take().map_or_else(|| self.connect(), Ok);
            let Ok(mut asking) = connected else { return Learnt::Silence };
            let question = self.draw(&asking);
            // The first time of a quiz has the wait for its question without a name.
            let opens = question.is_of_quiz() && asking.asked.is_none();
            let sent_at = now();
            let asked = self.dialogue.write(&question);
            asking.send(&asked);
            let mut reply = self.receive(&mut asking, &question, patience);
            let pair = [(question.clone(), reply.clone())];
            let pauses = !reply.is_empty() && Shape::learn(&pair).is_none();
            if pauses {
                // A server may pause within its answer.
                reply.extend(self.receive(&mut asking, &question, patience));
            }
            let took = now().saturating_duration_since(sent_at).saturating_sub(GAP);
            answers.push((question, reply.clone()));
            if Shape::learn(&answers).is_none() {
                return if reply.is_empty() {
                    Learnt::Silence
                } else {
                    Learnt::Wrong(asked, reply)
                };
            }
            if opens {
                self.dialogue.nameless = !asking.named;
            } else {
                self.dialogue.slowest = self.dialogue.slowest.max(took);
            }
            if pauses {
                self.dialogue.pause = self.dialogue.pause.max(Some(took));
            }
            // A server that closes may do it a little later than it answers.
            self.dialogue.one_answer = asking.end().is_some();
            if asking.end().is_some() {
                self.leave(asking);
            } else {
                client = Some(asking);
            }
        }
        if let Some(client) = client {
            self.leave(client);
        }
        Learnt::Right(answers)
    }

    /// Closes the connection, and sees whether the server ends with it.
    fn leave(&mut self, client: Client) {
        client.close();
        self.dialogue.end_after_one = self.ended();
        self.dialogue.output_at_end = self.last_output().collect();
    }

    /// True if a question makes the server wait for its standard input.
    fn asks_a_person(&mut self) -> bool {
        // A console of the server waits there from the beginning.
        if self.renew().is_err() || set_up(&self.subject).waits_for_stdin() {
            return false;
        }
        let Ok(mut client) = self.connect() else { return false };
        self.put(&mut client);
        let subject = &self.subject;
        wait_until(self.dialogue.patience(), || Snapshot::of(subject).waits_for_stdin())
    }

    /// The effect of a plain wrong question.
    pub(super) fn wrong_input(&mut self) -> WrongInput {
        if let Some(known) = &self.dialogue.wrong_input {
            return known.clone();
        }
        let mut found = WrongInput::default();
        if let Ok(mut client) = self.revive().and_then(|()| self.connect_ready()) {
            client.send(&self.dialogue.wrap(b"hello"));
            found.reply = client.receive(self.dialogue.patience(), |_| false);
            found.ends = self.ended().is_some();
        }
        self.dialogue.wrong_input = Some(found.clone());
        found
    }

    /// True if a plain wrong question ends the server: then it is no news that others do.
    pub(super) fn wrong_input_ends(&mut self) -> bool {
        self.wrong_input().ends
    }

    /// Finds out whether the server ends by itself after a few clients.
    fn count_clients(&mut self) {
        if self.dialogue.end_after_one.is_some() || self.renew().is_err() {
            return;
        }
        for served in 0..FEW_CLIENTS {
            if self.check_well().is_err() {
                let ended = self.ended() == Some(EndStatus::Exit(0));
                self.dialogue.most_clients = Some(served).filter(|_| ended);
                self.dialogue.output_at_end = self.last_output().collect();
                return;
            }
        }
    }
}

/// True if a person can read it.
fn is_text(reply: &[u8]) -> bool {
    let is_readable = |letter: char| letter.is_ascii_whitespace() || !letter.is_control();
    std::str::from_utf8(reply).is_ok_and(|text| text.chars().all(is_readable))
}
