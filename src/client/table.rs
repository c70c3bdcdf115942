//! The server's side of a quiz: a [`Connection`] over which come the messages of a game.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::connection::{Connection, now};
use super::said::{Ear, Said};
use crate::error::Failure;

/// The silence between the first two messages without a newline, so that the server reads them
/// apart: the pause that it makes itself between two of its own.
const PAUSE: Duration = Duration::from_millis(200);

/// What stands for a line without text where there are no newlines: something must be sent.
const BLANK: &[u8] = b" ";

/// The server's side of the game: the connection, and what has come over it.
pub(super) struct Table {
    server: Connection,
    /// What ends each of our messages: a newline, or nothing.
    terminator: &'static [u8],
    ear: Ear,
    /// Heard, but not yet looked at.
    said: VecDeque<Said>,
    /// When waiting for the next message is over. Words that are no part of the game do not
    /// prolong it.
    patience: Instant,
}

impl Table {
    /// A game over `server`, with `terminator` behind each of our messages.
    pub(super) fn new(server: Connection, terminator: &'static [u8]) -> Self {
        let patience = server.deadline();
        Self { server, terminator, ear: Ear::new(), said: VecDeque::new(), patience }
    }

    /// What the server says before it is asked, if it is one of those that speak first.
    pub(super) fn greeting(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        self.server.greeting()
    }

    /// Gives the server time to refuse the game before it is told the name.
    pub(super) fn pause(&mut self) -> Result<(), Failure> {
        let moment = self.server.moment();
        self.listen_for(if self.terminator.is_empty() { moment.max(PAUSE) } else { moment })
    }

    /// Expects the next message from now on.
    pub(super) fn expect(&mut self) {
        self.patience = self.server.deadline();
    }

    /// Whether the server has left.
    pub(super) fn is_closed(&self) -> bool {
        self.server.is_closed()
    }

    /// The server left instead of playing.
    pub(super) fn no_more_answers(&self) -> Failure {
        self.server.no_more_answers()
    }

    /// Sends a message, and expects the next one.
    pub(super) fn tell(&mut self, line: &[u8]) -> Result<(), Failure> {
        let nothing = line.is_empty() && self.terminator.is_empty();
        self.patience = self.server.tell(if nothing { BLANK } else { line }, self.terminator)?;
        Ok(())
    }

    /// Hears all that comes in `time`, less if the server leaves.
    pub(super) fn listen_for(&mut self, time: Duration) -> Result<(), Failure> {
        let end = now() + time;
        while !self.server.is_closed() && now() < end {
            self.listen(end)?;
        }
        Ok(())
    }

    /// The next message; `None` when the server has left instead.
    pub(super) fn next(&mut self) -> Result<Option<Said>, Failure> {
        loop {
            if let Some(said) = self.said.pop_front() {
                if !matches!(said, Said::Words(_)) {
                    self.expect();
                }
                return Ok(Some(said));
            }
            if self.server.is_closed() {
                return Ok(None);
            }
            if !self.listen(self.patience)? && !self.server.is_closed() {
                return Err(self.server.too_late());
            }
        }
    }

    /// Hears something, if it comes by `deadline`; whether it did.
    fn listen(&mut self, deadline: Instant) -> Result<bool, Failure> {
        let Some(text) = self.server.listen(deadline)? else { return Ok(false) };
        self.ear.heard(&text, &mut self.said);
        Ok(true)
    }
}
