//! One run: a server and clients drawn from a seed, the real loop on the fake kernel, and what must
//! hold after every turn.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use socklab::buffer::{BUFFER_SIZE, POOL_SIZE};
use socklab::drive::ready::RECEIVES_PER_SLICE;
use socklab::net::accept::Admission;
use socklab::net::limited_listener::LimitedListener;
use socklab::net::limiter::{Capacity, Limiter, Permit, Rejection, WhenFull};
use socklab::net::listener::BindSpec;
use socklab::reactor::{Reactor, Source};
use socklab::service::{Busy, LIGHT_WORK, Peer};
use socklab::session::{CloseReason, Context, FramingMode, LINGER, Limits, OUTBOX_LIMIT, Session};

use crate::bombs::{self, Bomb};
use crate::client::Client;
use crate::conversation::{self, Setup};
use crate::kernel::{FakeKernel, FakeListener};
use crate::plan::{self, ReadPace};
use crate::records::PATIENCE;
use crate::rng::Rng;
use crate::world::{FaultRates, World};

/// Most clients of a run.
const MAX_CLIENTS: usize = 12;

/// Most turns in which a connection could be served and is not. Under heavy load it waits until it
/// has come to the front of the queue.
const MAX_TURNS_UNSERVED: usize = 4;
const MAX_TURNS_UNSERVED_HEAVY: usize = MAX_TURNS_UNSERVED + MAX_CLIENTS;
const MAX_TURNS_UNSERVED_BOMBED: usize = MAX_TURNS_UNSERVED + 2 * MAX_CLIENTS;

/// Most system calls for one connection in a turn: each receive with a send, for an event and for a
/// timer, and as many that are interrupted or would block.
const MAX_CALLS: u32 = RECEIVES_PER_SLICE * 8;

/// Longest time that the server may owe something that it could send: a gap, the quiz's pause, late
/// events, and the turns themselves.
const MAX_DELAY: Duration = Duration::from_millis(25 + 200 + 75);

/// Most turns of a run. More than 200,000 were seen: a reader of single bytes (seed 320804).
const MAX_TURNS: u32 = 1_000_000;

/// A server under test in its world.
pub struct Run {
    world: Rc<RefCell<World>>,
    reactor: Reactor<(usize, Permit), FakeKernel>,
    listener: LimitedListener<FakeListener>,
    limiter: Arc<Limiter>,
    capacity: Capacity,
    context: Arc<Context>,
    accepts_per_turn: usize,
    setup: Setup,
    /// The time since when a client waits in the accept queue although there is a permit.
    waited_since: Option<Instant>,
    /// Begin of the drain, and its end by force.
    drain_at: Option<Instant>,
    force_at: Option<Instant>,
    draining: bool,
    forced: bool,
    /// True for each client that is served.
    served: Vec<bool>,
    /// By client.
    close_reasons: Vec<Option<CloseReason>>,
}

/// Plays the run of this seed, and panics if a check fails.
pub fn play(seed: u64, start: Instant, verbose: bool) {
    let mut run = Run::new(seed, start, verbose);
    let mut turns = 0;
    while !run.is_over() {
        turns += 1;
        assert!(turns < MAX_TURNS, "the run does not end");
        run.turn();
        run.check();
    }
    run.check_end();
}

