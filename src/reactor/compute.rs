//! The thread in which a loop computes its heavy messages, one at a time.
//!
//! An evaluation is not interrupted, and may take 50 ms, for which a loop that computed it would
//! serve nobody. So the session moves to this thread and, with the reply in its outbox, back. The
//! loop keeps the socket meanwhile. Nothing is shared, and nothing is locked.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use rustix::event::{EventfdFlags, eventfd};

use super::connection::{HEAVY, READY};
use super::{Kernel, Reactor, Source};
use crate::buffer::Pool;
use crate::drive::{Socket, close_reason_of};
use crate::service::WORK_PER_SLICE;
use crate::session::Session;

/// A connection whose session is away.
#[derive(Debug)]
pub(super) struct Computing {
    key: usize,
    since: Instant,
}

impl<T, K: Kernel> Reactor<T, K> {
    /// Begins to compute the message of the heavy connection that has waited longest, if no other
    /// is being computed. Its timer rests meanwhile.
    pub(super) fn run_heavy(&mut self) {
        if self.computing.is_some() {
            return;
        }
        let Some(key) = self.queues[HEAVY].pop_front() else { return };
        let connection = &mut self.connections[key];
        // Nobody waits for a reply that cannot arrive.
        if let Some(error) = connection.socket.take_error() {
            connection.session().cut(close_reason_of(&error)); // mutant: compute-for-nobody
        }
        if connection.is_heavy()
            && let Some(compute) = self.kernel.compute()
            && let Some(session) = connection.session.take()
        {
            self.timers.disarm(key);
            let (now, connections) = (self.now, self.connections.len());
            compute.begin(Computation { session, now, connections });
            self.computing = Some(Computing { key, since: now });
        } else {
            self.work += u64::from(self.run_one(key));
        }
    }

    /// Queues the connection whose message is computed.
    pub(super) fn take_computed(&mut self) {
        if self.computing.is_some()
            && let Some(session) = self.kernel.compute().and_then(Compute::finished)
        {
            self.take_back(session);
        }
    }

    /// Waits for the message that is being computed, if there is one.
    pub(super) fn await_computed(&mut self) {
        if self.computing.is_some() {
            let session = self.kernel.compute().expect("a message is being computed").finish();
            self.take_back(session);
        }
    }

    /// Returns a session to its connection, whose message is computed. The time that it was away
    /// is not the peer's.
    fn take_back(&mut self, mut session: Session) {
        let Computing { key, since } = self.computing.take().expect("one session is away");
        session.delay(self.now - since); // mutant: count-a-computation-as-silence
        let connection = &mut self.connections[key];
        connection.session = Some(session);
        self.queues[READY].push_back(key); // mutant: lose-the-computed
    }
}

/// A session whose next message is heavy, on its way to where it is computed.
pub struct Computation {
    /// The session.
    pub session: Session,
    /// The time at which it was handed over.
    pub now: Instant,
    /// The number of connections of the loop, with which the session shares memory.
    pub connections: usize,
}

impl Computation {
    /// Computes the message, with buffers from `pool`.
    pub fn run(mut self, pool: &mut Pool) -> Session {
        pool.set_connections(self.connections);
        drop(self.session.activate(pool, WORK_PER_SLICE, self.now));
        self.session
    }
}

/// A place beside the loop where heavy messages are computed, one at a time.
pub trait Compute {
    /// Begins to compute a message. When that is done, the loop's wait ends.
    fn begin(&mut self, computation: Computation);

    /// Takes the session whose message is computed, if it is.
    fn finished(&mut self) -> Option<Session>;

    /// Waits for the session whose message is being computed.
    fn finish(&mut self) -> Session;
}

/// The loop's end of its compute thread. The thread is started for the first heavy message, and
/// ends with its loop.
#[derive(Debug, Default)]
pub(super) struct ComputeThread(Option<Channels>);

#[derive(Debug)]
struct Channels {
    computations: Sender<Computation>,
    sessions: Receiver<Session>,
    /// The thread's own would be closed before its last wake-up is seen.
    _event: Arc<OwnedFd>,
}

impl ComputeThread {
    /// Starts the thread, unless it runs. It marks [`Source::Computed`] whenever a message is
    /// computed.
    pub(super) fn started(&mut self, registry: &Registry) -> io::Result<&mut Self> {
        if self.0.is_none() {
            self.0 = Some(start(registry)?);
        }
        Ok(self)
    }

    fn channels(&self) -> &Channels {
        self.0.as_ref().expect("the thread was started")
    }
}

fn start(registry: &Registry) -> io::Result<Channels> {
    // Not a Waker of mio, of which a loop may have one already, and no second.
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let mut source = SourceFd(&event.as_raw_fd());
    registry.register(&mut source, Source::Computed.token(), Interest::READABLE)?;
    let event = Arc::new(event);
    let wake = WakeOnDrop(Arc::clone(&event));
    let (computations, received) = mpsc::channel::<Computation>();
    let (computed, sessions) = mpsc::channel();
    let own_thread = thread::current();
    let name = own_thread.name().and_then(|name| name.strip_prefix("loop "));
    let name = name.map_or("compute".to_owned(), |number| format!("compute {number}"));
    thread::Builder::new().name(name).spawn(move || {
        // It is dropped last: by then a panic has closed the channel, which the loop sees.
        let wake = wake;
        let (mut pool, computed) = (Pool::default(), computed);
        for computation in received {
            if computed.send(computation.run(&mut pool)).is_err() {
                return;
            }
            wake.wake();
        }
    })?;
    Ok(Channels { computations, sessions, _event: event })
}

impl Compute for ComputeThread {
    fn begin(&mut self, computation: Computation) {
        self.channels().computations.send(computation).unwrap_or_else(|_| panicked());
    }

    fn finished(&mut self) -> Option<Session> {
        match self.channels().sessions.try_recv() {
            Ok(session) => Some(session),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => panicked(),
        }
    }

    fn finish(&mut self) -> Session {
        self.channels().sessions.recv().unwrap_or_else(|_| panicked())
    }
}

/// Ends the loop by the fault that has ended its thread.
fn panicked() -> ! {
    panic!("the compute thread has panicked");
}

/// Wakes the loop when the thread ends.
struct WakeOnDrop(Arc<OwnedFd>);

impl WakeOnDrop {
    /// Adds 1 to the counter, which is an event each time, though nobody reads it (eventfd(2)).
    fn wake(&self) {
        rustix::io::write(&*self.0, &1_u64.to_ne_bytes()).expect("the counter has 64 bits");
    }
}

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.wake();
    }
}
