//! The kernel under the server's loop. Its calls fail and its events come late, repeated or for no
//! reason, as a real kernel's may. Every event that is due is reported once, in time.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::Token;
use rustix::io::Errno;
use socklab::buffer::Pool;
use socklab::drive::Socket;
use socklab::drive::ready::{Readable, Readiness};
use socklab::net::listener::Listener;
use socklab::reactor::{Computation, Compute, Event, Kernel, Source};
use socklab::session::Session;

use crate::bombs;
use crate::run::source;
use crate::world::{Action, World};

/// Most waits in a row without a timeout while nothing happens.
const MAX_IDLE_TURNS: u32 = 10;

/// The most of a halt that the server counts as passed.
const HALT_COUNTED: Duration = Duration::from_millis(50);

/// The kernel, from the loop's side.
pub struct FakeKernel {
    world: Rc<RefCell<World>>,
    events: Vec<Event>,
    /// The events of the wait before.
    last: Vec<Event>,
    progress: u64,
    idle_turns: u32,
    /// The beginning of the last wait.
    wait_began: Instant,
    /// `None` if the loop computes by itself.
    compute: Option<FakeCompute>,
}

impl FakeKernel {
    pub fn new(world: &Rc<RefCell<World>>, computes_beside: bool) -> Self {
        let compute = computes_beside.then(|| FakeCompute::new(world));
        let (world, wait_began) = (Rc::clone(world), world.borrow().now);
        let (events, last) = (Vec::new(), Vec::new());
        Self { world, events, last, progress: 0, idle_turns: 0, wait_began, compute }
    }

    /// The end of the computation beside the loop that is not reported yet.
    fn computed_at(&self) -> Option<Instant> {
        self.compute.as_ref()?.event_at
    }

    /// True if the loop could serve a client. A heavy message may have to wait for another that is
    /// being computed.
    fn could_serve(&self, world: &World) -> bool {
        let computes = self.compute.as_ref().is_some_and(|compute| compute.session.is_some());
        world.clients.iter().any(|client| {
            let plan = &client.plan;
            let waits = plan.service_sleeps || (computes && !plan.light);
            !waits && client.connection.is_known_readable()
        })
    }

    /// Collects the events that are due.
    fn collect(&mut self) {
        let mut world = self.world.borrow_mut();
        let now = world.now;
        let work = world.bombs.load(Ordering::Relaxed);
        if world.listener_event_at.take_if(|at| *at <= now).is_some() {
            let ready = Readiness { readable: Readable::UntilShort, writable: false };
            self.events.push(Event { token: Source::Listener.token(), ready });
        }
        if std::mem::take(&mut world.signal_came) {
            let ready = Readiness { readable: Readable::UntilShort, writable: false };
            self.events.push(Event { token: Source::Signals.token(), ready });
        }
        if let Some(compute) = &mut self.compute
            && compute.event_at.take_if(|at| *at <= now).is_some()
        {
            let ready = Readiness { readable: Readable::UntilShort, writable: false };
            self.events.push(Event { token: Source::Computed.token(), ready });
        }
        for client in &mut world.clients {
            let connection = &mut client.connection;
            if connection.event_at.take_if(|at| *at <= now).is_none() {
                continue;
            }
            let ready = connection.readiness();
            if ready.readable != Readable::No && !connection.send_blocked {
                connection.work_before.get_or_insert(work);
            }
            if let Some(token) = connection.token
                && (ready.writable || ready.readable != Readable::No)
            {
                self.events.push(Event { token, ready });
            }
        }
    }

    /// Adds repeated and spurious events, and shuffles all of them.
    fn distort(&mut self) {
        let mut world = self.world.borrow_mut();
        let faults = world.faults;
        if !self.last.is_empty() && world.rng.chance(faults.repeated_event) {
            let again = self.last[world.rng.below(self.last.len())];
            self.events.push(again);
        }
        if world.rng.chance(faults.spurious_event) {
            let token = if world.rng.chance(50) {
                Source::Listener.token()
            } else {
                let most = 2 + world.clients.len();
                Token(world.rng.below(most))
            };
            let kinds = [Readable::No, Readable::UntilShort, Readable::UntilBlock];
            let readable = kinds[world.rng.below(3)];
            let ready = Readiness { readable, writable: world.rng.chance(500) };
            self.events.push(Event { token, ready });
        }
        for n in (1..self.events.len()).rev() {
            self.events.swap(n, world.rng.below(n + 1));
        }
        world.progress += self.events.len() as u64;
        // A real kernel reports no signal again that did not come.
        let repeatable = |event: &&Event| event.token != Source::Signals.token();
        self.last = self.events.iter().filter(repeatable).copied().collect();
    }

