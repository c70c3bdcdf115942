//! The server's side of a quiz: a [`Connection`] over which come the messages of a game.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::connection::{Connection, now};
use super::quiz_parser::{QuizMessage, QuizParser};
use crate::error::Failure;

/// The silence between the first two messages without a newline, so that the server reads them
/// apart: the pause that it makes itself between two of its own.
const MESSAGE_GAP: Duration = Duration::from_millis(200);

/// What stands for a line without text where there are no newlines: something must be sent.
const BLANK: &[u8] = b" ";

/// The server's side of the game: the connection, and what has come over it.
pub(super) struct QuizConnection {
    server: Connection,
    /// What ends each of our messages: a newline, or nothing.
    terminator: &'static [u8],
    parser: QuizParser,
    /// Received, but not yet taken.
    messages: VecDeque<QuizMessage>,
    /// When waiting for the next message is over. Words that are no part of the game do not
    /// prolong it.
    deadline: Instant,
}

impl QuizConnection {
    /// A game over `server`, with `terminator` behind each of our messages.
    pub(super) fn new(server: Connection, terminator: &'static [u8]) -> Self {
        let deadline = server.deadline();
        Self { server, terminator, parser: QuizParser::new(), messages: VecDeque::new(), deadline }
    }

    /// What the server says before it is asked, if it is one of those that speak first.
    pub(super) fn greeting(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        self.server.greeting()
    }

    /// Gives the server time to refuse the game before it is told the name.
    pub(super) fn await_refusal(&mut self) -> Result<(), Failure> {
        let wait = self.server.greeting_wait();
        self.receive_for(if self.terminator.is_empty() { wait.max(MESSAGE_GAP) } else { wait })
    }

    /// Expects the next message from now on.
    pub(super) fn restart_deadline(&mut self) {
        self.deadline = self.server.deadline();
    }

    /// Whether the server has left.
    pub(super) fn is_closed(&self) -> bool {
        self.server.is_closed()
    }

    /// The server left instead of playing.
    pub(super) fn closed_early(&self) -> Failure {
        self.server.closed_early()
    }

    /// Sends a message, and expects the next one.
    pub(super) fn send_message(&mut self, line: &[u8]) -> Result<(), Failure> {
        let nothing = line.is_empty() && self.terminator.is_empty();
        self.deadline =
            self.server.send_message(if nothing { BLANK } else { line }, self.terminator)?;
        Ok(())
    }

    /// Hears all that comes in `time`, less if the server leaves.
    pub(super) fn receive_for(&mut self, time: Duration) -> Result<(), Failure> {
        let end = now() + time;
        while !self.server.is_closed() && now() < end {
            self.receive_until(end)?;
        }
        Ok(())
    }

    /// The next message; `None` when the server has left instead.
    pub(super) fn next_message(&mut self) -> Result<Option<QuizMessage>, Failure> {
        loop {
            if let Some(message) = self.messages.pop_front() {
                if !matches!(message, QuizMessage::Text(_)) {
                    self.restart_deadline();
                }
                return Ok(Some(message));
            }
            if self.server.is_closed() {
                return Ok(None);
            }
            if !self.receive_until(self.deadline)? && !self.server.is_closed() {
                return Err(self.server.no_answer());
            }
        }
    }

    /// Hears something, if it comes by `deadline`; whether it did.
    fn receive_until(&mut self, deadline: Instant) -> Result<bool, Failure> {
        let Some(text) = self.server.next_text(deadline)? else { return Ok(false) };
        self.parser.push(&text, &mut self.messages);
        Ok(true)
    }
}
