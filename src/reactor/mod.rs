//! The readiness loop: one thread, one [`Kernel`] to wait with, all the connections it can hold.
//!
//! [`Reactor::turn`] is the whole of it. An event is only a hint that marks its connection; the
//! marked connections then run, each until it must wait or has had its share, and all of them until
//! the turn has been [so long](SLICES_PER_TURN) that others may have come. A connection is
//! registered once, edge-triggered, for both directions, and never again.
//!
//! The reactor holds connections and knows nothing of where they come from. What else its owner
//! waits for (a listener, a waker, signals) is registered under one of the [`Source`] tokens, and
//! a turn returns which of them were marked.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::{Interest, Token, Waker};
use slab::Slab;

use crate::buffer::Pool;
use crate::drive::ready::{self, Outcome, Readable, Readiness};
use crate::service::WORK_PER_SLICE;
use crate::session::{CloseReason, Session};

mod kernel;
mod source;
mod timers;

pub use kernel::{Event, Kernel, Mio};
use source::FIRST_SOURCE;
pub use source::{ReadySources, Source};
use timers::Timers;

/// How much of a turn those may take who have much to compute: so many slices of
/// [`WORK_PER_SLICE`], before the kernel is asked again who else has come. A crowd of such clients
/// is not to stand before one who has just asked.
///
/// The ones that something has happened to have so many slices, and so have those who waited since
/// an earlier turn: so nobody waits for ever.
pub const SLICES_PER_TURN: usize = 4;

/// The same, in the unit of [`WORK_PER_SLICE`].
const WORK_PER_TURN: u64 = SLICES_PER_TURN as u64 * WORK_PER_SLICE as u64;

/// The timers that may fire in one turn, the earliest first; the others have not long to wait. A
/// crowd that has come together and was silent since is not to leave in one turn.
pub const TIMERS_PER_TURN: usize = 64;

/// The run queue of the connections that something has just happened to, and of those that used up
/// their budget in this turn.
const READY: usize = 0;

/// The run queue of the connections that an earlier turn has left.
const DEFERRED: usize = 1;

/// A connection, and what its owner calls it.
struct Connection<T, S> {
    socket: S,
    session: Session,
    ready: Readiness,
    /// Whether its key is in a queue.
    queued: bool,
    /// Its timer has fired since it ran last.
    expired: bool,
    data: T,
}

/// A readiness loop. `T` is what the owner knows of a connection; it comes back at the end.
pub struct Reactor<T, K: Kernel = Mio> {
    kernel: K,
    connections: Slab<Connection<T, K::Socket>>,
    /// The keys of the connections that can run: [`READY`] or [`DEFERRED`], oldest first. A key is
    /// in one queue at most, and there once.
    queues: [VecDeque<usize>; 2],
    timers: Timers,
    pool: Pool,
    /// When the last wait ended. Within a turn time stands still.
    now: Instant,
    /// The keys that are free as soon as no event of this turn can name them.
    finished: Vec<usize>,
    /// The connections that have ended, still open until the owner asks.
    closed: Vec<(T, CloseReason, K::Socket)>,
}

impl<T> Reactor<T> {
    /// An empty loop.
    pub fn new() -> io::Result<Self> {
        Mio::new().map(Self::with)
    }

    /// Waits for `source`, too.
    pub fn register(&self, source: &mut impl mio::event::Source, name: Source) -> io::Result<()> {
        self.kernel.poll.registry().register(source, name.token(), Interest::READABLE)
    }

    /// What another thread ends a wait with; it marks [`Source::Waker`].
    pub fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.kernel.poll.registry(), Source::Waker.token())
    }
}

