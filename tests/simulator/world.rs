//! The world around the server: time, the network and the clients. One event queue holds all that
//! will happen, in the order of its time.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socklab::service::Service;

use crate::bombs;
use crate::client::Client;
use crate::connection::{Connection, Packet};
use crate::plan::{HUGE, Plan};
use crate::records::Records;
use crate::rng::Rng;

/// An action on one connection.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// The client connects.
    Connect,
    /// The next packet arrives at the server.
    ArriveAtServer,
    /// The client continues its plan.
    RunClient,
    /// The client reads from its socket.
    ReadByClient,
    /// The kernel has memory again for a refused send.
    UnblockSend,
    /// The record of the client's game is written.
    WriteRecord,
}

/// Rates of the faults, in thousandths of the opportunities.
#[derive(Clone, Copy, Debug)]
pub struct FaultRates {
    /// A system call fails with EINTR, or accept with an error of one connection.
    pub interrupt: u32,
    /// An event comes up to 3 ms late.
    pub delay: u32,
    /// A wait reports an event that did not happen.
    pub spurious_event: u32,
    /// A wait reports an event of the wait before again.
    pub repeated_event: u32,
    /// The machine sleeps for up to 100 s, once in a wait.
    pub clock_jump: u32,
    /// The process is halted (SIGSTOP and SIGCONT) for up to 3 s: in a wait, which fails with EINTR
    /// then, and ten times less often before a call and before the clock is read.
    pub halt: u32,
    /// A signal that the server receives interrupts a wait.
    pub signal: u32,
    /// A send is refused for lack of memory.
    pub no_buffers: u32,
}

/// Time, the network, and the clients.
pub struct World {
    pub rng: Rng,
    start: Instant,
    pub now: Instant,
    /// The sum of the clock jumps: time in which the server did not run.
    pub jumped: Duration,
    /// The sum of the halts that have interrupted a wait.
    pub halted: Duration,
    /// The most time of halted waits that the server may take for a part of the halts: it cannot
    /// know when they began.
    pub interrupted: Duration,
    pub faults: FaultRates,
    events: BTreeMap<(Instant, u64), (usize, Action)>,
    /// Number of actions so far: keeps those of the same time in their order.
    count: u64,
    pub clients: Vec<Client>,
    pub records: Arc<Records>,
    /// The work that the bombers have taken so far; the first client is a light one among them.
    pub bombs: Arc<AtomicU64>,
    /// Their work whose time has passed.
    spent: u64,
    /// The accept queue.
    pub backlog: VecDeque<usize>,
    /// The time in which accept fails for lack of a descriptor or of memory.
    pub accept_shortage: Range<Instant>,
    /// A signal has come, and its event is not reported yet.
    pub signal_came: bool,
    /// The listener is closed.
    pub closed: bool,
    /// The time from which on the listener has an event to report.
    pub listener_event_at: Option<Instant>,
    /// Increases with everything that happens.
    pub progress: u64,
    /// Prints a line for everything that happens.
    pub verbose: bool,
}

impl World {
    pub fn new(rng: Rng, now: Instant, faults: FaultRates, verbose: bool) -> Self {
        Self {
            rng,
            start: now,
            now,
            jumped: Duration::ZERO,
            halted: Duration::ZERO,
            interrupted: Duration::ZERO,
            faults,
            events: BTreeMap::new(),
            count: 0,
            clients: Vec::new(),
            records: Arc::default(),
            bombs: Arc::default(),
            spent: 0,
            backlog: VecDeque::new(),
            accept_shortage: now..now,
            signal_came: false,
            closed: false,
            listener_event_at: None,
            progress: 0,
            verbose,
        }
    }

    /// Draws the time in which accept fails, if there is one.
    pub fn draw_shortage(&mut self) {
        if self.rng.chance(300) {
            let from = self.start + self.rng.within(Duration::from_secs(1));
            self.accept_shortage = from..from + self.rng.within(Duration::from_secs(1));
        }
    }

