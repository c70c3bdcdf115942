//! The dialogue with a server: how a question must be written for it, and how its answers look.
//! Both are found out by the first exchanges.

use std::time::Duration;

use super::Service;
use super::client::GAP;
use super::question::{Question, Shape};
use super::writing::Writing;
use crate::subject::EndStatus;

/// The time that the first answer of a server may take: a virtual machine warms up.
pub(super) const FIRST_PATIENCE: Duration = Duration::from_secs(2);

/// The limits of the time for an answer.
const PATIENCE: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(5)];

/// The time for an answer, in times of the slowest of the first answers.
const PATIENCE_FACTOR: u32 = 20;

/// The times of a patience that pass before "no answer" is said.
const LAST_PATIENCE: u32 = 3;

/// The silence that ends a reply of a server that pauses, in times of its slowest such answer.
const PAUSE_FACTOR: u32 = 3;

/// Clients without a greeting after which none is waited for.
const MAX_NOT_GREETED: u32 = 3;

/// The habits of a server in a dialogue.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialogue {
    /// The way in which a question is written.
    pub(super) writing: Writing,
    /// The greeting of a new client, if the server speaks first.
    pub(super) greeting: Option<Vec<u8>>,
    /// The shape of right answers; without any the default.
    pub(super) shape: Shape,
    /// True if it has been seen to answer rightly.
    pub(super) known: bool,
    /// True if it is a quiz that asks for no name.
    pub(super) nameless: bool,
    /// True if it closes the connection after an answer.
    pub(super) one_answer: bool,
    /// The end of the server, if it ends when its first client leaves.
    pub(super) end_after_one: Option<EndStatus>,
    /// The number of clients after which the server ends by itself, if it is small.
    pub(super) most_clients: Option<usize>,
    /// The last output of the server at such an end, a line each.
    pub(super) output_at_end: Vec<String>,
    /// The effect of a wrong question, once that was tried.
    pub(super) wrong_input: Option<WrongInput>,
    /// Later clients that were not greeted.
    pub(super) not_greeted: u32,
    /// The time of the slowest of the first answers.
    pub(super) slowest: Duration,
    /// The time of the slowest one that came with a pause longer than a [`GAP`].
    pub(super) pause: Option<Duration>,
    /// The peculiarity of a server that gave no right answer.
    pub(super) unknown: String,
}

/// The effect of a wrong question.
#[derive(Clone, Debug, Default)]
pub(super) struct WrongInput {
    /// True if it ends the server.
    pub(super) ends: bool,
    /// The reply to it.
    pub(super) reply: Vec<u8>,
}

impl Dialogue {
    /// The bytes of a question.
    pub(super) fn write(&self, question: &Question) -> Vec<u8> {
        self.writing.question(question)
    }

    /// The bytes of any other text.
    pub(super) fn wrap(&self, text: &[u8]) -> Vec<u8> {
        self.writing.frame.wrap(text)
    }

    /// The silence that ends a reply.
    pub(super) fn gap(&self) -> Duration {
        self.pause.map_or(GAP, |pause| (pause * PAUSE_FACTOR).max(GAP))
    }

    /// The time for an answer: it scales with the server's own first answers.
    pub(super) fn patience(&self) -> Duration {
        let [least, most] = PATIENCE;
        (self.slowest * PATIENCE_FACTOR).clamp(least, most)
    }

    /// The longest wait for an answer, and for anything else that a server should do at once.
    pub(super) fn last_patience(&self) -> Duration {
        self.patience() * LAST_PATIENCE
    }

    /// The time for the first byte of a greeting.
    pub(super) fn greeting_patience(&self) -> Duration {
        match (&self.greeting, self.known) {
            // The test of greetings tells it; the others need not wait each time.
            (Some(_), _) if self.not_greeted >= MAX_NOT_GREETED => Duration::ZERO,
            (Some(_), _) => self.patience(),
            (None, true) => Duration::ZERO,
            (None, false) if self.writing == Writing::default() => PATIENCE[0],
            (None, false) => GAP,
        }
    }

    /// The peculiarities of the server, a sentence each, without a full stop.
    pub(super) fn describe(&self, service: Service) -> Vec<String> {
        let mut said = Vec::new();
        if !self.known {
            said.push(self.unknown.clone());
            return said;
        }
        let mut say = |it: bool, text: &str| {
            if it {
                said.push(text.to_owned());
            }
        };
        let frame = self.writing.frame.description();
        say(frame.is_some(), frame.unwrap_or_default());
        say(!self.writing.blanks, "it takes no blanks around an operator");
        say(self.greeting.is_some(), "it greets a client first");
        let quiz = service == Service::Quiz;
        let answers = if quiz { "replies" } else { "answers" };
        let prompts = self.shape.has_newline();
        let end = if prompts { "are followed by a prompt" } else { "have no newline at the end" };
        say(!self.shape.ends_in_newline(), &format!("its {answers} {end}"));
        say(
            self.shape.has_leftovers(),
            "its answers go on behind a NUL with what was in its buffer: it sends sizeof buffer \
             bytes, not strlen(buffer)",
        );
        say(self.shape.has_words() && service == Service::Calc, "it puts words around its answers");
        say(self.nameless, "it asks for no name");
        say(self.end_after_one.is_some(), "it ends when its first client leaves");
        say(self.pause.is_some(), "it pauses within an answer");
        say(self.one_answer, "it closes the connection after each answer");
        said
    }
}
