//! The event loop of a server: the same for every model.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::Waker;
use mio::net::TcpStream;
use signal_hook::consts::SIGCHLD;

use super::config::Config;
use super::rejection;
use super::shared::Shared;
use super::shutdown::Stage;
use super::stats::{COUNTERS, Client};
use super::workers::{Arrival, Sessions, Workers};
use crate::error::Failure;
use crate::explain::TARGET;
use crate::net::accept::{Accepted, Admission};
use crate::net::limited_listener::LimitedListener;
use crate::net::limiter::Rejection;
use crate::reactor::{Reactor, Source, SystemKernel};
use crate::service::Busy;
use crate::session::{CloseReason, Session};
use crate::signal::{self, ServerSignals};

/// The most clients accepted in one turn: many newcomers do not keep connected clients waiting.
const ACCEPTS_PER_TURN: usize = 64;

/// The role of a loop among the loops of its server.
enum Role {
    /// It handles the signals to the process. Each server has one such loop.
    Leader(ServerSignals),
    Follower,
}

/// A loop that accepts clients, admits them, and serves them itself or hands them to workers, until
/// the server stops.
///
/// It owns the readiness loop of its connections ([`Reactor`]), and waits with it for its listener,
/// for signals, and for other threads. Clients that cannot be served read the busy text from this
/// loop under every model, so telling them keeps nobody waiting.
pub(super) struct EventLoop<'a, K: SystemKernel> {
    listener: LimitedListener,
    reactor: Reactor<Client, K>,
    role: Role,
    /// None if this loop serves its clients itself.
    workers: Option<Box<dyn Workers>>,
    sessions: Sessions,
    /// The last stage of the shutdown whose work this loop has done.
    done: Stage,
    /// The longest time from the beginning of the shutdown to the end of the last client.
    drain_timeout: Duration,
    /// The end of that time, once the shutdown has begun.
    drain_until: Option<Instant>,
    /// True if a client has come to the accept queue while the server was full.
    client_waits: bool,
    /// The most clients that may have been in the accept queue when the shutdown began.
    queue_limit: usize,
    shared: &'a Shared,
}

impl<'a, K: SystemKernel> EventLoop<'a, K> {
    /// A loop of the server that `config` describes.
    pub(super) fn new(
        mut listener: LimitedListener,
        sessions: Sessions,
        config: &Config,
        shared: &'a Shared,
    ) -> Result<Self, Failure> {
        let cannot = |error: io::Error| Failure::cannot("set up the loop", &error);
        let reactor = Reactor::new().map_err(cannot)?;
        if let Some(listener) = listener.listener() {
            reactor.register(listener, Source::Listener).map_err(cannot)?;
        }
        let new_workers = config.model.design().workers;
        let workers = new_workers
            .map(|new| new(config, shared, reactor.registry(), &sessions))
            .transpose()?;
        Ok(Self {
            listener,
            reactor,
            role: Role::Follower,
            workers,
            sessions,
            done: Stage::Serving,
            drain_timeout: config.drain_timeout,
            drain_until: None,
            client_waits: false,
            queue_limit: config.backlog() as usize + 1,
            shared,
        })
    }

    /// Makes this loop the one that handles signals.
    pub(super) fn lead(&mut self, mut signals: ServerSignals) -> Result<(), Failure> {
        let registered = self.reactor.register(&mut signals.source, Source::Signals);
        registered.map_err(|error| Failure::cannot("wait for signals", &error))?;
        self.role = Role::Leader(signals);
        Ok(())
    }

    /// A waker with which other loops end this loop's wait.
    pub(super) fn waker(&self) -> io::Result<Waker> {
        self.reactor.waker()
    }

