//! The exchanges that find out how a server speaks: the first ones, and one with a wrong question.

use super::client::{Client, GAP};
use super::dialogue::{Dialogue, FIRST_PATIENCE, Writing};
use super::grading::Grading;
use super::now;
use super::question::{Question, Shape};

/// Questions from which the shape of the answers is learnt.
const LEARNT: usize = 3;

impl Grading<'_> {
    /// Finds out how the server speaks.
    pub(super) fn learn(&mut self) {
        for writing in Writing::ALL {
            // A wrong writing may have ended it a moment ago.
            if self.ended().is_some() && self.renew().is_err() {
                return;
            }
            self.dialogue.writing = writing;
            self.dialogue.end_after_one = None;
            if let Some(answers) = self.first_answers() {
                self.dialogue.shape = Shape::learn(&answers).unwrap_or_default();
                self.dialogue.known = true;
                break;
            }
        }
        if !self.dialogue.known {
            self.dialogue = Dialogue::default();
        }
    }

    /// Right answers to the first questions, in the present writing.
    fn first_answers(&mut self) -> Option<Vec<(Question, Vec<u8>)>> {
        let mut answers = Vec::new();
        let mut client: Option<Client> = None;
        while answers.len() < LEARNT {
            let mut asking = match client.take() {
                Some(client) => client,
                None => self.connect().ok()?,
            };
            let question = self.questions.draw();
            let sent_at = now();
            asking.send(&self.dialogue.write(&question));
            let mut reply = asking.receive(FIRST_PATIENCE, |_| false);
            let pair = [(question.clone(), reply.clone())];
            if !reply.is_empty() && Shape::learn(&pair).is_none() {
                // A server may pause within its answer.
                reply.extend(asking.receive(FIRST_PATIENCE, |_| false));
            }
            let took = now().saturating_duration_since(sent_at).saturating_sub(GAP);
            answers.push((question, reply));
            Shape::learn(&answers)?;
            self.dialogue.slowest = self.dialogue.slowest.max(took);
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
        Some(answers)
    }

    /// Closes the connection, and sees whether the server ends with it.
    fn leave(&mut self, client: Client) {
        client.close();
        self.dialogue.end_after_one = self.ended();
    }

    /// True if a plain wrong question ends the server: then it is no news that others do.
    pub(super) fn wrong_input_ends(&mut self) -> bool {
        if let Some(known) = self.dialogue.wrong_input_ends {
            return known;
        }
        let tried = self.revive().and_then(|()| self.connect());
        let ends = tried.is_ok_and(|mut client| {
            client.send(format!("hello{}", self.dialogue.writing.terminator).as_bytes());
            client.receive(self.dialogue.patience(), |_| false);
            self.ended().is_some()
        });
        self.dialogue.wrong_input_ends = Some(ends);
        ends
    }
}
