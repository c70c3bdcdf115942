//! The workers of a model: the threads or processes that serve its clients. A model without workers
//! serves its clients in the loop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::stats::Client;
use crate::service::{MAX_SLEEP, Peer, Service, ServiceSpec};
use crate::session::{Context, Session};

/// The longest wait for workers that were cut. One that sleeps for its service, for at most
/// [`MAX_SLEEP`], is not woken.
pub(super) const KILL_GRACE: Duration = Duration::from_millis(250);

/// The longest wait for processes that were killed. On a busy machine one may have no turn in that
/// time, and ends without anybody waiting for it.
pub(super) const KILL_WAIT: Duration = Duration::from_millis(40);

const _: () = assert!(KILL_GRACE.as_millis() > MAX_SLEEP.as_millis());

/// A client that was admitted and is not served yet.
pub(super) struct Arrival {
    pub(super) client: Client,
    pub(super) socket: TcpStream,
    pub(super) address: SocketAddr,
}

/// A maker of the sessions of one loop, which have the same service and context.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    pub(super) service: ServiceSpec,
    pub(super) context: Arc<Context>,
}

impl Sessions {
    /// A session for a client that is served.
    pub(super) fn serve(&self, number: u64, address: SocketAddr, now: Instant) -> Session {
        self.with(self.service.build(Peer { number, address: Some(address) }), number, now)
    }

    /// A session with another service.
    pub(super) fn with(&self, service: Box<dyn Service>, number: u64, now: Instant) -> Session {
        Session::new(service, Arc::clone(&self.context), number, now)
    }
}

/// The workers of a model. They count and log the clients that leave them.
pub(super) trait Workers: Send {
    /// Serves one more client. If the machine has no worker to give, the client comes back.
    fn start(
        &mut self,
        arrival: Arrival,
        sessions: &Sessions,
        now: Instant,
    ) -> Result<(), (Arrival, io::Error)>;

    /// Reaps the children of this process that have ended, after SIGCHLD.
    fn reap_children(&mut self) {}

    /// Drops the permits of clients that have left, where a worker cannot do it itself.
    fn reap(&mut self) {}

    /// The time of the next [`tick`](Self::tick); none if none is needed.
    fn wake_at(&self) -> Option<Instant> {
        None
    }

    /// Does what is due at `now`.
    fn tick(&mut self, _now: Instant) {}

    /// The number of clients with a worker.
    fn len(&self) -> usize;

    /// Makes an empty socket the end of input for every worker.
    fn drain(&mut self);

    /// Ends every worker.
    fn cut(&mut self);
}