    /// Advances the time to the next event, at most by `timeout`.
    fn sleep(&mut self, timeout: Option<Duration>) {
        let until = timeout.map(|timeout| self.world.borrow().now + timeout);
        loop {
            self.collect();
            let mut world = self.world.borrow_mut();
            if !self.events.is_empty() || until.is_some_and(|until| until <= world.now) {
                return;
            }
            let event_at =
                world.clients.iter().filter_map(|client| client.connection.event_at).min();
            let listener_at = world.listener_event_at;
            let next = [until, event_at, world.next_event_at(), listener_at, self.computed_at()]
                .into_iter()
                .flatten()
                .min();
            let next = next.expect("the loop sleeps without end");
            world.advance(next);
        }
    }
}

impl Kernel for FakeKernel {
    type Socket = FakeSocket;

    fn register(&mut self, socket: &mut FakeSocket, token: Token) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        let connection = &mut world.clients[socket.id].connection;
        connection.token = Some(token);
        world.notify_server(socket.id);
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.events.clear();
        let (computed_at, sleeps) = (self.computed_at(), timeout != Some(Duration::ZERO));
        let mut world = self.world.borrow_mut();
        self.wait_began = world.now;
        if !sleeps && world.progress == self.progress {
            self.idle_turns += 1;
            assert!(self.idle_turns < MAX_IDLE_TURNS, "the loop spins");
        } else {
            self.idle_turns = 0;
        }
        assert!(!sleeps || !self.could_serve(&world), "the loop sleeps, and could serve a client");
        self.progress = world.progress;
        let faults = world.faults;
        if world.rng.chance(faults.interrupt) {
            world.progress += 1;
            return Err(ErrorKind::Interrupted.into());
        }
        if world.rng.chance(faults.clock_jump) {
            let most = if world.rng.chance(200) { 100_000 } else { 1_000 };
            let length = world.rng.within(Duration::from_millis(most));
            world.interrupted += timeout.unwrap_or(length).min(length);
            world.halt(length);
        }
        let halts = world.rng.chance(faults.halt);
        let has_signal = sleeps && world.rng.chance(faults.signal);
        if halts || has_signal {
            // Also at the very moment of an event, which the wait does not report then.
            let longest = timeout.unwrap_or(Duration::from_secs(1));
            let at = world.now + world.rng.within(longest);
            let next = world.next_event_at().into_iter().chain(computed_at).min();
            let at = next.map_or(at, |next| next.max(world.now).min(at));
            let waited = at - world.now;
            world.advance(at);
            if has_signal {
                world.signal_came = true;
                world.progress += 1;
                return Err(ErrorKind::Interrupted.into());
            }
            world.interrupted += waited;
            let length = world.draw_halt();
            // With a signal in the same wait, the server cannot tell. Bombs take longer than most
            // halts.
            let bombed = world.bombs.load(Ordering::Relaxed) > 0;
            if !world.signal_came && !bombed {
                world.halted += length.saturating_sub(HALT_COUNTED);
            }
            world.halt(length);
            return Err(ErrorKind::Interrupted.into());
        }
        let moment = world.rng.within(Duration::from_micros(5));
        let until = world.now + moment;
        world.advance(until);
        drop(world);
        self.sleep(timeout);
        self.distort();
        Ok(())
    }

    fn events(&self) -> impl Iterator<Item = Event> {
        self.events.iter().copied()
    }

    fn now(&self) -> Instant {
        let mut world = self.world.borrow_mut();
        let waited = world.now.saturating_duration_since(self.wait_began);
        if world.may_halt() {
            world.interrupted += waited;
        }
        world.now
    }

    fn compute(&mut self) -> Option<&mut impl Compute> {
        self.compute.as_mut()
    }
}

