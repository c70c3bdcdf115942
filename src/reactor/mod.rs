//! The readiness loop: one thread, one [`Kernel`] to wait with, any number of connections.
//!
//! [`Reactor::turn`] is the whole loop. An event is only a hint that marks its connection. The
//! marked connections then run, each until it must wait, its budget is used up, or its next message
//! is heavy, and after them those that earlier turns have left, each group for about the work of
//! [`SLICES_PER_TURN`] full slices, before the kernel is asked for events again. A heavy message is
//! computed in another thread ([`Compute`]). A connection is registered once, edge-triggered, for
//! both directions.
//!
//! The reactor owns connections and does not know where they come from. Anything else that its
//! owner waits for (a listener, a waker, signals) is registered as a [`Source`], and a turn returns
//! the sources that had an event.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use mio::{Interest, Registry, Token, Waker};
use slab::Slab;

use crate::buffer::Pool;
use crate::drive::ready::{self, Outcome, Readable, Readiness};
use crate::service::WORK_PER_SLICE;
use crate::session::{CloseReason, Session};

mod compute;
mod connection;
mod explained;
mod kernel;
mod poll;
mod source;
mod timers;
mod wait;

use compute::Computing;
pub use compute::{Computation, Compute};
use connection::{Connection, LEFT, READY, queue};
pub use explained::Explained;
pub use kernel::{Calls, Event, Kernel, Mio, SystemKernel};
pub use poll::Poll;
use source::FIRST_SOURCE;
pub use source::{ReadySources, Source};
use timers::Timers;

/// The most full slices of [`WORK_PER_SLICE`] that run in one turn of the connections that had an
/// event, and again of those that earlier turns have left. It bounds the time until a new request
/// is seen while many clients compute. Each has a bound of its own, so new events cannot starve the
/// connections that are left.
pub const SLICES_PER_TURN: usize = 4;

/// The same in products of 64-bit limbs.
const WORK_PER_TURN: u64 = SLICES_PER_TURN as u64 * WORK_PER_SLICE as u64;

/// The most timers that fire in one turn, the earliest first; the others fire in the next turns.
/// Clients that connected together and were silent since would otherwise all be closed in one turn.
pub const TIMERS_PER_TURN: usize = 64;

/// A readiness loop. `T` is the owner's data about a connection, returned when the connection ends.
pub struct Reactor<T, K: Kernel = Mio> {
    kernel: K,
    connections: Slab<Connection<T, K::Socket>>,
    /// The keys of the connections that can run, oldest first, by [`READY`], [`LEFT`] and
    /// [`HEAVY`](connection::HEAVY). A key is in at most one queue, and only once.
    queues: [VecDeque<usize>; 3],
    /// The connection whose message is computed beside the loop.
    computing: Option<Computing>,
    timers: Timers,
    pool: Pool,
    /// The time at the end of the last wait, used for the whole turn.
    now: Instant,
    /// The work since the clock was last read, in products of 64-bit limbs.
    work: u64,
    /// The keys of connections that finished in this turn. They are freed when all its events are
    /// handled.
    finished: Vec<usize>,
    /// The connections that have ended. Their sockets stay open until the owner takes them.
    closed: Vec<(T, CloseReason, K::Socket)>,
}

impl<T, K: SystemKernel> Reactor<T, K> {
    /// An empty loop.
    pub fn new() -> io::Result<Self> {
        K::new().map(Self::with)
    }

    /// The registry for sources other than connections, under the tokens of [`Source`].
    pub fn registry(&self) -> &Registry {
        self.kernel.registry()
    }

    /// Registers something else to wait for. Its events mark `name`.
    pub fn register(&self, source: &mut impl mio::event::Source, name: Source) -> io::Result<()> {
        self.registry().register(source, name.token(), Interest::READABLE)
    }

    /// A handle with which another thread ends a wait. It marks [`Source::Waker`].
    pub fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.registry(), Source::Waker.token())
    }
}