    /// Serves until the server stops. Each round waits for events and runs the connections that
    /// have one, handles signals, counts out the clients that have left, ends the waits of workers
    /// that are over, goes on with a shutdown, and accepts new clients.
    pub(super) fn run(&mut self) -> Result<(), Failure> {
        let cannot_accept = |error: io::Error| Failure::cannot("accept clients", &error);
        while self.shared.shutdown.stage() != Stage::Over {
            let events = self.reactor.turn(self.wake_at());
            let events = events.map_err(|error| Failure::cannot("wait for events", &error))?;
            if events.contains(Source::Signals) {
                self.handle_signals();
            }
            if events.contains(Source::Listener) {
                self.listener.mark_readable();
                self.note_waiting();
            }
            if events.contains(Source::Waker) {
                // A worker has ended, another loop's client has left, or SIGCONT has come.
                self.listener.end_backoff();
            }
            self.reap();
            self.workers.iter_mut().for_each(|workers| workers.tick(self.reactor.now()));
            self.advance_shutdown().map_err(cannot_accept)?;
            self.listener.resume_listening(self.reactor.now());
            self.accept().map_err(cannot_accept)?;
            self.advance_shutdown().map_err(cannot_accept)?;
            self.finish_drain();
        }
        self.cut();
        Ok(())
    }