/// The thread beside the loop. A message is computed at once, and is ready when its time has
/// passed.
struct FakeCompute {
    world: Rc<RefCell<World>>,
    pool: Pool,
    /// The session whose message is computed, and the time when it is ready.
    session: Option<(Session, Instant)>,
    /// That time, until it is reported.
    event_at: Option<Instant>,
}

impl FakeCompute {
    fn new(world: &Rc<RefCell<World>>) -> Self {
        let world = Rc::clone(world);
        Self { world, pool: Pool::default(), session: None, event_at: None }
    }
}

impl Compute for FakeCompute {
    fn begin(&mut self, computation: Computation) {
        assert!(self.session.is_none(), "a second message is computed at the same time");
        assert!(computation.session.is_heavy(), "a light message is computed beside the loop");
        let bombs = Arc::clone(&self.world.borrow().bombs);
        let before = bombs.load(Ordering::Relaxed);
        let session = computation.run(&mut self.pool);
        // It takes none of the loop's time.
        let work = bombs.swap(before, Ordering::Relaxed) - before;
        let mut world = self.world.borrow_mut();
        world.progress += 1;
        let late = world.rng.within(Duration::from_millis(2));
        let at = world.now + bombs::time(work) + late;
        self.session = Some((session, at));
        self.event_at = Some(at);
    }

    fn finished(&mut self) -> Option<Session> {
        let now = self.world.borrow().now;
        let (session, _) = self.session.take_if(|(_, at)| *at <= now)?;
        self.world.borrow_mut().progress += 1;
        Some(session)
    }

    fn finish(&mut self) -> Session {
        let (session, at) = self.session.take().expect("a message is computed");
        let mut world = self.world.borrow_mut();
        let until = at.max(world.now);
        world.advance(until);
        session
    }
}

/// The server's listening socket.
pub struct FakeListener {
    world: Rc<RefCell<World>>,
}

impl FakeListener {
    pub fn new(world: &Rc<RefCell<World>>) -> Self {
        Self { world: Rc::clone(world) }
    }
}

impl Listener for FakeListener {
    type Socket = FakeSocket;

    fn accept(&self) -> io::Result<(FakeSocket, SocketAddr)> {
        let mut world = self.world.borrow_mut();
        world.may_halt();
        let (now, faults) = (world.now, world.faults);
        if world.rng.chance(faults.interrupt) {
            let errors = [Errno::INTR, Errno::CONNABORTED, Errno::PROTO];
            return Err(errors[world.rng.below(errors.len())].into());
        }
        // Linux reports these for an empty queue as well. Another process may close a descriptor.
        if world.accept_shortage.contains(&now) && world.rng.chance(900) {
            let errors = [Errno::MFILE, Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
            return Err(errors[world.rng.below(errors.len())].into());
        }
        let Some(id) = world.backlog.pop_front() else { return Err(Errno::WOULDBLOCK.into()) };
        world.progress += 1;
        world.clients[id].connection.active_at = now;
        world.clients[id].connection.halted_before = world.halted;
        world.log(id, || "the server accepts".to_owned());
        Ok((FakeSocket { id, world: Rc::clone(&self.world) }, (source(id), 4242).into()))
    }

    fn is_empty(&self) -> bool {
        let mut world = self.world.borrow_mut();
        world.may_halt();
        // A client may have left the queue when accept comes.
        let left = world.faults.interrupt > 0 && world.rng.chance(50);
        world.backlog.is_empty() && !left
    }

    fn suspend(&self) -> io::Result<()> {
        unreachable!("no simulated server has the policy refuse")
    }

    fn resume(&self, _: u32) -> io::Result<()> {
        unreachable!("it is never suspended")
    }
}

/// The server's side of a connection.
pub struct FakeSocket {
    id: usize,
    world: Rc<RefCell<World>>,
}

impl FakeSocket {
    /// Number of the client.
    pub fn id(&self) -> usize {
        self.id
    }

