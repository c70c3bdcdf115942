//! The models `thread` and `pool`: a thread for each client, started for it or beforehand. It waits
//! in its own system calls and serves one session from its first event to its last byte.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Instant;

use mio::{Registry, Waker};
use slab::Slab;

use super::config::Config;
use super::pool::Pool;
use super::shared::Shared;
use super::stats::{Client, Stats};
use super::workers::{Arrival, KILL_GRACE, Sessions, Workers};
use crate::drive::blocking;
use crate::drive::slots::Slots;
use crate::drive::timed_socket::{Ticks, TimedSocket};
use crate::error::Failure;
use crate::explain;
use crate::reactor::Source;
use crate::session::CloseReason;

/// The stack of a thread, in bytes: the deepest expression that the calculator accepts fits in half
/// of it.
const STACK_SIZE: usize = 512 * 1024;

/// The threads that serve clients.
pub(super) struct Threads {
    /// The threads that were started beforehand; none if each client's is started for it.
    pool: Option<Pool>,
    shared: Arc<ThreadState>,
    /// The time of the next tick for the threads that wait; none if no client has a thread.
    tick_at: Option<Instant>,
}

/// The state that the threads share with the loop that starts them.
struct ThreadState {
    /// The connections that have a thread. Weak, so that a connection closes with its thread.
    open: Mutex<Slab<Weak<ClientSocket>>>,
    /// Notified when a connection leaves `open`.
    left: Condvar,
    /// The slots for heavy work: many threads that compute would keep the others from running,
    /// and each has the memory of a calculation.
    slots: Slots,
    /// True once the server stops: an end of input is its doing.
    stops: AtomicBool,
    /// True once it cuts its clients: so is a reset.
    cuts: AtomicBool,
    stats: Arc<Stats>,
    /// Wakes the loop when a thread ends.
    waker: Waker,
}

/// A connection with a thread.
struct ClientSocket {
    /// Taken when the client leaves; in front of the socket, which closes after that.
    client: Mutex<Option<Client>>,
    /// Measures how long the thread waits for its client.
    ticks: Ticks,
    socket: TcpStream,
}

impl Threads {
    /// The threads of a loop: none yet.
    pub(super) fn of_loop(
        _: &Config,
        shared: &Shared,
        registry: &Registry,
        _: &Sessions,
    ) -> Result<Box<dyn Workers>, Failure> {
        Self::boxed(None, shared, registry)
    }

    /// A thread for each client that the server may have.
    pub(super) fn pool_of_loop(
        _: &Config,
        shared: &Shared,
        registry: &Registry,
        _: &Sessions,
    ) -> Result<Box<dyn Workers>, Failure> {
        let threads = shared.limiter.capacity().clients;
        let stops = || shared.stop_came.load(Ordering::Acquire);
        let pool = Pool::start(threads, STACK_SIZE, stops);
        let what = format_args!("start {threads} threads");
        Self::boxed(Some(pool.map_err(|error| Failure::cannot(what, &error))?), shared, registry)
    }

    fn boxed(
        pool: Option<Pool>,
        shared: &Shared,
        registry: &Registry,
    ) -> Result<Box<dyn Workers>, Failure> {
        let waker = Waker::new(registry, Source::Waker.token());
        Ok(Box::new(Self {
            pool,
            tick_at: None,
            shared: Arc::new(ThreadState {
                open: Mutex::default(),
                left: Condvar::new(),
                slots: Slots::for_this_machine(),
                stops: AtomicBool::default(),
                cuts: AtomicBool::default(),
                stats: Arc::clone(&shared.stats),
                waker: waker.map_err(|error| Failure::cannot("set up the loop", &error))?,
            }),
        }))
    }

    /// Serves a client in a thread.
    fn run(&self, client: u64, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        if let Some(pool) = &self.pool {
            pool.run(Box::new(body));
            return Ok(());
        }
        let named = thread::Builder::new().name(format!("client {client}"));
        named.stack_size(STACK_SIZE).spawn(body).map(drop)
    }

    /// Shuts down the sockets that are `chosen`.
    fn shut_down(&self, how: Shutdown, chosen: impl Fn(&ClientSocket) -> bool) {
        let open = self.shared.open();
        for connection in open.iter().filter_map(|(_, it)| it.upgrade()).filter(|it| chosen(it)) {
            // A connection that the peer has reset meanwhile needs no waking.
            connection.socket.shutdown(how).ok();
        }
    }
}