    pub fn log(&self, id: usize, what: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("{:>12?} client {id}: {}", self.now - self.start, what());
        }
    }

    /// The time without the jumps, in which the server was running.
    pub fn running_time(&self) -> Instant {
        self.now.checked_sub(self.jumped).unwrap()
    }

    /// The time without the halts, as long as the server may take them for.
    pub fn known_time(&self) -> Instant {
        self.running_time().checked_sub(self.interrupted).unwrap()
    }

    /// Adds a client that connects at this time.
    pub fn add(&mut self, plan: Plan, service: Box<dyn Service>, at: Instant) {
        let (window, capacity) = if self.rng.chance(500) {
            (HUGE, 1 << 17)
        } else {
            (4096 + self.rng.below(20_000), 1 + self.rng.below(5_000))
        };
        let id = self.clients.len();
        let connection = Connection::new(self.now, window, capacity);
        self.clients.push(Client::new(plan, service, connection));
        self.schedule(at, id, Action::Connect);
    }

    pub fn schedule(&mut self, at: Instant, id: usize, action: Action) {
        self.count += 1;
        self.events.insert((at, self.count), (id, action));
    }

    /// A time in the near future.
    pub fn soon(&mut self) -> Instant {
        let most = if self.rng.chance(700) { 50 } else { 2000 };
        self.now + self.rng.within(Duration::from_micros(most))
    }

    /// The time of the next action.
    pub fn next_event_at(&self) -> Option<Instant> {
        self.events.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Halts the process, or lets the machine sleep, for a time. The world goes on.
    pub fn halt(&mut self, length: Duration) {
        let until = self.now + length;
        self.jumped += length;
        self.advance(until);
        self.progress += 1;
        if self.verbose {
            eprintln!("{:>12?} the server was halted for {length:?}", self.now - self.start);
        }
    }

    /// Lets the time of the bombers' latest work pass.
    pub fn spend(&mut self) {
        let work = self.bombs.load(Ordering::Relaxed);
        let until = self.now + bombs::time(work - self.spent);
        self.spent = work;
        self.advance(until);
    }

    /// The length of a halt.
    pub fn draw_halt(&mut self) -> Duration {
        Duration::from_millis(10) + self.rng.within(Duration::from_millis(2990))
    }

    /// Perhaps halts the process outside a wait. Returns true if it was halted.
    pub fn may_halt(&mut self) -> bool {
        let faults = self.faults;
        let halts = self.rng.chance(faults.halt) && self.rng.chance(100);
        if halts {
            let length = self.draw_halt();
            self.halt(length);
        }
        halts
    }

    /// Advances the time to `until`, and performs the actions up to then.
    pub fn advance(&mut self, until: Instant) {
        while let Some(entry) = self.events.first_entry() {
            let (at, _) = *entry.key();
            if at > until {
                break;
            }
            let (id, action) = entry.remove();
            self.now = self.now.max(at);
            self.progress += 1;
            self.perform(id, action);
        }
        self.now = self.now.max(until);
    }

    fn perform(&mut self, id: usize, action: Action) {
        match action {
            Action::Connect if self.closed => {}
            Action::Connect => {
                self.backlog.push_back(id);
                self.clients[id].connection.active_at = self.now;
                self.clients[id].connection.halted_before = self.halted;
                self.clients[id].connection.owed_since = self.now;
                self.listener_event_at.get_or_insert(self.now);
                self.run_client(id);
            }
            Action::ArriveAtServer => self.arrive_at_server(id),
            Action::RunClient => self.run_client(id),
            Action::ReadByClient => self.read_by_client(id),
            Action::UnblockSend => self.unblock_send(id),
            Action::WriteRecord => self.write_record(id),
        }
    }

    /// The server's socket has an event to report.
    pub fn notify_server(&mut self, id: usize) {
        let late = self.rng.chance(self.faults.delay);
        let delay = if late { Duration::from_millis(3) } else { Duration::ZERO };
        let at = self.now + self.rng.within(delay);
        let connection = &mut self.clients[id].connection;
        if connection.token.is_some() {
            connection.event_at.get_or_insert(at);
        }
    }

    /// The first packet in flight arrives at the server.
    fn arrive_at_server(&mut self, id: usize) {
        let Client { connection, closed, .. } = &mut self.clients[id];
        let Some((_, packet)) = connection.in_flight.pop_front() else { return };
        match packet {
            // A closed socket answers with a reset.
            Packet::Bytes(_) if connection.closed => {
                connection.send_buffer.clear();
                *closed = true;
            }
            Packet::Bytes(bytes) => {
                let n =
                    bytes.len().min(connection.window.saturating_sub(connection.received.len()));
                connection.received.extend(&bytes[..n]);
                if n < bytes.len() {
                    connection.in_flight.push_front((self.now, Packet::Bytes(bytes[n..].to_vec())));
                    connection.window_full = true;
                }
            }
            Packet::Urgent => connection.urgent_mark = Some(connection.arrived()),
            Packet::Fin => connection.fin = true,
            // A connection breaks once.
            Packet::Broken(_) if connection.broken.is_some() => {}
            Packet::Broken(error) => {
                connection.broken = Some(error);
                connection.pending_error = Some(error);
                connection.send_buffer.clear();
            }
        }
        // A reset does not wait for the window to open, and the bytes before it are lost.
        let reset = |(_, packet): &(Instant, Packet)| matches!(packet, Packet::Broken(_));
        if connection.window_full && connection.in_flight.iter().any(reset) {
            connection.in_flight.retain(reset);
            connection.window_full = false;
        }
        if !connection.window_full
            && let Some(&(at, _)) = connection.in_flight.front()
        {
            self.schedule(at, id, Action::ArriveAtServer);
        }
        self.notify_server(id);
    }

    /// The server has read from the receive queue.
    pub fn open_window(&mut self, id: usize) {
        let connection = &mut self.clients[id].connection;
        if connection.window_full && connection.received.len() < connection.window {
            connection.window_full = false;
            let at = self.soon();
            self.schedule(at, id, Action::ArriveAtServer);
        }
    }

    /// Sends a packet to the server, behind all others and `later` than the last.
    pub fn send(&mut self, id: usize, packet: Packet, later: Duration) {
        let at = self.soon() + later;
        let connection = &mut self.clients[id].connection;
        let at = connection.in_flight.back().map_or(at, |&(last, _)| at.max(last + later));
        connection.in_flight.push_back((at, packet));
        if connection.in_flight.len() == 1 {
            self.schedule(at, id, Action::ArriveAtServer);
        }
    }

    /// A send that was refused for lack of memory may be tried again.
    fn unblock_send(&mut self, id: usize) {
        let connection = &mut self.clients[id].connection;
        if connection.send_blocked && connection.is_writable() {
            connection.send_blocked = false;
            self.notify_server(id);
        }
    }

    /// The server closes its socket. With unread bytes in it, that is a reset, and the client loses
    /// what it has not read.
    pub fn close_by_server(&mut self, id: usize) {
        let Client { connection, closed, .. } = &mut self.clients[id];
        connection.closed = true;
        connection.event_at = None;
        if connection.received.is_empty() {
            connection.fin_sent_at.get_or_insert(self.now);
            self.notify_client(id);
        } else {
            *closed = true;
            connection.send_buffer.clear();
        }
    }
}