impl<T, K: Kernel> Reactor<T, K> {
    /// An empty loop that waits with this kernel.
    pub fn with(kernel: K) -> Self {
        Self {
            connections: Slab::new(),
            queues: [VecDeque::new(), VecDeque::new()],
            timers: Timers::default(),
            pool: Pool::default(),
            now: kernel.now(),
            kernel,
            finished: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// When the last wait ended.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// Whether there is no connection.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// How many bytes of memory the connections hold in their buffers.
    pub fn bytes_held(&self) -> usize {
        self.connections.iter().map(|(_, connection)| connection.session.bytes_held()).sum()
    }

    /// How many bytes of memory the free buffers hold.
    pub fn bytes_pooled(&self) -> usize {
        self.pool.size()
    }

    /// How many timers are set: no more than one a connection.
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// Adds a connection; its session is opened in the next turn. If the socket cannot be
    /// registered, it is closed, and the owner's data comes back.
    pub fn add(
        &mut self,
        mut socket: K::Socket,
        session: Session,
        data: T,
    ) -> Result<(), (T, io::Error)> {
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        if let Err(error) = self.kernel.register(&mut socket, Token(key)) {
            return Err((data, error));
        }
        let ready = Readiness::default();
        entry.insert(Connection { socket, session, ready, queued: true, expired: false, data });
        self.queues[READY].push_back(key);
        Ok(())
    }

    /// One round. It waits no longer than to `wake_at`, and not at all while a connection can run.
    pub fn turn(&mut self, wake_at: Option<Instant>) -> io::Result<ReadySources> {
        self.wait(wake_at)?;
        self.now = self.kernel.now();
        let ready_sources = self.mark();
        self.expire();
        self.run();
        self.reap();
        Ok(ready_sources)
    }

    /// The connections that have ended since this was asked last, and why. The peer sees the end
    /// only when the socket is dropped: an owner can count it out before.
    pub fn take_closed(
        &mut self,
    ) -> impl Iterator<Item = (T, CloseReason, K::Socket)> + use<'_, T, K> {
        self.closed.drain(..)
    }

    /// From now on an empty socket is the end of input: every connection answers what has come, and
    /// ends.
    pub fn drain(&mut self) {
        for (key, connection) in &mut self.connections {
            connection.ready.readable = Readable::UntilBlockThenEof;
            queue(&mut self.queues[DEFERRED], key, connection);
        }
    }

    /// Ends every connection at once.
    pub fn cut(&mut self) {
        for (key, connection) in &mut self.connections {
            connection.session.cut(CloseReason::Forced);
            queue(&mut self.queues[DEFERRED], key, connection);
        }
        while self.has_work() {
            self.run();
        }
        self.reap();
    }

    /// The time it takes is counted from the beginning of the last turn: a timer may be late by as
    /// much as that turn took, and more where many fire at once.
    fn wait(&mut self, wake_at: Option<Instant>) -> io::Result<()> {
        let timeout = if self.has_work() {
            Some(Duration::ZERO)
        } else {
            let wake_at = wake_at.into_iter().chain(self.timers.next()).min();
            wake_at.map(|at| at.saturating_duration_since(self.now))
        };
        match self.kernel.wait(timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    fn mark(&mut self) -> ReadySources {
        let mut ready_sources = ReadySources::default();
        for event in self.kernel.events() {
            match event.token {
                Token(token) if token >= FIRST_SOURCE => ready_sources.mark(token),
                Token(key) => {
                    // A stale event of a connection that has gone marks another one, or none: at
                    // worst it costs a receive that would block.
                    if let Some(connection) = self.connections.get_mut(key) {
                        connection.ready.merge(event.ready);
                        queue(&mut self.queues[READY], key, connection);
                    }
                }
            }
        }
        ready_sources
    }

    fn expire(&mut self) {
        let mut fired = 0;
        while fired < TIMERS_PER_TURN
            && let Some(key) = self.timers.expired(self.now)
        {
            let connection = &mut self.connections[key];
            // A deadline that has moved on was left in its place until now.
            if let Some(later) = connection.session.deadline().filter(|&at| at > self.now) {
                self.timers.arm(key, Some(later));
                continue;
            }
            fired += 1;
            connection.expired = true;
            queue(&mut self.queues[READY], key, connection);
        }
    }

    /// Whether a connection is to run.
    fn has_work(&self) -> bool {
        self.queues.iter().any(|queue| !queue.is_empty())
    }

    /// Runs the connections that are ready, then those that are deferred; of either queue up to
    /// [`WORK_PER_TURN`]. A connection that uses up its budget is queued again behind the ready
    /// ones, and not run twice. All that are left are deferred: first the deferred connections, then
    /// the ready ones, then those that have run.
    fn run(&mut self) {
        for index in [READY, DEFERRED] {
            let mut work = 0;
            for _ in 0..self.queues[index].len() {
                if work >= WORK_PER_TURN {
                    break;
                }
                let Some(key) = self.queues[index].pop_front() else { break };
                work += u64::from(self.run_one(key));
            }
        }
        let [ready, deferred] = &mut self.queues;
        deferred.extend(ready.drain(..));
    }

    /// Runs a connection. Returns the work it was.
    fn run_one(&mut self, key: usize) -> u32 {
        let connection = &mut self.connections[key];
        connection.queued = false;
        let mut session = connection.session.activate(&mut self.pool, WORK_PER_SLICE, self.now);
        let (socket, ready) = (&mut connection.socket, &mut connection.ready);
        let mut outcome = ready::run(socket, &mut session, ready, self.now);
        // What has come in time counts, also when the loop comes too late to look.
        if std::mem::take(&mut connection.expired) && outcome == Outcome::Blocked {
            session.tick(self.now);
            outcome = ready::run(socket, &mut session, ready, self.now);
        }
        let work = session.work();
        match outcome {
            Outcome::Finished => self.finished.push(key),
            outcome => {
                self.timers.arm(key, session.deadline());
                drop(session);
                if outcome == Outcome::BudgetSpent {
                    queue(&mut self.queues[READY], key, connection);
                }
            }
        }
        work
    }

    /// Lets go of what has finished. Slots are freed only here, when all events of the turn were
    /// looked at, so none of them can mean a newer connection in the same slot.
    fn reap(&mut self) {
        for key in self.finished.drain(..) {
            let connection = self.connections.remove(key);
            self.timers.disarm(key);
            let ending =
                connection.session.close_reason().expect("a finished session has a reason");
            self.closed.push((connection.data, ending, connection.socket));
        }
    }
}

/// Puts a connection on a queue, unless it is on one.
#[inline]
fn queue<T, S>(keys: &mut VecDeque<usize>, key: usize, connection: &mut Connection<T, S>) {
    if !connection.queued {
        connection.queued = true;
        keys.push_back(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Peer, ServiceKind, ServiceSpec};

    /// The most memory that an idle connection may take, in bytes.
    const IDLE: usize = 256;

    /// What the allocator adds to a block, and what it rounds to, in bytes: glibc's on 64 bits.
    const BLOCK_HEAD: usize = 8;
    const BLOCK_STEP: usize = 16;

    /// Nothing else stays of a connection that waits: its buffers are empty. Who adds a field to it
    /// finds out here what ten thousand of them cost.
    #[test]
    fn an_idle_connection_fits_in_256_bytes() {
        // As the slab keeps it: a slot may be free. Mio's socket is std's, but for what it checks
        // in a debug build.
        let slot = size_of::<Option<Connection<[u64; 2], std::net::TcpStream>>>();
        let peer = Peer { number: 1, address: ([127, 0, 0, 1], 4242).into() };
        for kind in [ServiceKind::Echo, ServiceKind::Calc] {
            let spec = ServiceSpec::from(kind);
            let service = match size_of_val(spec.build(peer).as_ref()) {
                0 => 0,
                size => (size + BLOCK_HEAD).next_multiple_of(BLOCK_STEP),
            };
            let all = slot + timers::SIZE + service;
            assert!(all <= IDLE, "{spec:?}: {slot} + {} + {service}", timers::SIZE);
        }
    }
}