impl Workers for Threads {
    fn start(
        &mut self,
        arrival: Arrival,
        sessions: &Sessions,
        now: Instant,
    ) -> Result<(), (Arrival, io::Error)> {
        let Arrival { client, socket, address } = arrival;
        let number = client.number;
        let mut session = sessions.serve(number, address, now);
        let socket = TcpStream::from(socket);
        let client = Mutex::new(Some(client));
        let connection = Arc::new(ClientSocket { client, ticks: Ticks::default(), socket });
        let key = self.shared.open().insert(Arc::downgrade(&connection));
        let (own, shared) = (Arc::clone(&connection), Arc::clone(&self.shared));
        let body = move || {
            let mut guard = ExitGuard { key, reason: CloseReason::Broken, connection: own, shared };
            let ThreadState { slots, stops, cuts, .. } = &*guard.shared;
            let stopped = || stops.load(Ordering::Acquire);
            let ClientSocket { socket, ticks, .. } = &*guard.connection;
            let mut socket = TimedSocket::new(socket, ticks, stopped);
            blocking::serve(&mut socket, &mut session, now, Some(slots));
            let reason = session.close_reason().unwrap_or(CloseReason::Broken);
            let cut = cuts.load(Ordering::Acquire);
            guard.reason = if cut { reason.or_forced() } else { reason };
        };
        let blocks = connection.socket.set_nonblocking(false);
        let started = blocks.and_then(|()| self.run(number, body));
        let Err(error) = started else {
            // A thread that explains itself has a timeout in each wait.
            if !explain::is_enabled() {
                self.tick_at.get_or_insert(now + Ticks::PERIOD);
            }
            return Ok(());
        };
        self.shared.open().remove(key);
        let connection = Arc::into_inner(connection).expect("only a thread would have shared it");
        let client = connection.client.into_inner().unwrap_or_else(PoisonError::into_inner);
        let client = client.expect("only a thread would have taken it");
        connection.socket.set_nonblocking(true).ok();
        let socket = mio::net::TcpStream::from_std(connection.socket);
        Err((Arrival { client, socket, address }, error))
    }

    fn len(&self) -> usize {
        self.shared.open().len()
    }

    fn wake_at(&self) -> Option<Instant> {
        self.tick_at
    }

    /// Counts a tick of all threads that wait, if it is time.
    fn tick(&mut self, now: Instant) {
        if self.tick_at.is_some_and(|at| at <= now) {
            self.tick_at = Some(now + Ticks::PERIOD).filter(|_| self.len() > 0);
            self.shut_down(Shutdown::Read, |it| it.ticks.count(&it.socket));
        }
    }

    /// Shuts down the receiving half of every socket. That ends the wait of a thread in its system
    /// call; what came before can still be received. It hides the peer's FIN, so a thread that
    /// is stopped closes without lingering; a loop lingers.
    fn drain(&mut self) {
        self.shared.stops.store(true, Ordering::Release);
        self.shut_down(Shutdown::Read, |_| true);
    }

    /// Shuts down every socket, and gives the threads time to finish their sessions.
    fn cut(&mut self) {
        self.shared.stops.store(true, Ordering::Release);
        self.shared.cuts.store(true, Ordering::Release);
        self.shut_down(Shutdown::Both, |_| true);
        self.shared.slots.close();
        let shared = &self.shared;
        let some = |open: &mut Slab<_>| !open.is_empty();
        // A thread that has not ended by then ends with the process.
        let waited = shared.left.wait_timeout_while(shared.open(), KILL_GRACE, some);
        drop(waited);
    }
}

impl ThreadState {
    fn open(&self) -> MutexGuard<'_, Slab<Weak<ClientSocket>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a client out when its thread ends, also by a panic: a fault of ours must not keep a
/// permit for good.
struct ExitGuard {
    key: usize,
    reason: CloseReason,
    connection: Arc<ClientSocket>,
    shared: Arc<ThreadState>,
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        let mut client = self.connection.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = client.take() {
            self.shared.stats.left(client, self.reason);
        }
        self.shared.open().remove(self.key);
        self.shared.left.notify_all();
        // The loop may wait for the last client, or for a permit.
        self.shared.waker.wake().ok();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;
    use crate::net::limiter::{Capacity, WhenFull};
    use crate::service::ServiceKind;
    use crate::session::{Context, Limits};

    /// The most ticks that the test counts, a millisecond apart.
    const MOST_TICKS: usize = 60_000;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
    fn a_client_that_is_silent_for_minutes_is_closed_by_ticks() {
        let when_full = WhenFull::Reply;
        let capacity = Capacity { clients: 1, per_source: None, rejected: 1, when_full };
        let shared = Shared::new(capacity, vec![Arc::default()], Arc::default());
        let poll = mio::Poll::new().unwrap();
        let mut threads = Threads::boxed(None, &shared, poll.registry()).unwrap();
        let context = Arc::new(Context::from(Limits::default()));
        let sessions = Sessions { service: ServiceKind::Calc.into(), context };

        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, address) = listener.accept().unwrap();
        let permit = shared.limiter.try_acquire(address.ip()).ok().unwrap();
        let client = Client { number: shared.stats.accepted(), permit };
        let socket = mio::net::TcpStream::from_std(socket);
        let mut now = Instant::now();
        assert!(threads.start(Arrival { client, socket, address }, &sessions, now).is_ok());
        peer.write_all(b"1 + 2\n").unwrap();
        peer.read_exact(&mut [0; 2]).unwrap();

        peer.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let is_closed = (0..MOST_TICKS).any(|_| {
            now = threads.wake_at().expect("a client has a thread");
            threads.tick(now);
            match peer.read(&mut [0]) {
                Ok(n) => n == 0,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    false
                }
            }
        });
        assert!(is_closed);
        while threads.len() > 0 {
            thread::yield_now();
        }
        assert!(shared.stats.to_string().contains(" idle=1 "), "{}", shared.stats);
        threads.tick(now + Ticks::PERIOD);
        assert_eq!(threads.wake_at(), None, "nobody waits");
    }
}
