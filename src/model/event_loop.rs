//! The thread that accepts: the door, the loop, the signals and the stop, for every model.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Waker;
use mio::net::TcpStream;
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0::Signals;
use socket2::SockRef;

use super::process::Processes;
use super::shutdown::{LoopGroup, ShutdownStage};
use super::threads::Threads;
use super::workers::Workers;
use super::{COUNTERS, Config, Model};
use crate::error::Failure;
use crate::net::limited_listener::{Admission, ClientId, LimitedListener};
use crate::reactor::{Reactor, Source};
use crate::service::{BUSY_TEXT, Busy, Peer, Service, ServiceSpec};
use crate::session::{CloseReason, Limits, Session};

/// The most clients accepted in one turn; a crowd at the door does not keep those inside waiting.
const ACCEPTS_PER_TURN: usize = 64;

/// The most clients accepted when the server stops: more than the accept queue holds, and yet a
/// number, so that a stop ends while clients keep coming.
const ACCEPTS_AT_STOP: usize = 65_536;

/// What is received from a client that must be let go at once, in bytes.
const SHED_INPUT: u64 = 4096;

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Serving,
    /// Those who waited at the door have been let in. Others still are, until the doors of all
    /// loops can be closed.
    Emptied,
    /// No one is let in any more; those inside have until this time.
    Draining {
        until: Instant,
    },
    /// Those still inside are sent away.
    Over,
}

pub(super) struct EventLoop<'a> {
    door: LimitedListener,
    reactor: Reactor<ClientId>,
    /// Only the first loop of a server has them.
    signals: Option<Signals>,
    workers: Workers,
    spec: ServiceSpec,
    limits: Arc<Limits>,
    drain_timeout: Duration,
    course: Course,
    group: &'a LoopGroup,
}

impl<'a> EventLoop<'a> {
    pub(super) fn new(
        mut door: LimitedListener,
        config: &Config,
        spec: ServiceSpec,
        limits: Arc<Limits>,
        group: &'a LoopGroup,
    ) -> Result<Self, Failure> {
        let cannot = |error: io::Error| Failure::cannot("set up the loop", &error);
        let reactor = Reactor::new().map_err(cannot)?;
        if let Some(listener) = door.listener() {
            reactor.register(listener, Source::Listener).map_err(cannot)?;
        }
        let workers = match config.model {
            Model::Loop | Model::Single | Model::Sharded => Workers::Inline,
            Model::Thread => Workers::Threads(Threads::new(reactor.waker().map_err(cannot)?)),
            Model::Process => {
                let traffic = Arc::clone(&limits.traffic);
                let processes = Processes::new(&config.service_options, traffic).map_err(cannot)?;
                Workers::Processes(processes)
            }
        };
        let (drain_timeout, course) = (config.drain_timeout, Course::Serving);
        let signals = None;
        Ok(Self { door, reactor, signals, workers, spec, limits, drain_timeout, course, group })
    }

    /// This is the one of the server's loops that signals come to.
    pub(super) fn register_signals(&mut self) -> io::Result<()> {
        let signals = self.signals.insert(Signals::new([SIGCHLD, SIGINT, SIGTERM, SIGUSR1])?);
        self.reactor.register(signals, Source::Signals)
    }

    /// What the other loops wake this one with.
    pub(super) fn waker(&self) -> io::Result<Waker> {
        self.reactor.waker()
    }

    pub(super) fn run(&mut self) -> Result<(), Failure> {
        while self.course != Course::Over {
            let wake_at = self.wake_at();
            let marks =
                self.reactor.turn(wake_at).map_err(|error| Failure::cannot("wait", &error))?;
            if marks.contains(Source::Signals) {
                self.handle_signals();
            }
            if marks.contains(Source::Listener) {
                self.door.mark_readable();
            }
            self.advance_shutdown().map_err(|error| cannot_accept(&error))?;
            self.reap();
            let register = |door: &mut _| self.reactor.register(door, Source::Listener);
            self.door.resume_listening(self.reactor.now(), register);
            self.admit(ACCEPTS_PER_TURN).map_err(|error| cannot_accept(&error))?;
            self.finish_drain();
        }
        self.cut();
        if self.signals.is_none() {
            self.group.ended();
        }
        Ok(())
    }