impl<T, K: Kernel> Reactor<T, K> {
    /// An empty loop that waits with `kernel`.
    pub fn with(kernel: K) -> Self {
        Self {
            connections: Slab::new(),
            queues: [const { VecDeque::new() }; 3],
            computing: None,
            timers: Timers::default(),
            pool: Pool::default(),
            now: kernel.now(),
            work: 0,
            kernel,
            finished: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// The time at the end of the last wait.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The number of connections.
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// True if there is no connection.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// The size of the memory in the connections' buffers, in bytes.
    pub fn bytes_held(&self) -> usize {
        let sessions = self.connections.iter().filter_map(|(_, it)| it.session.as_ref());
        sessions.map(Session::bytes_held).sum()
    }

    /// The size of the memory in free buffers, in bytes.
    pub fn bytes_pooled(&self) -> usize {
        self.pool.size()
    }

    /// The number of timers that are set, at most one per connection.
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// Adds a connection, whose session is opened in the next turn. If the socket cannot be
    /// registered, it is closed, and the owner's data is returned with the error.
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
        let session = Some(session);
        entry.insert(Connection { socket, session, ready, queued: true, expired: false, data });
        self.queues[READY].push_back(key);
        Ok(())
    }

    /// One iteration of the loop. It waits for events until `wake_at` at the latest, and not at all
    /// while a connection can run. Returns the sources that had an event.
    pub fn turn(&mut self, wake_at: Option<Instant>) -> io::Result<ReadySources> {
        self.wait(wake_at)?;
        let ready_sources = self.mark();
        self.take_computed();
        self.expire();
        self.pool.set_connections(self.connections.len());
        self.run();
        self.reap();
        Ok(ready_sources)
    }

    /// Takes the connections that have ended since the last call, with their reasons. The peer sees
    /// the end only when the socket is dropped, so the owner can release a client's permit first.
    pub fn take_closed(
        &mut self,
    ) -> impl Iterator<Item = (T, CloseReason, K::Socket)> + use<'_, T, K> {
        self.closed.drain(..)
    }

    /// Makes every connection answer what has arrived, and end: from now on an empty socket is the
    /// end of input.
    pub fn drain(&mut self) {
        for (key, connection) in &mut self.connections {
            connection.ready.readable = Readable::UntilBlockThenEof;
            let keys = &mut self.queues[connection.later_queue()];
            queue(keys, key, connection); // mutant: drain-only-the-ready
        }
    }

    /// Ends every connection immediately, but for one whose message is being computed: that is
    /// waited for.
    pub fn cut(&mut self) {
        self.await_computed();
        for (key, connection) in &mut self.connections {
            connection.session().cut(CloseReason::Forced);
            queue(&mut self.queues[LEFT], key, connection);
        }
        while self.has_work() {
            self.run();
        }
        self.reap();
    }

    /// Queues the connections that had an event.
    fn mark(&mut self) -> ReadySources {
        let mut ready_sources = ReadySources::default();
        for event in self.kernel.events() {
            match event.token {
                Token(token) if token >= FIRST_SOURCE => ready_sources.mark(token),
                Token(key) => {
                    // A stale event of a closed connection marks another connection, or none. At
                    // worst it costs a receive that would block.
                    // mutant: trust-a-stale-token
                    if let Some(connection) = self.connections.get_mut(key) {
                        connection.ready.merge(event.ready);
                        queue(&mut self.queues[connection.queue()], key, connection);
                    }
                }
            }
        }
        ready_sources
    }

    /// Queues the connections whose deadline has passed.
    fn expire(&mut self) {
        let mut fired = 0;
        while fired < TIMERS_PER_TURN
            && let Some(key) = self.timers.expired(self.now)
        {
            let connection = &mut self.connections[key];
            // The timer was not moved when the deadline moved away.
            if let Some(later) = connection.session().deadline().filter(|&at| at > self.now) {
                self.timers.arm(key, Some(later)); // mutant: lose-a-moved-deadline
                continue;
            }
            fired += 1;
            connection.expired = true; // mutant: lose-a-fired-timer
            queue(&mut self.queues[connection.queue()], key, connection);
        }
    }

