//! The world around the server: time, the network, and its clients. Everything that happens is on
//! one agenda, in the order of its time; the dice decide the rest.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::ops::Range;
use std::time::{Duration, Instant};

use socklab::service::{BUSY_TEXT, Service};
use socklab::session::CloseReason;

use crate::dice::Dice;
use crate::plan::{Cut, HUGE, Plan, Step};
use crate::wire::{Packet, Wire};

/// What happens to a connection.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    /// The client connects.
    Connect,
    /// The next packet arrives at the server.
    Arrive,
    /// The client goes on with its plan.
    Act,
    /// The client takes what has come.
    Take,
    /// The kernel has memory again for what the server wants to send.
    Room,
}

/// How often things happen, of a thousand times.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub interrupt: u32,
    pub delay: u32,
    pub invent: u32,
    pub repeat: u32,
    pub jump: u32,
    pub short_of_memory: u32,
}

/// A client, and its connection once it is there.
#[expect(clippy::struct_excessive_bools, reason = "each can be so or not, whatever the others are")]
pub struct Client {
    pub plan: Plan,
    pub steps: VecDeque<Step>,
    pub wire: Wire,
    /// What it meets; taken when it is accepted.
    pub service: Option<Box<dyn Service>>,
    /// So much of the answer it has taken.
    pub got: usize,
    /// It does nothing until it has got so much.
    waiting: Option<usize>,
    /// It will take what has come.
    taking: bool,
    /// It has sent its FIN.
    finished: bool,
    /// It has closed its socket, or the connection broke.
    pub gone: bool,
    /// Nothing excuses the loss of a reply.
    pub sure: bool,
    /// It was not there any more when the server came to speak.
    pub left: bool,
    /// The server was told to stop: so much of the answer is still owed, and what comes after that
    /// may be a part of a message.
    pub drained_at: Option<usize>,
    /// Since when it could have been told the end.
    pub ending_since: Option<Instant>,
}

pub struct World {
    pub dice: Dice,
    begun: Instant,
    pub now: Instant,
    /// How much of the time has passed in jumps, when the server was not running.
    pub jumped: Duration,
    pub weather: Weather,
    agenda: BTreeMap<(Instant, u64), (usize, Deed)>,
    /// How many deeds there have been.
    count: u64,
    pub clients: Vec<Client>,
    /// Connected and not accepted yet.
    pub backlog: VecDeque<usize>,
    /// For so long the machine has no descriptor, or no memory, for a client.
    pub shortage: Range<Instant>,
    /// Nobody can connect any more.
    pub closed: bool,
    /// From when on there is an event of the listener to tell.
    pub knock_at: Option<Instant>,
    /// Goes up whenever anything happens.
    pub progress: u64,
    /// Tells what happens, for whoever looks for a fault.
    pub telling: bool,
}

impl Client {
    /// The server is full: whatever the client wanted, this is all that it is told. It stays to
    /// hear it, unless it has left already.
    pub fn turn_away(&mut self) {
        self.plan.answer = BUSY_TEXT.into();
        self.plan.owed = vec![(0, BUSY_TEXT.len())];
        self.plan.last_word = Some(CloseReason::Served);
        self.plan.naps = false;
        self.left = self.gone;
        self.steps.retain(|step| !matches!(step, Step::Leave));
    }
}

impl World {
    pub fn new(dice: Dice, now: Instant, weather: Weather, telling: bool) -> Self {
        Self {
            dice,
            begun: now,
            now,
            jumped: Duration::ZERO,
            weather,
            agenda: BTreeMap::new(),
            count: 0,
            clients: Vec::new(),
            backlog: VecDeque::new(),
            shortage: now..now,
            closed: false,
            knock_at: None,
            progress: 0,
            telling,
        }
    }

    pub fn tell(&self, id: usize, what: impl FnOnce() -> String) {
        if self.telling {
            eprintln!("{:>12?} client {id}: {}", self.now - self.begun, what());
        }
    }

    /// The time without the jumps: so long the server was running.
    pub fn steady(&self) -> Instant {
        self.now.checked_sub(self.jumped).unwrap()
    }

    /// One more client, that will connect at this time.
    pub fn add(&mut self, plan: Plan, service: Box<dyn Service>, at: Instant) {
        let (window, capacity) = if self.dice.chance(500) {
            (HUGE, 1 << 17)
        } else {
            (4096 + self.dice.below(20_000), 1 + self.dice.below(5_000))
        };
        let id = self.clients.len();
        self.clients.push(Client {
            steps: plan.steps.iter().cloned().collect(),
            plan,
            wire: Wire::new(self.now, window, capacity),
            service: Some(service),
            got: 0,
            waiting: None,
            taking: false,
            finished: false,
            gone: false,
            sure: false,
            left: false,
            drained_at: None,
            ending_since: None,
        });
        self.put(at, id, Deed::Connect);
    }