    /// Begins a call: it takes time, in which other things happen, and may be interrupted. The
    /// process may have been halted before.
    fn call(&self) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        world.spend();
        world.may_halt();
        let moment = world.rng.within(Duration::from_micros(10));
        let until = world.now + moment;
        world.advance(until);
        world.clients[self.id].connection.calls += 1;
        let faults = world.faults;
        if world.rng.chance(faults.interrupt) {
            world.progress += 1;
            return Err(ErrorKind::Interrupted.into());
        }
        Ok(())
    }
}

impl Read for FakeSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.call()?;
        let mut world = self.world.borrow_mut();
        let (now, halted, id) = (world.now, world.halted, self.id);
        let work = world.bombs.load(Ordering::Relaxed);
        let connection = &mut world.clients[id].connection;
        connection.owed_since = now;
        connection.end_wait(work);
        let received = connection.receive(buffer);
        if matches!(received, Ok(Some(1..))) && connection.fin_sent_at.is_none() {
            connection.active_at = now;
            connection.halted_before = halted;
        }
        world.log(id, || format!("the server receives {received:?}"));
        let received = received?;
        if let Some(n) = received {
            world.progress += 1;
            if n > 0 {
                world.clients[id].wait_for_replies(work);
                world.open_window(id);
            }
        }
        received.ok_or_else(|| ErrorKind::WouldBlock.into())
    }
}

impl Write for FakeSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(!bytes.is_empty(), "a send of nothing");
        self.call()?;
        let mut world = self.world.borrow_mut();
        let (now, halted, id, faults) = (world.now, world.halted, self.id, world.faults);
        let work = world.bombs.load(Ordering::Relaxed);
        world.clients[id].connection.end_wait(work);
        if world.rng.chance(faults.no_buffers) && world.clients[id].connection.broken.is_none() {
            let connection = &mut world.clients[id].connection;
            connection.send_blocked = true;
            connection.no_buffers_at = Some(now);
            let at = now + world.rng.within(Duration::from_millis(2));
            world.schedule(at, id, Action::UnblockSend);
            return Err(ErrorKind::WouldBlock.into());
        }
        let client = &mut world.clients[id];
        let before = client.connection.written;
        let sent = client.connection.send(bytes);
        let n = sent.unwrap_or(None).unwrap_or(0);
        if n > 0 {
            client.connection.active_at = now;
            client.connection.halted_before = halted;
            let paid = client.connection.owed_since + Duration::from_secs(n as u64) / 16;
            client.connection.owed_since = paid.min(now);
        }
        // After a drain has begun, only the replies that were owed then are known.
        let known = client.owed_at_drain.unwrap_or(client.plan.replies.len());
        let checked = n.min(known.saturating_sub(before));
        let expected = &client.plan.replies[before.min(known)..][..checked];
        let right =
            expected == &bytes[..checked] && (checked == n || client.owed_at_drain.is_some());
        world.log(id, || {
            format!("the server sends {sent:?}: \"{}\"", bytes[..n.min(60)].escape_ascii())
        });
        assert!(right, "client {id} is sent \"{}\"", bytes[..n.min(100)].escape_ascii());
        if n > 0 {
            world.progress += 1;
            world.clients[id].wait_for_replies(work);
            world.notify_client(id);
        }
        sent?.ok_or_else(|| ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for FakeSocket {
    /// Nobody's acknowledgements are delayed here.
    fn acknowledge(&self) {}

    fn take_error(&self) -> Option<io::Error> {
        let mut world = self.world.borrow_mut();
        world.clients[self.id].connection.pending_error.take().map(io::Error::from)
    }

    fn shut_down_sending(&self) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        world.progress += 1;
        let now = world.now;
        let connection = &mut world.clients[self.id].connection;
        if connection.broken.is_some() {
            return Err(ErrorKind::NotConnected.into());
        }
        connection.calls += 1;
        connection.fin_sent_at = Some(now);
        world.log(self.id, || "the server sends its end".to_owned());
        world.notify_client(self.id);
        Ok(())
    }
}

impl Drop for FakeSocket {
    fn drop(&mut self) {
        let mut world = self.world.borrow_mut();
        world.progress += 1;
        world.log(self.id, || "the server closes".to_owned());
        world.close_by_server(self.id);
    }
}
