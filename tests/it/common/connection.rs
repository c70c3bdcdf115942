//! A session by itself, with its driver, its peer and its clock in the hands of a test.

use std::sync::Arc;
use std::time::{Duration, Instant};

use socklab::buffer::Pool;
use socklab::service::{self, Peer};
use socklab::session::{Limits, Session, Want};

use super::transcript::Service;

/// A client that is not really there.
pub fn peer(number: u64) -> Peer {
    Peer { number, address: ([127, 0, 0, 1], 4242).into() }
}

/// A connection whose other end and whose clock are in our hands.
pub struct Connection {
    pub session: Session,
    pub pool: Pool,
    pub now: Instant,
    /// What the peer has received.
    pub output: Vec<u8>,
    /// Our FIN was seen.
    pub shut_down: bool,
    pub finished: bool,
    /// The peer takes what is sent to it.
    pub reading: bool,
}

impl Connection {
    pub fn to(service: Service) -> Self {
        Self::with(service.spec().build(peer(1)))
    }

    pub fn with(service: Box<dyn service::Service>) -> Self {
        Self::with_limits(service, Limits::default())
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do to begin with")]
    pub fn with_limits(service: Box<dyn service::Service>, limits: Limits) -> Self {
        let now = Instant::now();
        let session = Session::new(service, Arc::new(limits), 1, now);
        let mut connection = Self {
            session,
            pool: Pool::default(),
            now,
            output: Vec::new(),
            shut_down: false,
            finished: false,
            reading: true,
        };
        connection.session.activate(&mut connection.pool).open(now);
        connection
    }

    /// Does what the session wants until it wants to receive or to wait; then offers it `input`,
    /// at most once. Returns how much of it was taken.
    pub fn exchange(&mut self, input: Option<&[u8]>) -> usize {
        let mut turn = self.session.activate(&mut self.pool);
        let mut input = input;
        loop {
            match turn.want() {
                Want::Send(_) if !self.reading => return 0,
                Want::Send(bytes) => {
                    self.output.extend_from_slice(bytes);
                    let n = bytes.len();
                    turn.sent(n, self.now);
                }
                Want::Receive(room) => {
                    let Some(bytes) = input.take() else { return 0 };
                    let n = bytes.len().min(room.len());
                    room[..n].copy_from_slice(&bytes[..n]);
                    turn.received(n, self.now);
                    if n > 0 {
                        drop(turn);
                        self.exchange(None);
                        return n;
                    }
                }
                Want::ShutDown => {
                    self.shut_down = true;
                    turn.shut_down();
                }
                Want::Yield | Want::Wait => return 0,
                Want::Finished => {
                    self.finished = true;
                    return 0;
                }
            }
        }
    }

    /// The peer sends `bytes`, in pieces of at most `piece`, as far as they are taken.
    pub fn receive(&mut self, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece.max(1)) {
            let mut rest = piece;
            self.session.activate(&mut self.pool).resume(self.now);
            while !rest.is_empty() {
                let taken = self.exchange(Some(rest));
                if taken == 0 {
                    return;
                }
                rest = &rest[taken..];
            }
        }
    }

    /// The peer closes its sending half.
    pub fn end_input(&mut self) {
        self.exchange(Some(b""));
    }

    /// Time passes.
    pub fn wait(&mut self, time: Duration) {
        self.now += time;
        let mut turn = self.session.activate(&mut self.pool);
        turn.resume(self.now);
        turn.tick(self.now);
        drop(turn);
        self.exchange(None);
    }
}