    /// True if a connection can run.
    fn has_work(&self) -> bool {
        let [ready, left, heavy] = &self.queues;
        // mutant: spin-while-computing
        let can_compute = self.computing.is_none() && !heavy.is_empty();
        !ready.is_empty() || !left.is_empty() || can_compute
    }

    /// Runs the ready connections up to [`WORK_PER_TURN`], then as much of those that were left,
    /// then the next heavy one. A connection that yields (its budget is used up, or its next
    /// message is heavy) is queued behind the ready ones, and does not run twice. All that are left
    /// at the end have waited longest, and come before those that have run.
    fn run(&mut self) {
        self.run_queue(READY, WORK_PER_TURN);
        self.run_queue(LEFT, WORK_PER_TURN);
        self.run_heavy();
        while let Some(key) = self.queues[READY].pop_front() {
            let later = self.connections[key].later_queue();
            self.queues[later].push_back(key); // mutant: lose-the-unserved
        }
    }

    /// Runs connections of one queue until they have done this work.
    fn run_queue(&mut self, index: usize, most_work: u64) {
        let mut work = 0;
        for _ in 0..self.queues[index].len() {
            if work >= most_work {
                break;
            }
            let Some(key) = self.queues[index].pop_front() else { break };
            work += u64::from(self.run_one(key));
        }
        self.work += work;
    }

    /// Runs one slice of a connection. Returns its work, in products of 64-bit limbs.
    fn run_one(&mut self, key: usize) -> u32 {
        let connection = &mut self.connections[key];
        connection.queued = false; // mutant: stay-queued
        let session = connection.session.as_mut().expect("no session in a run queue is away");
        let mut session = session.activate(&mut self.pool, WORK_PER_SLICE, self.now);
        let (socket, ready) = (&mut connection.socket, &mut connection.ready);
        let expired = std::mem::take(&mut connection.expired);
        if expired {
            // Input that arrived in time counts even if the loop runs late, or its event is one of
            // those that did not fit into this turn.
            ready.retry();
        }
        // mutant: tick-before-receiving
        let mut outcome = ready::run(socket, &mut session, ready, self.now);
        if expired && outcome == Outcome::Blocked {
            session.tick(self.now);
            outcome = ready::run(socket, &mut session, ready, self.now);
        }
        let work = session.work();
        match outcome {
            Outcome::Finished => self.finished.push(key),
            outcome => {
                self.timers.arm(key, session.deadline());
                drop(session);
                // mutant: lose-a-spent-slice
                if outcome == Outcome::Yielded {
                    queue(&mut self.queues[READY], key, connection);
                }
            }
        }
        work
    }

    /// Removes the connections that have finished. Keys are freed only here, when all events of the
    /// turn are handled, so no event can refer to a newer connection with the same key.
    fn reap(&mut self) {
        for key in self.finished.drain(..) {
            let connection = self.connections.remove(key);
            self.timers.disarm(key); // mutant: leave-a-timer
            let reason = connection.session.as_ref().and_then(Session::close_reason);
            let reason = reason.expect("a finished session is here, and has a reason");
            self.closed.push((connection.data, reason, connection.socket));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Peer, ServiceKind, ServiceSpec};

    /// The most memory that an idle connection may take, in bytes.
    const IDLE: usize = 256;

    /// The header of a block of glibc's allocator on 64 bits, in bytes.
    const BLOCK_HEAD: usize = 8;

    /// The alignment of its blocks, in bytes.
    const BLOCK_STEP: usize = 16;

    /// A waiting connection has no other memory: its buffers are empty.
    #[test]
    fn an_idle_connection_fits_in_256_bytes() {
        // An entry of the slab, which may be vacant. Mio's socket is std's, except for its checks
        // in debug builds.
        let slot = size_of::<Option<Connection<[u64; 2], std::net::TcpStream>>>();
        let peer = Peer { number: 1, address: Some(([127, 0, 0, 1], 4242).into()) };
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