impl Run {
    fn new(seed: u64, start: Instant, verbose: bool) -> Self {
        let mut rng = Rng::new(seed);
        let faults = fault_rates(&mut rng);
        let setup = Setup {
            lines_only: rng.chance(250),
            max_message: if rng.chance(500) { 4096 } else { 64 + rng.below(2000) },
            quiz_seed: seed,
            heavy: rng.chance(30),
            bombed: rng.chance(50),
            computes_beside: rng.chance(700),
            hasty: rng.chance(300),
        };
        let limits = limits(setup);
        let count = 1 + rng.below(MAX_CLIENTS);
        let connects_within = Duration::from_millis(if rng.chance(500) { 1 } else { 5000 });
        let drain_at = rng.chance(250).then(|| start + rng.within(Duration::from_secs(3)));
        let force_at = drain_at.map(|at| at + rng.within(Duration::from_secs(30)));
        let accepts_per_turn = 1 + rng.below(4);
        let mut world = World::new(rng, start, faults, verbose);
        for id in 0..count {
            let conversation = conversation::draw(&mut world.rng, setup, peer(id));
            let service = if setup.bombed && id > 0 {
                Box::new(Bomb { work: Arc::clone(&world.bombs) })
            } else {
                conversation.service(peer(id))
            };
            let plan = plan::draw(&mut world.rng, conversation, setup.hasty);
            world.log(id, || {
                let (reason, pace) = (plan.close_reason, plan.read_pace);
                format!("{}, {reason:?}, {pace:?}: {:?}", plan.name, plan.steps)
            });
            let at = start + world.rng.within(connects_within);
            world.add(plan, service, at);
        }
        world.draw_shortage();
        let capacity = capacity(&mut world.rng);
        let records = Arc::clone(&world.records);
        let context = Context { records: Some(records), ..limits.into() };
        let world = Rc::new(RefCell::new(world));
        let reactor = Reactor::with(FakeKernel::new(&world, setup.computes_beside));
        let listener = FakeListener::new(&world);
        let address = peer(0).address.unwrap();
        let spec = BindSpec { address, backlog: 1024, reuse_port: false };
        let limiter = Arc::new(Limiter::new(capacity, Arc::default()));
        let listener =
            LimitedListener::new(listener, spec, Arc::clone(&limiter), Arc::default()).unwrap();
        Self {
            world,
            reactor,
            listener,
            limiter,
            capacity,
            context: Arc::new(context),
            accepts_per_turn,
            setup,
            waited_since: None,
            drain_at,
            force_at,
            draining: false,
            forced: false,
            served: vec![false; count],
            close_reasons: vec![None; count],
        }
    }

    fn is_over(&self) -> bool {
        let empty = self.reactor.is_empty() && self.world.borrow().backlog.is_empty();
        let all_closed = self.close_reasons.iter().all(Option::is_some);
        empty && (all_closed || self.draining)
    }

    /// A turn as the server's event loop makes it.
    fn turn(&mut self) {
        let stop_at = if self.draining { self.force_at } else { self.drain_at };
        let wake_at = self.listener.wake_at(self.reactor.now());
        let wake_at = wake_at.into_iter().chain(stop_at.filter(|_| !self.forced)).min();
        let ready = self.reactor.turn(wake_at).unwrap();
        self.world.borrow_mut().take_records();
        if ready.contains(Source::Listener) {
            self.listener.mark_readable();
        }
        self.reap();
        self.accept(self.accepts_per_turn);
        let now = self.reactor.now();
        if !self.draining && self.drain_at.is_some_and(|at| at <= now) {
            self.drain();
        } else if !self.forced && self.force_at.is_some_and(|at| at <= now) {
            self.forced = true;
            self.reactor.cut();
            self.reap();
        }
    }

    /// Accepts at most `most` clients.
    fn accept(&mut self, most: usize) {
        for _ in 0..most {
            let now = self.reactor.now();
            let Some(accepted) = self.listener.accept(now, || {}).unwrap() else { return };
            self.waited_since = None;
            let socket = accepted.socket;
            let id = socket.id();
            let session = |service| Session::new(service, Arc::clone(&self.context), 1, now);
            let from_source = self.served_from(source(id));
            let rightly_limited = |rejection| {
                let limited = Some(from_source) == self.capacity.per_source;
                assert!(rejection == Rejection::Full || limited, "client {id} is rejected");
            };
            let (session, permit) = match accepted.admission {
                Admission::Serve(permit) => {
                    let service = self.world.borrow_mut().clients[id].service.take().unwrap();
                    self.served[id] = true;
                    (session(service), permit)
                }
                Admission::ReplyBusy(permit, rejection) => {
                    rightly_limited(rejection);
                    let busy = match rejection {
                        Rejection::Full => Busy::full(),
                        Rejection::SourceLimit => Busy::source_limit(),
                    };
                    self.world.borrow_mut().clients[id].expect_busy(busy.text());
                    (session(Box::new(busy)), permit)
                }
                Admission::Shed(rejection) | Admission::Reset(rejection) => {
                    rightly_limited(rejection);
                    let full = rejection == Rejection::Full;
                    let waits = full && self.capacity.when_full == WhenFull::Queue;
                    assert!(!waits, "client {id} should have waited in the accept queue");
                    self.close_reasons[id] = Some(rejection.close_reason());
                    continue;
                }
            };
            self.reactor.add(socket, session, (id, permit)).map_err(|(_, error)| error).unwrap();
        }
    }