    /// Logs a client that waits in the accept queue because the server is full. The listener has an
    /// event for each client that connects, so this is the first of them, or one more.
    fn note_waiting(&mut self) {
        if self.shared.limiter.must_wait() {
            self.client_waits = true;
            self.shared.log_waiting(self.reactor.now());
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let drain_until = self.drain_until.filter(|_| self.done < Stage::Closing);
        let now = self.reactor.now();
        let drained_at = drain_until.map(|until| now + until.saturating_duration_since(clock()));
        let ticks_at = self.workers.as_ref().and_then(|workers| workers.wake_at());
        drained_at.into_iter().chain(ticks_at).chain(self.listener.wake_at(now)).min()
    }

    fn handle_signals(&mut self) {
        let Role::Leader(signals) = &mut self.role else { return };
        for signal in signals.pending() {
            match signal {
                SIGCHLD => self.workers.iter_mut().for_each(|workers| workers.reap_children()),
                signal::COUNTERS => log::info!(target: COUNTERS, "{}", self.shared.stats),
                _ => self.shared.shutdown.request(),
            }
        }
    }

    /// Does the work of the stages that have begun. A client that is connected when the server is
    /// told to stop, accepted or not, may have asked something, and is answered.
    fn advance_shutdown(&mut self) -> io::Result<()> {
        let shutdown = &self.shared.shutdown;
        if self.done < Stage::Emptying && shutdown.stage() == Stage::Emptying {
            self.drain_until = Some(clock() + self.drain_timeout);
            self.empty_accept_queue()?;
            self.done = Stage::Emptying;
            shutdown.arrive(Stage::Emptying);
        }
        if self.done == Stage::Emptying
            && !self.listener.is_closed()
            && shutdown.stage() == Stage::Closing
        {
            // Until all loops were here, the kernel may have given this one more clients.
            self.empty_accept_queue()?;
            self.drain();
        }
        Ok(())
    }

    /// Accepts the clients that were in the accept queue when the shutdown began. More clients may
    /// connect meanwhile, and a worker may take long to start: the number of clients is limited,
    /// and a second signal and the end of the drain time are checked for before each accept.
    fn empty_accept_queue(&mut self) -> io::Result<()> {
        // The listener's own event may be in this very batch, or still to come.
        self.listener.mark_readable();
        for _ in 0..self.queue_limit {
            self.handle_signals();
            let late = self.drain_until.is_some_and(|until| clock() >= until);
            if late || self.shared.shutdown.stage() == Stage::Over || !self.accept_one()? {
                break;
            }
        }
        Ok(())
    }

    fn drain(&mut self) {
        self.listener.close();
        if let Role::Leader(_) = self.role {
            log::info!("stopping; {} clients are being served", self.shared.limiter.serving());
        }
        self.reactor.drain();
        self.workers.iter_mut().for_each(|workers| workers.drain());
    }

    /// Ends the drain when no client is left, or its time is over.
    fn finish_drain(&mut self) {
        let Some(until) = self.drain_until else { return };
        let over = self.listener.is_closed() && self.len() == 0 || clock() >= until;
        if self.done < Stage::Closing && over {
            self.done = Stage::Closing;
            self.shared.shutdown.arrive(Stage::Closing);
        }
    }

    /// The number of connections of this loop, with those of its workers.
    fn len(&self) -> usize {
        self.reactor.len() + self.workers.as_ref().map_or(0, |workers| workers.len())
    }

    /// Accepts at most [`ACCEPTS_PER_TURN`] clients. Workers are slow to start, so signals are
    /// handled before each, and accepting ends with the stage.
    fn accept(&mut self) -> io::Result<()> {
        let stage = self.shared.shutdown.stage();
        for _ in 0..ACCEPTS_PER_TURN {
            if self.workers.is_some() {
                self.handle_signals();
            }
            if self.shared.shutdown.stage() != stage || !self.accept_one()? {
                break;
            }
        }
        Ok(())
    }

    /// Accepts a client, and serves or rejects it. False means that no client waits, or none may be
    /// accepted.
    fn accept_one(&mut self) -> io::Result<bool> {
        let reap = || self.workers.iter_mut().for_each(|workers| workers.reap());
        let Some(accepted) = self.listener.accept(self.reactor.now(), reap)? else {
            return Ok(false);
        };
        let Accepted { socket, address, admission } = accepted;
        let number = self.shared.stats.accepted();
        let fate = rejection::fate(&admission);
        log::debug!(target: TARGET, "accept: client {number} from {address}{fate}");
        match admission {
            Admission::Serve(permit) => {
                let waited = std::mem::take(&mut self.client_waits);
                self.shared.stats.connected(number, address, waited);
                self.serve(Arrival { client: Client { number, permit }, socket, address });
            }
            Admission::ReplyBusy(permit, rejection) => {
                self.shared.log_rejected(number, address, rejection, self.reactor.now());
                let arrival = Arrival { client: Client { number, permit }, socket, address };
                self.reject(arrival, rejection::service(rejection));
            }
            Admission::Shed(rejection) => {
                rejection::shed(&socket, rejection);
                self.close_rejected(socket, number, address, rejection);
            }
            Admission::Reset(rejection) => {
                rejection::reset_on_close(&socket);
                self.close_rejected(socket, number, address, rejection);
            }
        }
        Ok(true)
    }

    fn serve(&mut self, arrival: Arrival) {
        let (number, address) = (arrival.client.number, arrival.address);
        let now = self.reactor.now();
        let Some(workers) = &mut self.workers else {
            let session = self.sessions.serve(number, address, now);
            return self.add_inline(arrival, session);
        };
        if let Err((arrival, error)) = workers.start(arrival, &self.sessions, now) {
            let what = format_args!("cannot start a worker for client {number}");
            self.shared.log_limit.warn(what, &error, now);
            let permit = self.shared.limiter.rejection(Rejection::Full);
            let client = Client { permit, ..arrival.client };
            self.reject(Arrival { client, ..arrival }, Busy::unavailable());
        }
    }

    /// Tells a client why it is not served, in this loop, at the client's own pace.
    fn reject(&mut self, arrival: Arrival, service: Busy) {
        let session =
            self.sessions.with(Box::new(service), arrival.client.number, self.reactor.now());
        self.add_inline(arrival, session);
    }

    fn close_rejected(
        &mut self,
        socket: TcpStream,
        number: u64,
        address: SocketAddr,
        rejection: Rejection,
    ) {
        self.listener.close_into_spare(socket);
        self.shared.log_rejected(number, address, rejection, self.reactor.now());
        self.shared.stats.ended(rejection.close_reason());
    }

    /// Adds a connection to this loop's own.
    fn add_inline(&mut self, arrival: Arrival, session: Session) {
        let Arrival { client, socket, .. } = arrival;
        let socket = K::socket(socket, client.number);
        if let Err((client, error)) = self.reactor.add(socket, session, client) {
            let what = format_args!("cannot serve client {}", client.number);
            self.shared.log_limit.warn(what, &error, self.reactor.now());
            self.shared.stats.left(client, CloseReason::Lost);
        }
    }

    /// Counts out the clients that have left.
    fn reap(&mut self) {
        for (client, reason, socket) in self.reactor.take_closed() {
            self.shared.stats.left(client, reason);
            drop(socket);
            // What it has freed may be just what the machine had run out of.
            self.listener.end_backoff();
        }
        self.workers.iter_mut().for_each(|workers| workers.reap());
    }

    /// Ends the connections that are still open.
    fn cut(&mut self) {
        let left = self.len();
        if left > 0 {
            log::warn!("cutting off {left} clients");
        }
        self.reactor.cut();
        self.workers.iter_mut().for_each(|workers| workers.cut());
        self.reap();
    }
}

#[expect(clippy::disallowed_methods, reason = "a stop has its time whatever the loop does")]
fn clock() -> Instant {
    Instant::now()
}
