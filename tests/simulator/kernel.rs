//! The kernel that the server's loop is made to believe in: as unkind as a real one may be, and
//! never lying. Nothing is said twice that was said, unless it is; but what is true is said, once,
//! in time.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::Token;
use rustix::io::Errno;
use socklab::drive::Socket;
use socklab::drive::ready::{Readable, Readiness};
use socklab::net::limited_listener::Listener;
use socklab::reactor::{Event, Kernel, Source};

use crate::world::{Deed, World};

/// So often in a row may the loop ask for events without waiting while nothing at all happens.
const IDLE_TURNS: u32 = 10;

pub struct Fake {
    world: Rc<RefCell<World>>,
    events: Vec<Event>,
    /// What was said in the wait before.
    last: Vec<Event>,
    progress: u64,
    idle_turns: u32,
}

impl Fake {
    pub fn new(world: &Rc<RefCell<World>>) -> Self {
        let world = Rc::clone(world);
        Self { world, events: Vec::new(), last: Vec::new(), progress: 0, idle_turns: 0 }
    }

    /// Takes all events that there are by now.
    fn gather(&mut self) {
        let mut world = self.world.borrow_mut();
        let now = world.now;
        if world.knock_at.take_if(|at| *at <= now).is_some() {
            let ready = Readiness { readable: Readable::UntilShort, writable: false };
            self.events.push(Event { token: Source::Listener.token(), ready });
        }
        for client in &mut world.clients {
            let wire = &mut client.wire;
            if wire.event_at.take_if(|at| *at <= now).is_none() {
                continue;
            }
            let ready = wire.readiness();
            if let Some(token) = wire.token
                && (ready.writable || ready.readable != Readable::No)
            {
                self.events.push(Event { token, ready });
            }
        }
    }

    /// Says some things again, some that are not so, and all in another order.
    fn distort(&mut self) {
        let mut world = self.world.borrow_mut();
        let weather = world.weather;
        if !self.last.is_empty() && world.dice.chance(weather.repeat) {
            let again = self.last[world.dice.below(self.last.len())];
            self.events.push(again);
        }
        if world.dice.chance(weather.invent) {
            let token = if world.dice.chance(50) {
                Source::Listener.token()
            } else {
                let most = 2 + world.clients.len();
                Token(world.dice.below(most))
            };
            let kinds = [Readable::No, Readable::UntilShort, Readable::UntilBlock];
            let readable = kinds[world.dice.below(3)];
            let ready = Readiness { readable, writable: world.dice.chance(500) };
            self.events.push(Event { token, ready });
        }
        for n in (1..self.events.len()).rev() {
            self.events.swap(n, world.dice.below(n + 1));
        }
        world.progress += self.events.len() as u64;
        self.last.clone_from(&self.events);
    }

    /// Lets time pass up to the next event, or for `timeout`.
    fn sleep(&mut self, timeout: Option<Duration>) {
        let until = timeout.map(|timeout| self.world.borrow().now + timeout);
        loop {
            self.gather();
            let mut world = self.world.borrow_mut();
            if !self.events.is_empty() || until.is_some_and(|until| until <= world.now) {
                return;
            }
            let told = world.clients.iter().filter_map(|client| client.wire.event_at).min();
            let next = [until, told, world.next_deed(), world.knock_at].into_iter().flatten().min();
            let next = next.expect("the loop sleeps for ever");
            world.pass(next);
        }
    }
}

impl Kernel for Fake {
    type Socket = FakeSocket;

    fn register(&mut self, socket: &mut FakeSocket, token: Token) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        let wire = &mut world.clients[socket.id].wire;
        wire.token = Some(token);
        world.notify(socket.id);
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.events.clear();
        let mut world = self.world.borrow_mut();
        if timeout == Some(Duration::ZERO) && world.progress == self.progress {
            self.idle_turns += 1;
            assert!(self.idle_turns < IDLE_TURNS, "the loop spins");
        } else {
            self.idle_turns = 0;
        }
        let mut clients = world.clients.iter().filter(|client| !client.plan.naps);
        let known = clients.position(|client| client.wire.is_known_readable());
        assert!(
            known.is_none() || timeout == Some(Duration::ZERO),
            "the loop sleeps, and could serve a client"
        );
        self.progress = world.progress;
        let weather = world.weather;
        if world.dice.chance(weather.interrupt) {
            world.progress += 1;
            return Err(ErrorKind::Interrupted.into());
        }
        if world.dice.chance(weather.jump) {
            let most = if world.dice.chance(200) { 100_000 } else { 1_000 };
            let jump = world.dice.within(Duration::from_millis(most));
            let until = world.now + jump;
            world.pass(until);
            world.jumped += jump;
        }
        let moment = world.dice.within(Duration::from_micros(5));
        let until = world.now + moment;
        world.pass(until);
        drop(world);
        self.sleep(timeout);
        self.distort();
        Ok(())
    }

    fn events(&self) -> impl Iterator<Item = Event> {
        self.events.iter().copied()
    }

    fn now(&self) -> Instant {
        self.world.borrow().now
    }
}

