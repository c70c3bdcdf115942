//! The driver of a readiness loop: it does what is possible without waiting.

use std::io;
use std::time::Instant;

use super::{Socket, close_reason_of};
use crate::session::{ActiveSession, Want};

/// The most receives of one connection in one slice. Without this limit a peer that sends faster
/// than it is answered would keep the loop to itself.
pub const RECEIVES_PER_SLICE: u32 = 16;

/// The input that a socket may have, and the condition that ends its receiving, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readable {
    /// None: the last receive was short, or would have blocked.
    No,
    /// Data. A short receive (fewer bytes than the buffer holds) has emptied the socket's queue,
    /// and later data brings a new event, so there is no receive after it (epoll(7), questions and
    /// answers). This saves a system call per message.
    UntilShort,
    /// Data, and something that a short receive does not reach: the end of input behind it, or
    /// the data behind an urgent mark, at which a receive stops (RFC 9293, 3.8.5).
    UntilBlock,
    /// The same while the server drains: an empty queue is the end of input.
    UntilBlockThenEof,
}

/// The readiness of a socket, kept from one slice to the next. It is a hint: a wrong one costs one
/// system call that would block, and never loses an event.
#[derive(Clone, Copy, Debug)]
pub struct Readiness {
    /// The input that there may be.
    pub readable: Readable,
    /// True if the socket may have room to send. True at first: the driver sends, and waits only
    /// after a send would have blocked.
    pub writable: bool,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { readable: Readable::No, writable: true }
    }
}

impl Readiness {
    /// Makes a receive and a send be tried once more, whatever the events reported: a timer is
    /// about to fire, and what has arrived comes before what is due.
    pub fn retry(&mut self) {
        self.readable = self.readable.max(Readable::UntilShort);
        self.writable = true;
    }

    /// Adds the readiness that an event reported. Readiness known before stays.
    #[inline]
    pub fn merge(&mut self, said: Readiness) {
        self.readable = self.readable.max(said.readable); // mutant: skip-a-hang-up
        self.writable |= said.writable; // mutant: ignore-room-to-send
    }

    fn received(&mut self, n: usize, size: usize) {
        // mutant: trust-short-at-close, trust-short-receives
        if n < size && self.readable == Readable::UntilShort {
            self.readable = Readable::No;
        }
    }
}

/// The reason why a slice is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The connection waits for its socket or its deadline.
    Blocked,
    /// The connection could continue immediately. Its budget is used up, its next message is heavy,
    /// or it has received as often as it may.
    Yielded,
    /// The connection is finished.
    Finished,
}

/// Runs a connection until it must wait, has used up its budget, or has a heavy message next.
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
                Ok(n) => session.sent(n, now), // mutant: lose-a-partial-send
                // mutant: send-after-refusal
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.writable = false,
                // mutant: fail-an-interrupted-send
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => session.cut(close_reason_of(&error)),
            },
            Want::Receive(_) if ready.readable == Readable::No => return Outcome::Blocked,
            // mutant: receive-without-limit
            Want::Receive(_) if receives == RECEIVES_PER_SLICE => return Outcome::Yielded,
            Want::Receive(room) => {
                receives += 1;
                let size = room.len();
                match socket.read(room) {
                    Ok(n) => {
                        ready.received(n, size);
                        session.received(n, now);
                        if session.awaits_rest() {
                            socket.acknowledge();
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        // mutant: drain-without-end
                        let last = ready.readable == Readable::UntilBlockThenEof;
                        ready.readable = Readable::No;
                        if last {
                            session.end_input(now);
                        }
                    }
                    // mutant: fail-an-interrupted-receive
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => session.cut(close_reason_of(&error)),
                }
            }
            Want::ShutDown => match socket.shut_down_sending() {
                Ok(()) => session.shut_down(),
                Err(error) => session.cut(close_reason_of(&error)),
            },
            Want::Yield => return Outcome::Yielded, // mutant: lose-a-yield
            Want::Wait => return Outcome::Blocked,
            Want::Finished => return Outcome::Finished,
        }
    }
}