    /// Accepts all that wait, closes the listener, and drains the loop.
    fn drain(&mut self) {
        self.listener.mark_readable();
        self.accept(usize::MAX);
        self.listener.close();
        self.draining = true;
        let mut world = self.world.borrow_mut();
        world.closed = true;
        world.backlog.clear();
        world.log(0, || "the server stops".to_owned());
        for client in &mut world.clients {
            if client.connection.token.is_some() {
                client.owed_at_drain = Some(client.plan.owed(client.connection.arrived()));
            }
        }
        drop(world);
        self.reactor.drain();
    }

    /// Takes the closed connections out of the loop, and checks each.
    fn reap(&mut self) {
        for ((id, permit), reason, _) in self.reactor.take_closed() {
            drop(permit);
            self.served[id] = false;
            self.listener.end_backoff();
            let before = self.close_reasons[id].replace(reason);
            assert_eq!(before, None, "client {id} is closed twice");
            let mut world = self.world.borrow_mut();
            world.log(id, || format!("closed: {reason:?}"));
            world.clients[id].connection.token = None;
            let (now, halted) = (world.now, world.halted);
            let client = &mut world.clients[id];
            client.must_receive_all =
                check_close(client, id, reason, (now, halted), &self.context.limits, self.forced);
        }
    }

    /// The number of clients from this address that are served.
    fn served_from(&self, address: IpAddr) -> usize {
        self.served.iter().enumerate().filter(|&(id, &is)| is && source(id) == address).count()
    }

    /// No more clients are served and rejected than may be, and no client waits in the accept queue
    /// while there is a permit, but for the pause of accepting after a shortage.
    fn check_admission(&mut self) {
        let Capacity { clients, per_source, rejected, when_full } = self.capacity;
        let sources = [source(0), source(1)].map(|address| self.served_from(address));
        let most = per_source.unwrap_or(clients);
        assert!(sources.iter().all(|&n| n <= most), "too many clients from one address");
        assert!(self.limiter.serving() <= clients, "more clients are served than may be");
        assert!(self.reactor.len() <= clients + rejected, "more clients are rejected than may be");
        let world = self.world.borrow();
        let waiting = !world.backlog.is_empty() && world.listener_event_at.is_none();
        let permit = self.limiter.serving() < clients || when_full == WhenFull::Reset;
        let running_time = world.running_time();
        if waiting && permit && !world.accept_shortage.contains(&world.now) {
            let since = *self.waited_since.get_or_insert(running_time);
            assert!(running_time - since <= MAX_DELAY, "a client waits, and there is a permit");
        } else {
            self.waited_since = None;
        }
    }

    /// A connection holds no more than its limits, and nothing while it is idle.
    fn check_memory(&self) {
        let count = self.reactor.len();
        assert!(self.reactor.timers() <= count, "more timers than connections");
        let world = self.world.borrow();
        let open = world.clients.iter().filter(|client| client.connection.token.is_some());
        let busy = open.clone().filter(|client| {
            let connection = &client.connection;
            !client.plan.is_settled(connection.taken, connection.written)
                && connection.fin_sent_at.is_none()
        });
        let each = BUFFER_SIZE + OUTBOX_LIMIT.next_power_of_two();
        let most = busy.count() * each;
        assert_eq!(open.count(), count, "the loop holds the connections that it was given");
        assert!(self.reactor.bytes_held() <= most, "a connection holds too much");
        assert!(self.reactor.bytes_pooled() <= POOL_SIZE * BUFFER_SIZE, "the pool holds too much");
    }

    /// A client that asks for little does not wait for bombers.
    fn check_bombers(&self) {
        let world = self.world.borrow();
        let (connection, plan) = (&world.clients[0].connection, &world.clients[0].plan);
        // Of at least two bytes a message.
        let slices = plan.owed.last().map_or(0, |last| last.0) / 2 / bombs::LIGHT_PER_SLICE;
        let waited = connection.work_waited_for;
        let work = world.bombs.load(Ordering::Relaxed);
        let most = bombs::most_waited_for(work, slices);
        // The beginning of a message, cut off by a stop, may be a light one.
        let light = LIGHT_WORK as usize * world.clients.len();
        let is_light = work <= light as u64;
        assert!(!self.setup.computes_beside || is_light, "the loop has computed a heavy message");
        assert!(!self.setup.bombed || waited <= most, "the light client waits for bombers");
    }