    fn wake_at(&self) -> Option<Instant> {
        match self.course {
            Course::Serving | Course::Emptied => self.door.wake_at(self.reactor.now()),
            Course::Draining { until } => Some(until),
            Course::Over => None,
        }
    }

    fn handle_signals(&mut self) {
        for signal in self.signals.iter_mut().flat_map(Signals::pending) {
            match signal {
                SIGCHLD => self.workers.reap(),
                SIGUSR1 => log::info!(target: COUNTERS, "{}", self.group.stats),
                _ => self.group.stop(),
            }
        }
    }

    /// Goes as far as all loops have come. The first signal to stop lets nobody in any more and
    /// waits for those inside; the second does not wait.
    fn advance_shutdown(&mut self) -> io::Result<()> {
        if self.course == Course::Serving && self.group.stage() == ShutdownStage::Emptying {
            // The listener's own event may be in this very batch, or still to come.
            self.door.mark_readable();
            self.admit(ACCEPTS_AT_STOP)?;
            self.course = Course::Emptied;
            self.group.backlog_drained();
        }
        if self.course == Course::Emptied && self.group.stage() == ShutdownStage::Closing {
            self.door.mark_readable();
            self.admit(ACCEPTS_AT_STOP)?;
            self.drain();
        }
        if self.group.stage() == ShutdownStage::Over {
            self.course = Course::Over;
        }
        Ok(())
    }

    /// Whoever is connected by now, accepted or not, may have asked something and is answered.
    fn drain(&mut self) {
        self.door.close();
        if self.signals.is_some() {
            log::info!("stopping; {} clients are being served", self.group.room.served());
        }
        self.course = Course::Draining { until: self.reactor.now() + self.drain_timeout };
        self.reactor.drain();
        self.workers.drain();
    }

    /// Lets in those who wait, or tells them that the server is full; no more than `most`.
    fn admit(&mut self, most: usize) -> io::Result<()> {
        for _ in 0..most {
            let now = self.reactor.now();
            let Some((socket, address)) = self.door.accept(now)? else { break };
            // It may be one that has just left, and comes again.
            self.reap();
            let guest = self.door.admit();
            self.group.stats.accepted();
            match guest.admission {
                Admission::Serve => self.serve(socket, address, guest),
                Admission::ReplyBusy => self.reject(socket, address, guest),
                Admission::Shed => self.shed(socket, address, guest),
                Admission::Reset => self.reset(socket, address, guest),
            }
        }
        Ok(())
    }

    fn serve(&mut self, socket: TcpStream, address: SocketAddr, mut guest: ClientId) {
        let number = guest.number;
        log::info!("client {number} connected from {address} ({} now)", self.group.room.served());
        let peer = Peer { number, address };
        let session = self.session(self.spec.build(peer), &guest);
        let started = match &mut self.workers {
            Workers::Inline => return self.add_inline(socket, session, guest),
            Workers::Threads(threads) => threads.start(socket, session, guest),
            Workers::Processes(processes) => processes.start(socket, address, guest),
        };
        if let Err((socket, error)) = started {
            let what = format_args!("nobody can serve client {number}");
            self.door.warn(what, &error, self.reactor.now());
            self.door.reject(&mut guest);
            self.reject(socket, address, guest);
        }
    }

    fn reject(&mut self, socket: TcpStream, address: SocketAddr, guest: ClientId) {
        self.log_rejected(guest.number, address);
        let session = self.session(Box::new(Busy), &guest);
        self.add_inline(socket, session, guest);
    }

