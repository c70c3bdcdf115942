//! A thread for each client: it waits in its own system calls and serves one session from its first
//! event to its last byte. The acceptor lets it go, hears when it is done, and can wake it.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use mio::Waker;
use slab::Slab;

use crate::drive::blocking::{self, TimedSocket};
use crate::net::limited_listener::ClientId;
use crate::service::MAX_SLEEP;
use crate::session::{CloseReason, Session};

/// A thread's stack, in bytes: the deepest expression that the calculator accepts fits in half of
/// it.
const STACK_SIZE: usize = 512 * 1024;

/// How long a connection that was cut may take to end: a thread that sleeps for its service, which
/// is no more than [`MAX_SLEEP`], is not woken.
const KILL_GRACE: Duration = Duration::from_secs(1);

const _: () = assert!(KILL_GRACE.as_millis() > MAX_SLEEP.as_millis());

/// The threads that serve clients.
pub(super) struct Threads {
    /// Each client's socket. Weak, so that the connection closes when its thread lets go of it.
    sockets: Slab<Weak<TcpStream>>,
    departures: Receiver<(usize, ClientId, CloseReason)>,
    report: Sender<(usize, ClientId, CloseReason)>,
    waker: Arc<Waker>,
    stopping: Arc<AtomicBool>,
}

impl Threads {
    /// None yet. `waker` wakes the acceptor when one ends.
    pub(super) fn new(waker: Waker) -> Self {
        let (report, departures) = mpsc::channel();
        let (sockets, waker) = (Slab::new(), Arc::new(waker));
        Self { sockets, departures, report, waker, stopping: Arc::default() }
    }

    /// Starts one more. If the machine has no thread to give, the socket comes back.
    pub(super) fn start(
        &mut self,
        socket: mio::net::TcpStream,
        session: Session,
        guest: ClientId,
    ) -> Result<(), (mio::net::TcpStream, io::Error)> {
        let socket = Arc::new(TcpStream::from(socket));
        let entry = self.sockets.vacant_entry();
        let (key, own) = (entry.key(), Arc::clone(&socket));
        let (report, waker) = (self.report.clone(), Arc::clone(&self.waker));
        let stopping = Arc::clone(&self.stopping);
        let body = move || {
            // Closed after the departure is reported: who has seen the end of its own connection
            // and comes again finds its place free.
            let own = own;
            let mut guard = ExitGuard { key, guest, ending: CloseReason::Broken, report, waker };
            // Dropped before the departure, whatever happens: when that is reported, the service
            // has recorded all that it wants to.
            let mut session = session;
            blocking::serve(&mut TimedSocket::new(&own, &stopping), &mut session);
            guard.ending = session.close_reason().unwrap_or(CloseReason::Broken);
        };
        let started = socket.set_nonblocking(false).and_then(|()| {
            let name = format!("client {}", guest.number);
            thread::Builder::new().name(name).stack_size(STACK_SIZE).spawn(body)
        });
        match started {
            Ok(_) => {
                entry.insert(Arc::downgrade(&socket));
                Ok(())
            }
            Err(error) => {
                let socket = Arc::into_inner(socket).expect("only the thread would have shared it");
                socket.set_nonblocking(true).ok();
                Err((mio::net::TcpStream::from_std(socket), error))
            }
        }
    }

    /// Those that have ended since this was asked last, and why.
    pub(super) fn take_closed(
        &mut self,
    ) -> impl Iterator<Item = (ClientId, CloseReason)> + use<'_> {
        self.departures.try_iter().map(|(key, guest, ending)| {
            self.sockets.remove(key);
            (guest, ending)
        })
    }

    /// From now on an empty socket is the end of input. Shutting down the receiving half is what
    /// wakes a thread out of its system call; what came before can still be received.
    pub(super) fn drain(&self) {
        self.stopping.store(true, Ordering::Release);
        self.shut_down(Shutdown::Read);
    }

    /// Ends every connection at once. The threads have a moment to let go of their sessions, in
    /// which a service records what it must.
    pub(super) fn cut(&mut self) -> Vec<(ClientId, CloseReason)> {
        let mut take_closed: Vec<_> = self.take_closed().collect();
        self.shut_down(Shutdown::Both);
        while !self.sockets.is_empty() {
            let Ok((key, guest, ending)) = self.departures.recv_timeout(KILL_GRACE) else { break };
            self.sockets.remove(key);
            take_closed.push((guest, ending.or_forced()));
        }
        take_closed
    }

    fn shut_down(&self, how: Shutdown) {
        for socket in self.sockets.iter().filter_map(|(_, socket)| socket.upgrade()) {
            // A connection that the peer has reset meanwhile needs no waking.
            socket.shutdown(how).ok();
        }
    }
}

/// Reports the end of a thread when it is dropped: also when the thread panics, so that a fault of
/// ours does not take a place for good.
struct ExitGuard {
    key: usize,
    guest: ClientId,
    ending: CloseReason,
    report: Sender<(usize, ClientId, CloseReason)>,
    waker: Arc<Waker>,
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        // Nobody listens any more only when the process is about to end.
        self.report.send((self.key, self.guest, self.ending)).ok();
        self.waker.wake().ok();
    }
}