    fn max_turns_unserved(&self) -> usize {
        match (self.setup.bombed, self.setup.heavy) {
            (true, _) => MAX_TURNS_UNSERVED_BOMBED,
            (_, true) => MAX_TURNS_UNSERVED_HEAVY,
            _ => MAX_TURNS_UNSERVED,
        }
    }

    /// The checks after every turn.
    fn check(&mut self) {
        self.check_admission();
        self.check_memory();
        self.check_bombers();
        let mut world = self.world.borrow_mut();
        let known_time = world.known_time();
        let halted = world.jumped + world.interrupted;
        let now = world.now;
        let max_turns = self.max_turns_unserved();
        let bombers = if self.setup.bombed { world.clients.len() } else { 0 };
        let max_delay = MAX_DELAY + bombs::time_of_all(bombers);
        for (id, client) in world.clients.iter_mut().enumerate() {
            if client.connection.token.is_none() {
                continue;
            }
            let owed_at_drain = client.owed_at_drain;
            let connection = &mut client.connection;
            let calls = std::mem::take(&mut connection.calls);
            assert!(calls <= MAX_CALLS, "client {id} takes too much of a turn");
            let served = calls > 0;
            // A heavy message waits for others to be computed, however many turns that takes.
            let computes = self.setup.computes_beside && !client.plan.light;
            let waits = client.plan.service_sleeps || computes;
            let unserved = connection.is_known_readable() && !served && !waits;
            let unserved = if unserved { connection.turns_unserved + 1 } else { 0 };
            connection.turns_unserved = unserved;
            assert!(unserved <= max_turns, "client {id} could be served, and is not");

            let owed = owed_at_drain.unwrap_or_else(|| client.plan.owed(connection.arrived()));
            let can_send = !connection.send_blocked
                && connection.fin_sent_at.is_none()
                && connection.broken.is_none();
            let behind = can_send && connection.written < owed;
            if !behind || served {
                connection.reply_due_since = None;
            }
            if behind {
                let since = *connection.reply_due_since.get_or_insert(known_time);
                let most = max_delay + client.plan.writing.takes.unwrap_or(PATIENCE).min(PATIENCE);
                assert!(known_time - since <= most, "client {id} waits for a reply");
            }

            let ends = owed_at_drain.is_some() && can_send && !self.setup.bombed;
            if ends && !client.plan.service_sleeps {
                let since = *client.fin_due_since.get_or_insert(known_time);
                assert!(known_time - since <= max_delay, "client {id} waits for the end");
            } else {
                client.fin_due_since = None;
            }

            let active_at = connection.active_at;
            let due = match connection.fin_sent_at {
                // Silence before the FIN counts.
                Some(at) => at.max(active_at + LINGER),
                None if connection.send_blocked && connection.written < owed => {
                    active_at + self.context.limits.unread
                }
                None => active_at + self.context.limits.idle,
            };
            let late = now.saturating_duration_since(due);
            assert!(late <= max_delay + halted, "client {id} should have been closed");
        }
    }

    /// The checks after the last turn.
    fn check_end(&self) {
        assert_eq!(self.reactor.len(), 0);
        assert!(self.limiter.serving() + self.limiter.rejecting() == 0, "a permit is not released");
        assert_eq!(self.reactor.timers(), 0, "a timer is left");
        let mut world = self.world.borrow_mut();
        let until = world.now + Duration::from_secs(3600);
        world.advance(until);
        for (id, client) in world.clients.iter().enumerate() {
            // A client that reads slowly may take longer than the server lingers.
            let eager = client.plan.read_pace.is_some_and(ReadPace::is_eager);
            if client.must_receive_all && !client.closed_before_busy && eager {
                assert_eq!(client.received, client.connection.written, "client {id} lost replies");
            }
        }
    }
}