    pub fn put(&mut self, at: Instant, id: usize, deed: Deed) {
        self.count += 1;
        self.agenda.insert((at, self.count), (id, deed));
    }

    fn soon(&mut self) -> Instant {
        let most = if self.dice.chance(700) { 50 } else { 2000 };
        self.now + self.dice.within(Duration::from_micros(most))
    }

    /// When something happens next.
    pub fn next_deed(&self) -> Option<Instant> {
        self.agenda.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Lets time pass up to `until`, and happen what does.
    pub fn pass(&mut self, until: Instant) {
        while let Some(entry) = self.agenda.first_entry() {
            let (at, _) = *entry.key();
            if at > until {
                break;
            }
            let (id, deed) = entry.remove();
            self.now = self.now.max(at);
            self.progress += 1;
            self.happen(id, deed);
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, id: usize, deed: Deed) {
        match deed {
            Deed::Connect if self.closed => {}
            Deed::Connect => {
                self.backlog.push_back(id);
                self.clients[id].wire.active_at = self.now;
                self.knock_at.get_or_insert(self.now);
                self.act(id);
            }
            Deed::Arrive => self.arrive(id),
            Deed::Act => self.act(id),
            Deed::Take => self.take(id),
            Deed::Room => self.room(id),
        }
    }

    /// There is something to tell of this connection.
    pub fn notify(&mut self, id: usize) {
        let late = self.dice.chance(self.weather.delay);
        let delay = if late { Duration::from_millis(3) } else { Duration::ZERO };
        let at = self.now + self.dice.within(delay);
        let wire = &mut self.clients[id].wire;
        if wire.token.is_some() {
            wire.event_at.get_or_insert(at);
        }
    }

    /// The first packet in flight has come to the server's side.
    fn arrive(&mut self, id: usize) {
        let Client { wire, gone, .. } = &mut self.clients[id];
        let Some((_, packet)) = wire.flight.pop_front() else { return };
        match packet {
            // Whatever comes to a closed socket is answered by a reset.
            Packet::Bytes(_) if wire.closed => {
                wire.send_buffer.clear();
                *gone = true;
            }
            Packet::Bytes(bytes) => {
                let n = bytes.len().min(wire.window.saturating_sub(wire.received.len()));
                wire.received.extend(&bytes[..n]);
                if n < bytes.len() {
                    wire.flight.push_front((self.now, Packet::Bytes(bytes[n..].to_vec())));
                    wire.stalled = true;
                }
            }
            Packet::Urgent => wire.mark = Some(wire.arrived()),
            Packet::Fin => wire.fin = true,
            // A connection breaks once.
            Packet::Broken(_) if wire.broken.is_some() => {}
            Packet::Broken(error) => {
                wire.broken = Some(error);
                wire.error = Some(error);
                wire.send_buffer.clear();
            }
        }
        // A reset does not wait for the window to open, and nothing is sent before it any more.
        let reset = |(_, packet): &(Instant, Packet)| matches!(packet, Packet::Broken(_));
        if wire.stalled && wire.flight.iter().any(reset) {
            wire.flight.retain(reset);
            wire.stalled = false;
        }
        if !wire.stalled
            && let Some(&(at, _)) = wire.flight.front()
        {
            self.put(at, id, Deed::Arrive);
        }
        self.notify(id);
    }

    /// The server has made room in the receive queue.
    pub fn window_opens(&mut self, id: usize) {
        let wire = &mut self.clients[id].wire;
        if wire.stalled && wire.received.len() < wire.window {
            wire.stalled = false;
            let at = self.soon();
            self.put(at, id, Deed::Arrive);
        }
    }

    /// Sends a packet to the server, behind all others, `later` than the last.
    pub fn send(&mut self, id: usize, packet: Packet, later: Duration) {
        let at = self.soon() + later;
        let wire = &mut self.clients[id].wire;
        let at = wire.flight.back().map_or(at, |&(last, _)| at.max(last + later));
        wire.flight.push_back((at, packet));
        if wire.flight.len() == 1 {
            self.put(at, id, Deed::Arrive);
        }
    }

    fn send_bytes(&mut self, id: usize, bytes: Vec<u8>, cut: Cut) {
        match cut {
            Cut::Whole => self.send(id, Packet::Bytes(bytes), Duration::ZERO),
            Cut::Few => {
                let size = 1 + bytes.len() / (1 + self.dice.below(5));
                for piece in bytes.chunks(size) {
                    let later = self.dice.within(Duration::from_millis(1));
                    self.send(id, Packet::Bytes(piece.to_vec()), later);
                }
            }
            Cut::Flood => {
                // After an event that says more than usual, no receive is known to be the last.
                let pieces = if self.dice.chance(700) { 20 + self.dice.below(80) } else { 1000 };
                let urgent = 1 + self.dice.below(16);
                for (n, piece) in bytes.chunks(1 + bytes.len() / pieces).enumerate() {
                    if n == urgent {
                        self.send_urgent(id);
                    }
                    let later = self.dice.within(Duration::from_micros(6));
                    self.send(id, Packet::Bytes(piece.to_vec()), later);
                }
            }
            Cut::Bytes => {
                for byte in bytes {
                    let later = self.dice.within(Duration::from_millis(80));
                    self.send(id, Packet::Bytes(vec![byte]), later);
                }
            }
        }
    }

    /// The client goes on, until it must wait.
    fn act(&mut self, id: usize) {
        loop {
            let client = &mut self.clients[id];
            if client.gone || client.waiting.is_some_and(|most| client.got < most) {
                return;
            }
            client.waiting = None;
            let Some(step) = client.steps.pop_front() else { return };
            match step {
                Step::Send(bytes, cut) => self.send_bytes(id, bytes, cut),
                Step::Urgent => self.send_urgent(id),
                Step::Await(most) => client.waiting = Some(most),
                Step::Pause(pause) => {
                    let at = self.now + pause;
                    return self.put(at, id, Deed::Act);
                }
                Step::Finish => self.finish(id),
                Step::Leave => self.leave(id),
                Step::Break(error) => self.depart(id, Packet::Broken(error)),
            }
        }
    }

    fn send_urgent(&mut self, id: usize) {
        let wire = &self.clients[id].wire;
        let in_flight = wire.flight.iter().any(|(_, packet)| matches!(packet, Packet::Urgent));
        // A second one would make a byte of the stream of the first.
        if !in_flight && wire.mark.is_none() {
            self.send(id, Packet::Urgent, Duration::ZERO);
        }
    }

    fn finish(&mut self, id: usize) {
        if !std::mem::replace(&mut self.clients[id].finished, true) {
            self.send(id, Packet::Fin, Duration::ZERO);
        }
    }

    /// The client closes its socket: by a FIN, or, with something unread, by a reset.
    fn leave(&mut self, id: usize) {
        if self.clients[id].wire.send_buffer.is_empty() {
            self.finish(id);
            self.clients[id].gone = true;
        } else {
            self.depart(id, Packet::Broken(ErrorKind::ConnectionReset));
        }
    }

    fn depart(&mut self, id: usize, packet: Packet) {
        let Client { wire, gone, .. } = &mut self.clients[id];
        *gone = true;
        if std::mem::take(&mut wire.stalled) {
            wire.flight.clear();
        }
        self.send(id, packet, Duration::ZERO);
    }

    /// Something has come for the client, or the end.
    pub fn deliver(&mut self, id: usize) {
        let client = &self.clients[id];
        if client.gone {
            // Nobody is there any more: the answer is a reset.
            if !client.wire.closed && !client.wire.send_buffer.is_empty() {
                self.send(id, Packet::Broken(ErrorKind::ConnectionReset), Duration::ZERO);
            }
        } else if client.plan.pace.is_some() && !client.taking {
            self.clients[id].taking = true;
            let at = self.soon();
            self.put(at, id, Deed::Take);
        }
    }

    fn take(&mut self, id: usize) {
        let client = &mut self.clients[id];
        client.taking = false;
        let Some(pace) = client.plan.pace.filter(|_| !client.gone) else { return };
        let n = client.wire.send_buffer.len().min(pace.bytes);
        client.wire.send_buffer.drain(..n);
        client.got += n;
        let more = !client.wire.send_buffer.is_empty();
        if client.wire.full && client.wire.is_writable() {
            client.wire.full = false;
            self.notify(id);
        }
        self.act(id);
        if more {
            self.clients[id].taking = true;
            let stalled = pace.stalls && self.dice.chance(50);
            let pause = if stalled { Duration::from_secs(2) } else { pace.pause };
            let at = self.now + self.dice.within(pause) + Duration::from_micros(1);
            self.put(at, id, Deed::Take);
        } else if self.clients[id].wire.shut_at.is_some() && self.clients[id].plan.closes {
            self.leave(id);
        }
    }

    /// A send that was refused for lack of memory may be tried again.
    fn room(&mut self, id: usize) {
        let wire = &mut self.clients[id].wire;
        if wire.full && wire.is_writable() {
            wire.full = false;
            self.notify(id);
        }
    }

    /// The server closes its socket. With something unread in it, that is a reset, and the client
    /// loses what it has not read.
    pub fn close(&mut self, id: usize) {
        let Client { wire, gone, .. } = &mut self.clients[id];
        wire.closed = true;
        wire.event_at = None;
        if wire.received.is_empty() {
            wire.shut_at.get_or_insert(self.now);
            self.deliver(id);
        } else {
            *gone = true;
            wire.send_buffer.clear();
        }
    }
}
