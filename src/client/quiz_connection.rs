//! A [`Connection`] to a quiz server, which receives the messages of one game.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::connection::{Connection, now};
use super::failures::{self, Asked};
use super::quiz_parser::{QuizMessage, QuizParser};
use crate::error::Failure;

/// The pause between our first two messages where they have no newlines, so that the server
/// receives them apart. It makes the same pause between its own messages.
const MESSAGE_GAP: Duration = Duration::from_millis(200);

/// The most messages that are received ahead: a game has three at a time.
const MAX_AHEAD: usize = 1000;

/// The next event of a game.
pub(super) enum Received {
    /// A message.
    Message(QuizMessage),
    /// The server has closed the connection.
    Closed,
    /// The server was silent until the deadline.
    Silence,
    /// The deadline passed while the server sent texts that are no part of a game.
    Chatter,
}

/// A connection to a quiz server.
pub(super) struct QuizConnection {
    server: Connection,
    parser: QuizParser,
    /// Messages received and not taken.
    messages: VecDeque<QuizMessage>,
    /// The deadline of the next message. Text that is no part of the game does not extend it.
    deadline: Instant,
}

impl QuizConnection {
    /// A new game.
    pub(super) fn new(server: Connection) -> Self {
        let deadline = server.deadline();
        Self { server, parser: QuizParser::new(), messages: VecDeque::new(), deadline }
    }

    /// The greeting of a server that speaks first.
    pub(super) fn greeting(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        self.server.greeting()
    }

    /// Gives the server time to refuse the game before the name is sent.
    pub(super) fn await_refusal(&mut self) -> Result<(), Failure> {
        let wait = self.server.greeting_wait();
        self.receive_for(if self.server.sends_newlines() { wait } else { wait.max(MESSAGE_GAP) })
    }

    /// Lets the time for the next message begin now.
    pub(super) fn restart_deadline(&mut self) {
        self.deadline = self.server.deadline();
    }

    /// True if the server has closed the connection.
    pub(super) fn is_closed(&self) -> bool {
        self.server.is_closed()
    }

    /// The failure of a server that closed the connection instead of playing.
    pub(super) fn closed_early(&self) -> Failure {
        failures::closed_early(self.asked())
    }

    /// The failure of a server that sent nothing until the deadline.
    pub(super) fn no_answer(&self) -> Failure {
        failures::no_answer(self.server.timeout(), self.asked())
    }

    /// The failure of a server that sends `said`, but no question until the deadline.
    pub(super) fn no_question(&self, said: &[u8]) -> Failure {
        failures::no_question(self.server.timeout(), said)
    }

    fn asked(&self) -> Asked {
        // A server that wants no newlines is found out.
        Asked { newline: None, ..self.server.asked() }
    }

    /// Sends a message, and lets the time for the next one begin.
    pub(super) fn send_message(&mut self, line: &[u8]) -> Result<(), Failure> {
        self.deadline = self.server.send_message(line)?;
        Ok(())
    }

    /// Receives for `time`, or until the server closes the connection.
    pub(super) fn receive_for(&mut self, time: Duration) -> Result<(), Failure> {
        let end = now() + time;
        while !self.server.is_closed() && now() < end {
            self.receive_until(end)?;
        }
        Ok(())
    }

    /// The next message, or the reason why there is none.
    pub(super) fn next_message(&mut self) -> Result<Received, Failure> {
        loop {
            match self.messages.pop_front() {
                // A server may send texts without end.
                Some(QuizMessage::Text(_)) if now() > self.deadline => {
                    return Ok(Received::Chatter);
                }
                Some(message) => {
                    if !matches!(message, QuizMessage::Text(_)) {
                        self.restart_deadline();
                    }
                    return Ok(Received::Message(message));
                }
                None if self.server.is_closed() => return Ok(Received::Closed),
                None => {}
            }
            if !self.receive_until(self.deadline)? && !self.server.is_closed() {
                return Ok(Received::Silence);
            }
        }
    }

    /// Receives messages; false if none has come by `deadline`.
    fn receive_until(&mut self, deadline: Instant) -> Result<bool, Failure> {
        let Some(bytes) = self.server.next_bytes(deadline)? else { return Ok(false) };
        self.parser.push(&bytes, &mut self.messages);
        self.messages.truncate(MAX_AHEAD);
        Ok(true)
    }
}

impl AsFd for QuizConnection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.server.as_fd()
    }
}
