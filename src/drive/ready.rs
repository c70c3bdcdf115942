//! The driver of a readiness loop: do what can be done without waiting.

use std::io;
use std::time::Instant;

use super::{Socket, ending_of};
use crate::session::{ActiveSession, Want};

/// The receives that one connection may make in one turn of its loop. A peer that sends faster than
/// we answer would otherwise keep its turn, and the loop, for ever.
pub const RECEIVES_PER_TURN: u32 = 16;

/// What there may be to receive: from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Incoming {
    /// Nothing: the last receive was short, or would have blocked.
    Nothing,
    /// Something, as an event said. A short receive empties the queue; asking again would only be
    /// told so, and what comes later brings a new event. That saves a system call a message.
    Something,
    /// More than a short receive brings, so it is not believed. The peer has closed its half, and
    /// behind the data comes the end of input; or it has sent urgent data, and a receive stops at
    /// the mark (RFC 9293, 3.8.5).
    Everything,
    /// The same, and the server stops: when the queue is empty, that is the end of input.
    Last,
}

/// What is known of a socket between its turns. It is a hint: a wrong one costs one system call
/// that would block, never a lost event.
#[derive(Clone, Copy, Debug)]
pub struct Readiness {
    /// What a receive may bring.
    pub incoming: Incoming,
    /// A send may take something. True at first: we write, and wait only after a refusal.
    pub writable: bool,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { incoming: Incoming::Nothing, writable: true }
    }
}

impl Readiness {
    /// An event said this. It never takes back what is known already.
    #[inline]
    pub fn hear(&mut self, said: Readiness) {
        self.incoming = self.incoming.max(said.incoming);
        self.writable |= said.writable;
    }

    fn received(&mut self, n: usize, size: usize) {
        if n < size && self.incoming == Incoming::Something {
            self.incoming = Incoming::Nothing;
        }
    }
}

/// Why a connection's turn is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It waits for its socket or its deadline.
    Waiting,
    /// It has had its share, and could go on at once.
    Spent,
    /// It is finished.
    Finished,
}

/// Runs a connection until it must wait, or has had its share of this turn.
pub fn run(
    socket: &mut impl Socket,
    turn: &mut ActiveSession<'_>,
    ready: &mut Readiness,
    now: Instant,
) -> Rest {
    let mut receives = 0;
    loop {
        match turn.want() {
            Want::Send(_) if !ready.writable => return Rest::Waiting,
            Want::Send(bytes) => match socket.write(bytes) {
                Ok(n) => turn.sent(n, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => turn.cut(ending_of(&error)),
            },
            Want::Receive(_) if ready.incoming == Incoming::Nothing => return Rest::Waiting,
            Want::Receive(_) if receives == RECEIVES_PER_TURN => return Rest::Spent,
            Want::Receive(room) => {
                receives += 1;
                let size = room.len();
                match socket.read(room) {
                    Ok(n) => {
                        ready.received(n, size);
                        turn.received(n, now);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        let last = ready.incoming == Incoming::Last;
                        ready.incoming = Incoming::Nothing;
                        if last {
                            turn.end_input(now);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => turn.cut(ending_of(&error)),
                }
            }
            Want::ShutDown => match socket.shut_down_sending() {
                Ok(()) => turn.shut_down(),
                Err(error) => turn.cut(ending_of(&error)),
            },
            Want::Yield => return Rest::Spent,
            Want::Wait => return Rest::Waiting,
            Want::Finished => return Rest::Finished,
        }
    }
}