    /// Tells a client that the server is full as well as it can be done at once. What it has sent
    /// is received first: unread, it would turn our close into a reset that destroys the text.
    fn shed(&mut self, mut socket: TcpStream, address: SocketAddr, guest: ClientId) {
        // Whatever fails here, the client is let go.
        socket.write_all(BUSY_TEXT.as_bytes()).ok();
        socket.shutdown(Shutdown::Write).ok();
        io::copy(&mut Read::take(&mut socket, SHED_INPUT), &mut io::sink()).ok();
        self.door.close_into_spare(socket);
        self.log_rejected(guest.number, address);
        self.group.stats.ended(CloseReason::Refused);
    }

    /// Closes a connection in such a way that the client sees a reset.
    fn reset(&mut self, socket: TcpStream, address: SocketAddr, guest: ClientId) {
        // If it has gone already, it needs no reset.
        SockRef::from(&socket).set_linger(Some(Duration::ZERO)).ok();
        self.door.close_into_spare(socket);
        self.log_rejected(guest.number, address);
        self.group.stats.ended(CloseReason::Refused);
    }

    /// Says who was turned away: a crowd at the door does not fill the log.
    fn log_rejected(&self, number: u64, address: SocketAddr) {
        if let Some(suppressed) = self.group.room.count_rejection(self.reactor.now()) {
            let more = match suppressed {
                0 => String::new(),
                suppressed => format!(" (and {suppressed} before it)"),
            };
            log::info!("client {number} from {address} turned away: the server is full{more}");
        }
    }

    fn session(&self, service: Box<dyn Service>, guest: &ClientId) -> Session {
        Session::new(service, Arc::clone(&self.limits), guest.number, self.reactor.now())
    }

    /// Gives a connection a place in this thread's own loop.
    fn add_inline(&mut self, socket: TcpStream, session: Session, guest: ClientId) {
        if let Err(error) = self.reactor.add(socket, session, guest) {
            let what = format_args!("client {} cannot be served", guest.number);
            self.door.warn(what, &error, self.reactor.now());
            connection_ended(&mut self.door, self.group, guest, CloseReason::Lost);
        }
    }

    /// Notes who has left.
    fn reap(&mut self) {
        for (guest, ending, socket) in self.reactor.take_closed() {
            connection_ended(&mut self.door, self.group, guest, ending);
            // Whoever sees the end of its connection, and comes again to whichever loop, finds its
            // place free.
            drop(socket);
        }
        for (guest, ending) in self.workers.take_closed() {
            connection_ended(&mut self.door, self.group, guest, ending);
        }
    }

    /// A drain ends when nobody is left or its time is over. The loop that hears the signals is the
    /// last to end.
    fn finish_drain(&mut self) {
        if let Course::Draining { until } = self.course {
            let alone = self.signals.is_none() || self.group.is_last();
            if self.door.is_empty() && alone || self.reactor.now() >= until {
                self.course = Course::Over;
            }
        }
    }

    /// Sends away whoever is still there.
    fn cut(&mut self) {
        let left = self.door.served();
        if left > 0 {
            log::warn!("{left} clients are cut off");
        }
        self.reactor.cut();
        for (guest, ending) in self.workers.cut() {
            connection_ended(&mut self.door, self.group, guest, ending);
        }
        self.reap();
    }
}

fn cannot_accept(error: &io::Error) -> Failure {
    Failure::cannot("accept clients", error)
}

fn connection_ended(
    door: &mut LimitedListener,
    group: &LoopGroup,
    guest: ClientId,
    ending: CloseReason,
) {
    door.left(&guest);
    if guest.admission == Admission::Serve {
        group.stats.ended(ending);
        log::info!("client {} left: {ending} ({} now)", guest.number, group.room.served());
    } else {
        group.stats.ended(CloseReason::Refused);
        log::debug!("client {} left: {}", guest.number, CloseReason::Refused);
    }
}
