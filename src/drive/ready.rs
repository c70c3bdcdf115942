//! The driver of a readiness loop: do what can be done without waiting.

use std::io;
use std::time::Instant;

use super::{Socket, close_reason_of};
use crate::session::{ActiveSession, Want};

/// The receives that one connection may make in one turn of its loop. A peer that sends faster than
/// we answer would otherwise keep its turn, and the loop, for ever.
pub const RECEIVES_PER_SLICE: u32 = 16;

/// What there may be to receive: from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readable {
    /// Nothing: the last receive was short, or would have blocked.
    No,
    /// Something, as an event said. A short receive empties the queue; asking again would only be
    /// told so, and what comes later brings a new event. That saves a system call a message.
    UntilShort,
    /// More than a short receive brings, so it is not believed. The peer has closed its half, and
    /// behind the data comes the end of input; or it has sent urgent data, and a receive stops at
    /// the mark (RFC 9293, 3.8.5).
    UntilBlock,
    /// The same, and the server stops: when the queue is empty, that is the end of input.
    UntilBlockThenEof,
}

/// What is known of a socket between its turns. It is a hint: a wrong one costs one system call
/// that would block, never a lost event.
#[derive(Clone, Copy, Debug)]
pub struct Readiness {
    /// What a receive may bring.
    pub readable: Readable,
    /// A send may take something. True at first: we write, and wait only after a refusal.
    pub writable: bool,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { readable: Readable::No, writable: true }
    }
}

impl Readiness {
    /// An event said this. It never takes back what is known already.
    #[inline]
    pub fn merge(&mut self, said: Readiness) {
        self.readable = self.readable.max(said.readable);
        self.writable |= said.writable;
    }

    fn received(&mut self, n: usize, size: usize) {
        if n < size && self.readable == Readable::UntilShort {
            self.readable = Readable::No;
        }
    }
}

/// Why a connection's turn is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It waits for its socket or its deadline.
    Blocked,
    /// It has had its share, and could go on at once.
    BudgetSpent,
    /// It is finished.
    Finished,
}

/// Runs a connection until it must wait, or has had its share of this turn.
pub fn run(
    socket: &mut impl Socket,
    session: &mut ActiveSession<'_>,
    ready: &mut Readiness,
    now: Instant,
) -> Outcome {
    let mut receives = 0;
    loop {
        match session.want() {
            Want::Send(_) if !ready.writable => return Outcome::Blocked,
            Want::Send(bytes) => match socket.write(bytes) {
                Ok(n) => session.sent(n, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => session.cut(close_reason_of(&error)),
            },
            Want::Receive(_) if ready.readable == Readable::No => return Outcome::Blocked,
            Want::Receive(_) if receives == RECEIVES_PER_SLICE => return Outcome::BudgetSpent,
            Want::Receive(room) => {
                receives += 1;
                let size = room.len();
                match socket.read(room) {
                    Ok(n) => {
                        ready.received(n, size);
                        session.received(n, now);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        let last = ready.readable == Readable::UntilBlockThenEof;
                        ready.readable = Readable::No;
                        if last {
                            session.end_input(now);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => session.cut(close_reason_of(&error)),
                }
            }
            Want::ShutDown => match socket.shut_down_sending() {
                Ok(()) => session.shut_down(),
                Err(error) => session.cut(close_reason_of(&error)),
            },
            Want::Yield => return Outcome::BudgetSpent,
            Want::Wait => return Outcome::Blocked,
            Want::Finished => return Outcome::Finished,
        }
    }
}
