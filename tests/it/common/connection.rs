//! A session without a socket: the test is its driver, its peer and its clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use socklab::buffer::Pool;
use socklab::service::{self, Peer, WORK_PER_SLICE};
use socklab::session::{ActiveSession, Context, Limits, Session, Want};

use super::transcript::Service;

/// The peer of a session without a socket.
pub fn peer(number: u64) -> Peer {
    Peer { number, address: Some(([127, 0, 0, 1], 4242).into()) }
}

/// A session, and all that a driver would do for it.
#[expect(clippy::struct_excessive_bools, reason = "each can be so or not, whatever the others are")]
pub struct Connection {
    pub session: Session,
    pub pool: Pool,
    pub now: Instant,
    /// Bytes that the peer has received.
    pub output: Vec<u8>,
    /// The session has shut down its sending half.
    pub shut_down: bool,
    pub finished: bool,
    /// The last slice used up its budget.
    pub yielded: bool,
    /// The peer reads.
    pub reading: bool,
}

impl Connection {
    pub fn to(service: Service) -> Self {
        Self::with(service.spec().build(peer(1)))
    }

    pub fn with(service: Box<dyn service::Service>) -> Self {
        Self::with_limits(service, Limits::default())
    }

    pub fn with_limits(service: Box<dyn service::Service>, limits: Limits) -> Self {
        Self::with_context(service, limits.into())
    }

    #[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
    pub fn with_context(service: Box<dyn service::Service>, context: Context) -> Self {
        let now = Instant::now();
        let session = Session::new(service, Arc::new(context), 1, now);
        let mut connection = Self {
            session,
            pool: Pool::default(),
            now,
            output: Vec::new(),
            shut_down: false,
            finished: false,
            yielded: false,
            reading: true,
        };
        drop(connection.activate());
        connection
    }

    /// A slice of the session.
    pub fn activate(&mut self) -> ActiveSession<'_> {
        self.session.activate(&mut self.pool, WORK_PER_SLICE, self.now)
    }

    /// Runs a slice until the session wants to receive or to wait, and lets it receive `input`
    /// once. Returns the number of bytes that it has received.
    pub fn exchange(&mut self, mut input: Option<&[u8]>) -> usize {
        let mut taken = 0;
        let now = self.now;
        let mut session = self.session.activate(&mut self.pool, WORK_PER_SLICE, now);
        self.yielded = false;
        loop {
            match session.want() {
                Want::Send(_) if !self.reading => return taken,
                Want::Send(bytes) => {
                    self.output.extend_from_slice(bytes);
                    let n = bytes.len();
                    session.sent(n, now);
                }
                Want::Receive(room) => {
                    let Some(bytes) = input.take() else { return taken };
                    taken = bytes.len().min(room.len());
                    room[..taken].copy_from_slice(&bytes[..taken]);
                    session.received(taken, now);
                }
                Want::ShutDown => {
                    self.shut_down = true;
                    session.shut_down();
                }
                Want::Yield => {
                    self.yielded = true;
                    return taken;
                }
                Want::Wait => return taken,
                Want::Finished => {
                    self.finished = true;
                    return taken;
                }
            }
        }
    }

    /// The peer sends `bytes` in pieces of at most `piece`, until the session stops receiving.
    pub fn receive(&mut self, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece.max(1)) {
            let mut rest = piece;
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

    /// Advances the clock, and does what is due.
    pub fn wait(&mut self, time: Duration) {
        self.now += time;
        let now = self.now;
        self.activate().tick(now);
        self.exchange(None);
    }
}