/// Panics unless a connection was closed for a right reason. Returns true if the client must
/// receive all that was sent to it.
fn check_close(
    client: &Client,
    id: usize,
    reason: CloseReason,
    (now, halted): (Instant, Duration),
    limits: &Limits,
    forced: bool,
) -> bool {
    let (plan, connection) = (&client.plan, &client.connection);
    let owed = client.owed_at_drain.unwrap_or_else(|| plan.owed(connection.arrived()));
    // The server counts from the beginning of the turn in which the last byte moved.
    let silence = now - connection.active_at + MAX_DELAY;
    let halted = halted.saturating_sub(connection.halted_before);
    let silence = silence.saturating_sub(halted);
    let eager = plan.read_pace.is_some_and(ReadPace::is_eager) && !client.closed;
    // The last send before the end may have failed for another reason.
    let no_buffers = connection.no_buffers_at == Some(now);
    let unread = now - connection.owed_since + MAX_DELAY >= limits.unread
        && connection.send_blocked
        && (!eager || no_buffers);
    // Each of these is a reason why it was not sent all that it was owed.
    let excused = connection.broken.is_some() || forced || unread;
    assert!(connection.written >= owed || excused, "client {id} is left without a reply");
    let right = match reason {
        CloseReason::PeerClosed => connection.fin,
        CloseReason::PeerReset | CloseReason::Lost => {
            connection.broken.is_some_and(|error| reason_of(error) == reason)
        }
        CloseReason::Served | CloseReason::TooLong => {
            let whole = connection.written == plan.replies.len() || client.owed_at_drain.is_some();
            plan.service_reason == Some(reason) && (whole || excused)
        }
        CloseReason::Idle => plan.close_reason == reason && silence >= limits.idle,
        CloseReason::Unread => unread,
        CloseReason::Drained => client.owed_at_drain.is_some(),
        CloseReason::Forced => forced,
        CloseReason::TooSlow
        | CloseReason::Refused
        | CloseReason::SourceLimit
        | CloseReason::Broken => false,
    };
    let expected = plan.close_reason;
    assert!(right, "client {id} ({}) was closed: {reason:?} instead of {expected:?}", plan.name);
    !excused && !matches!(expected, CloseReason::PeerReset | CloseReason::Lost)
}

/// Close reason of a connection that is broken by this error.
fn reason_of(error: ErrorKind) -> CloseReason {
    if error == ErrorKind::TimedOut { CloseReason::Lost } else { CloseReason::PeerReset }
}

/// The limits of the server. A client that is not meant to be idle is silent for a second at most.
fn limits(setup: Setup) -> Limits {
    let [idle, arrival, unread] =
        if setup.hasty { [2500, 5000, 2000] } else { [20_000, 8000, 5000] };
    Limits {
        framing_mode: if setup.lines_only { FramingMode::Line } else { FramingMode::Auto },
        max_message: setup.max_message,
        idle: Duration::from_millis(idle),
        arrival: Duration::from_millis(arrival),
        unread: Duration::from_millis(unread),
    }
}

/// The address of a client: one of two.
pub fn source(id: usize) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, if id.is_multiple_of(2) { 1 } else { 2 }).into()
}

fn peer(id: usize) -> Peer {
    Peer { number: id as u64 + 1, address: Some((source(id), 4242).into()) }
}

fn capacity(rng: &mut Rng) -> Capacity {
    let when_full = [WhenFull::Reply, WhenFull::Reset, WhenFull::Queue][rng.below(3)];
    let clients = if rng.chance(500) { 1 + rng.below(4) } else { 1000 };
    let per_source = rng.chance(200).then(|| 1 + rng.below(3));
    Capacity { clients, per_source, rejected: 1 + rng.below(3), when_full }
}

/// Each rate is 0 in three runs of ten.
fn fault_rates(rng: &mut Rng) -> FaultRates {
    let mut rate = |most: usize| {
        let most = if rng.chance(300) { 0 } else { most };
        u32::try_from(rng.below(most + 1)).unwrap()
    };
    FaultRates {
        interrupt: rate(100),
        delay: rate(300),
        spurious_event: rate(100),
        repeated_event: rate(100),
        clock_jump: rate(5),
        halt: rate(20),
        signal: rate(20),
        no_buffers: rate(100),
    }
}