/// Where the clients come from.
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
        let (now, weather) = (world.now, world.weather);
        if world.dice.chance(weather.interrupt) {
            let errors = [Errno::INTR, Errno::CONNABORTED, Errno::PROTO];
            return Err(errors[world.dice.below(errors.len())].into());
        }
        // Linux says so also when nobody is waiting. Now and then another process gives one back.
        if world.shortage.contains(&now) && world.dice.chance(900) {
            let errors = [Errno::MFILE, Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
            return Err(errors[world.dice.below(errors.len())].into());
        }
        let Some(id) = world.backlog.pop_front() else { return Err(Errno::WOULDBLOCK.into()) };
        world.progress += 1;
        world.clients[id].wire.active_at = now;
        world.tell(id, || "the server accepts".to_owned());
        Ok((FakeSocket { id, world: Rc::clone(&self.world) }, ([127, 0, 0, 1], 4242).into()))
    }
}

/// The server's side of a connection.
pub struct FakeSocket {
    id: usize,
    world: Rc<RefCell<World>>,
}

impl FakeSocket {
    /// Whose connection it is.
    pub fn id(&self) -> usize {
        self.id
    }

    /// Every call takes its time, in which other things happen, and may be interrupted.
    fn call(&self) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        let moment = world.dice.within(Duration::from_micros(10));
        let until = world.now + moment;
        world.pass(until);
        world.clients[self.id].wire.calls += 1;
        let weather = world.weather;
        if world.dice.chance(weather.interrupt) {
            world.progress += 1;
            return Err(ErrorKind::Interrupted.into());
        }
        Ok(())
    }
}

impl Read for FakeSocket {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.call()?;
        let mut world = self.world.borrow_mut();
        let (now, id) = (world.now, self.id);
        let wire = &mut world.clients[id].wire;
        let received = wire.receive(room);
        if matches!(received, Ok(Some(1..))) && wire.shut_at.is_none() {
            wire.active_at = now;
        }
        world.tell(id, || format!("the server receives {received:?}"));
        let received = received?;
        if let Some(n) = received {
            world.progress += 1;
            if n > 0 {
                world.window_opens(id);
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
        let (now, id, weather) = (world.now, self.id, world.weather);
        if world.dice.chance(weather.short_of_memory) && world.clients[id].wire.broken.is_none() {
            world.clients[id].wire.full = true;
            let at = now + world.dice.within(Duration::from_millis(2));
            world.put(at, id, Deed::Room);
            return Err(ErrorKind::WouldBlock.into());
        }
        let client = &mut world.clients[id];
        let before = client.wire.written;
        let sent = client.wire.send(bytes);
        let n = sent.unwrap_or(None).unwrap_or(0);
        if n > 0 {
            client.wire.active_at = now;
        }
        let sure = client.drained_at.unwrap_or(client.plan.answer.len());
        let known = n.min(sure.saturating_sub(before));
        let wanted = &client.plan.answer[before.min(sure)..][..known];
        let right = wanted == &bytes[..known] && (known == n || client.drained_at.is_some());
        world.tell(id, || {
            format!("the server sends {sent:?}: \"{}\"", bytes[..n.min(60)].escape_ascii())
        });
        assert!(right, "client {id} is sent \"{}\"", bytes[..n.min(100)].escape_ascii());
        if n > 0 {
            world.progress += 1;
            world.deliver(id);
        }
        sent?.ok_or_else(|| ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for FakeSocket {
    fn shut_down_sending(&self) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        world.progress += 1;
        let now = world.now;
        let wire = &mut world.clients[self.id].wire;
        if wire.broken.is_some() {
            return Err(ErrorKind::NotConnected.into());
        }
        wire.calls += 1;
        wire.shut_at = Some(now);
        world.tell(self.id, || "the server sends its end".to_owned());
        world.deliver(self.id);
        Ok(())
    }
}

impl Drop for FakeSocket {
    fn drop(&mut self) {
        let mut world = self.world.borrow_mut();
        world.progress += 1;
        world.tell(self.id, || "the server closes".to_owned());
        world.close(self.id);
    }
}
