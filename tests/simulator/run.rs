//! One run: a house of clients drawn from a seed, the real loop on the fake kernel, and what must
//! hold after every turn.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socklab::buffer::{BUFFER_SIZE, POOL_SIZE};
use socklab::drive::ready::RECEIVES_PER_SLICE;
use socklab::net::limited_listener::{Admission, LimitedListener};
use socklab::net::limiter::{Capacity, Limiter, Permit, WhenFull};
use socklab::net::listener::BindSpec;
use socklab::reactor::{Reactor, SLICES_PER_TURN, Source};
use socklab::service::{Busy, Peer};
use socklab::session::{CloseReason, Context, FramingMode, LINGER, Limits, OUTBOX_LIMIT, Session};

use crate::dice::Dice;
use crate::kernel::{Fake, FakeListener};
use crate::plan::{self, House, Pace};
use crate::world::{Client, Weather, World};

/// The most clients of a house.
const CROWD: usize = 12;

/// A connection that can be served is, within so many turns: at once or almost, unless everybody
/// has work for a turn. Then it waits until it has come to the front of the queue.
const PATIENCE: usize = 4;
const PATIENCE_OF_TOILERS: usize = PATIENCE + CROWD.div_ceil(SLICES_PER_TURN);

/// The most system calls for one connection in a turn: each receive with a send, once for what has
/// come and once for a timer, and as many that are interrupted or find the socket full.
const MOST_CALLS: u32 = RECEIVES_PER_SLICE * 8;

/// The longest time that the server may owe something that it could send: a gap, the quiz's pause,
/// late events, and the turns themselves.
const PROMPT: Duration = Duration::from_millis(25 + 200 + 75);

/// The most turns of a run. More than 200,000 were seen: a reader of single bytes (seed 320804).
const MOST_TURNS: u32 = 1_000_000;

pub struct Run {
    world: Rc<RefCell<World>>,
    reactor: Reactor<(usize, Permit), Fake>,
    door: LimitedListener<FakeListener>,
    limiter: Arc<Limiter>,
    capacity: Capacity,
    context: Arc<Context>,
    accepts_per_turn: usize,
    /// Everybody has much to compute.
    toils: bool,
    /// Since when somebody waits for whom there is room.
    waited_since: Option<Instant>,
    /// When the server is told to stop, and when it does not wait any longer; until it has.
    drain_at: Option<Instant>,
    cut_at: Option<Instant>,
    draining: bool,
    cut: bool,
    departed: Vec<Option<CloseReason>>,
}

/// Plays the run of this seed, and panics where something does not hold.
pub fn play(seed: u64, begun: Instant, telling: bool) {
    let mut run = Run::new(seed, begun, telling);
    let mut turns = 0;
    while !run.is_over() {
        turns += 1;
        assert!(turns < MOST_TURNS, "it does not come to an end");
        run.turn();
        run.check();
    }
    run.check_the_end();
}

impl Run {
    fn new(seed: u64, begun: Instant, telling: bool) -> Self {
        let mut dice = Dice::new(seed);
        let weather = weather(&mut dice);
        let house = House {
            lines_only: dice.chance(250),
            max_message: if dice.chance(500) { 4096 } else { 64 + dice.below(2000) },
            quiz_seed: seed,
            toils: dice.chance(30),
        };
        let limits = Limits {
            framing_mode: if house.lines_only { FramingMode::Line } else { FramingMode::Auto },
            max_message: house.max_message,
            idle: Duration::from_secs(20),
            arrival: Duration::from_secs(8),
            unread: Duration::from_secs(5),
        };
        let count = 1 + dice.below(CROWD);
        let crowd = Duration::from_millis(if dice.chance(500) { 1 } else { 5000 });
        let drain_at = dice.chance(250).then(|| begun + dice.within(Duration::from_secs(3)));
        let cut_at = drain_at.map(|at| at + dice.within(Duration::from_secs(30)));
        let accepts_per_turn = 1 + dice.below(4);
        let mut world = World::new(dice, begun, weather, telling);
        for id in 0..count {
            let (plan, service) = plan::draw(&mut world.dice, house, peer(id));
            world.tell(id, || {
                format!("{}, {:?}, {:?}: {:?}", plan.name, plan.ending, plan.pace, plan.steps)
            });
            let at = begun + world.dice.within(crowd);
            world.add(plan, service, at);
        }
        if world.dice.chance(300) {
            let from = begun + world.dice.within(Duration::from_secs(1));
            world.shortage = from..from + world.dice.within(Duration::from_secs(1));
        }
        let capacity = capacity(&mut world.dice);
        let world = Rc::new(RefCell::new(world));
        let reactor = Reactor::with(Fake::new(&world));
        let listener = FakeListener::new(&world);
        let place = BindSpec { address: peer(0).address, backlog: 1024, reuse_port: false };
        let limiter = Arc::new(Limiter::new(capacity, Arc::default()));
        let door =
            LimitedListener::new(listener, place, Arc::clone(&limiter), Arc::default()).unwrap();
        Self {
            world,
            reactor,
            door,
            limiter,
            capacity,
            context: Arc::new(limits.into()),
            accepts_per_turn,
            toils: house.toils,
            waited_since: None,
            drain_at,
            cut_at,
            draining: false,
            cut: false,
            departed: vec![None; count],
        }
    }

    fn is_over(&self) -> bool {
        let nobody = self.reactor.is_empty() && self.world.borrow().backlog.is_empty();
        let all_gone = self.departed.iter().all(Option::is_some);
        nobody && (all_gone || self.draining)
    }

    /// What the acceptor does.
    fn turn(&mut self) {
        let stop_at = if self.draining { self.cut_at } else { self.drain_at };
        let wake_at = self.door.wake_at(self.reactor.now());
        let wake_at = wake_at.into_iter().chain(stop_at.filter(|_| !self.cut)).min();
        let marks = self.reactor.turn(wake_at).unwrap();
        if marks.contains(Source::Listener) {
            self.door.mark_readable();
        }
        self.see_off();
        self.admit(self.accepts_per_turn);
        let now = self.reactor.now();
        if !self.draining && self.drain_at.is_some_and(|at| at <= now) {
            self.drain();
        } else if !self.cut && self.cut_at.is_some_and(|at| at <= now) {
            self.cut = true;
            self.reactor.cut();
            self.see_off();
        }
    }

    fn admit(&mut self, most: usize) {
        for _ in 0..most {
            let now = self.reactor.now();
            let Some(accepted) = self.door.accept(now, || {}).unwrap() else { return };
            self.waited_since = None;
            let socket = accepted.socket;
            let id = socket.id();
            let session = |service| Session::new(service, Arc::clone(&self.context), 1, now);
            let (session, permit) = match accepted.admission {
                Admission::Serve(permit) => {
                    let service = self.world.borrow_mut().clients[id].service.take().unwrap();
                    (session(service), permit)
                }
                Admission::ReplyBusy(permit) => {
                    self.world.borrow_mut().clients[id].turn_away();
                    (session(Box::new(Busy)), permit)
                }
                Admission::Shed | Admission::Reset => {
                    let waits = self.capacity.when_full == WhenFull::Queue;
                    assert!(!waits, "client {id} should have waited outside");
                    self.departed[id] = Some(CloseReason::Refused);
                    continue;
                }
            };
            self.reactor.add(socket, session, (id, permit)).map_err(|(_, error)| error).unwrap();
        }
    }

    /// Nobody comes any more, and an empty socket is the end of input.
    fn drain(&mut self) {
        self.door.mark_readable();
        self.admit(usize::MAX);
        self.door.close();
        self.draining = true;
        let mut world = self.world.borrow_mut();
        world.closed = true;
        world.backlog.clear();
        world.tell(0, || "the server stops".to_owned());
        for client in &mut world.clients {
            if client.wire.token.is_some() {
                client.drained_at = Some(client.plan.owed(client.wire.arrived()));
            }
        }
        drop(world);
        self.reactor.drain();
    }

    fn see_off(&mut self) {
        for ((id, permit), ending, _) in self.reactor.take_closed() {
            drop(permit);
            self.door.end_backoff();
            let before = self.departed[id].replace(ending);
            assert_eq!(before, None, "client {id} departs twice");
            let mut world = self.world.borrow_mut();
            world.tell(id, || format!("departed: {ending:?}"));
            world.clients[id].wire.token = None;
            let (now, jumped) = (world.now, world.jumped);
            let client = &mut world.clients[id];
            client.sure = judge(client, id, ending, (now, jumped), &self.context.limits, self.cut);
        }
    }

    /// Whoever waits is let in if there is room, within a pause of accepting.
    fn check_the_door(&mut self) {
        let Capacity { clients, rejected, when_full } = self.capacity;
        assert!(self.limiter.serving() <= clients, "more are served than may be");
        assert!(self.reactor.len() <= clients + rejected, "more are turned away than may be");
        let world = self.world.borrow();
        let waiting = !world.backlog.is_empty() && world.knock_at.is_none();
        let room = self.limiter.serving() < clients || when_full == WhenFull::Reset;
        let steady = world.steady();
        if waiting && room && !world.shortage.contains(&world.now) {
            let since = *self.waited_since.get_or_insert(steady);
            assert!(steady - since <= PROMPT, "somebody waits, and there is room");
        } else {
            self.waited_since = None;
        }
    }

    /// A connection holds no more than its limits, and nothing while there is nothing to do for it.
    fn check_the_memory(&self) {
        let count = self.reactor.len();
        assert!(self.reactor.timers() <= count, "more timers than connections");
        let world = self.world.borrow();
        let known = world.clients.iter().filter(|client| client.wire.token.is_some());
        let busy = known.clone().filter(|client| {
            let wire = &client.wire;
            !client.plan.is_quiet(wire.taken, wire.written) && wire.shut_at.is_none()
        });
        let each = BUFFER_SIZE + OUTBOX_LIMIT.next_power_of_two();
        let most = busy.count() * each;
        assert_eq!(known.count(), count, "the loop holds as many connections as it was given");
        assert!(self.reactor.bytes_held() <= most, "a connection holds too much");
        assert!(self.reactor.bytes_pooled() <= POOL_SIZE * BUFFER_SIZE, "the pool holds too much");
    }

    /// What must hold after every turn.
    fn check(&mut self) {
        self.check_the_door();
        self.check_the_memory();
        let mut world = self.world.borrow_mut();
        let steady = world.steady();
        let (now, jumped) = (world.now, world.jumped);
        let patience = if self.toils { PATIENCE_OF_TOILERS } else { PATIENCE };
        for (id, client) in world.clients.iter_mut().enumerate() {
            if client.wire.token.is_none() {
                continue;
            }
            let drained_at = client.drained_at;
            let wire = &mut client.wire;
            let calls = std::mem::take(&mut wire.calls);
            assert!(calls <= MOST_CALLS, "client {id} keeps its turn, and the loop");
            let touched = calls > 0;
            let can = wire.is_known_readable() && !client.plan.naps;
            wire.hungry = if can && !touched { wire.hungry + 1 } else { 0 };
            assert!(wire.hungry <= patience, "client {id} could be served, and is not");

            let owed = drained_at.unwrap_or_else(|| client.plan.owed(wire.arrived()));
            let can = !wire.full && wire.shut_at.is_none() && wire.broken.is_none();
            let owing = can && wire.written < owed;
            if !owing || touched {
                wire.owing_since = None;
            }
            if owing {
                let since = *wire.owing_since.get_or_insert(steady);
                assert!(steady - since <= PROMPT, "client {id} is owed a reply, and waits");
            }

            if drained_at.is_some() && can && !client.plan.naps {
                let since = *client.ending_since.get_or_insert(steady);
                assert!(steady - since <= PROMPT, "client {id} does not hear of the stop");
            } else {
                client.ending_since = None;
            }

            let due = match wire.shut_at {
                // Silence from before may have been enough.
                Some(at) => at.max(wire.active_at + LINGER),
                None if wire.full && wire.written < owed => {
                    wire.active_at + self.context.limits.unread
                }
                None => wire.active_at + self.context.limits.idle,
            };
            let late = now.saturating_duration_since(due);
            assert!(late <= PROMPT + jumped, "client {id} should have been sent away");
        }
    }

    fn check_the_end(&self) {
        assert_eq!(self.reactor.len(), 0);
        assert!(self.limiter.serving() == 0, "a permit is not released");
        assert_eq!(self.reactor.timers(), 0, "a timer is left");
        let mut world = self.world.borrow_mut();
        let until = world.now + Duration::from_secs(3600);
        world.pass(until);
        for (id, client) in world.clients.iter().enumerate() {
            // A client that reads slowly may be at it longer than the server lingers.
            if client.sure && !client.left && client.plan.pace.is_some_and(Pace::is_eager) {
                assert_eq!(client.got, client.wire.written, "client {id} lost replies");
            }
        }
    }
}

/// Panics unless a client's connection ended as it had to. Returns whether the client must have all
/// that was sent to it.
fn judge(
    client: &Client,
    id: usize,
    ending: CloseReason,
    (now, jumped): (Instant, Duration),
    limits: &Limits,
    cut: bool,
) -> bool {
    let (plan, wire) = (&client.plan, &client.wire);
    let owed = client.drained_at.unwrap_or_else(|| plan.owed(wire.arrived()));
    // The server counts from the beginning of the turn in which the last byte moved.
    let silent = now - wire.active_at + PROMPT;
    // A reason why it was not sent all that it was owed.
    // A server that was not running for so long cannot know when the rest of a message came.
    let stopped = |patience: Duration| jumped >= patience.saturating_sub(PROMPT);
    let slow = ending == CloseReason::TooSlow && stopped(limits.arrival);
    // Nor does it try twice when the machine is short of memory just then.
    let unread = silent >= limits.unread && (wire.full || stopped(limits.unread));
    let excused = slow || wire.broken.is_some() || cut || unread;
    assert!(wire.written >= owed || excused, "client {id} is left without a reply");
    let fits = match ending {
        CloseReason::PeerClosed => wire.fin,
        CloseReason::PeerReset | CloseReason::Lost => {
            wire.broken.is_some_and(|error| plan_broke(error) == ending)
        }
        CloseReason::Served | CloseReason::TooLong => {
            let whole = wire.written == plan.answer.len() || client.drained_at.is_some();
            plan.last_word == Some(ending) && (whole || excused)
        }
        CloseReason::Idle => plan.ending == ending && silent >= limits.idle,
        CloseReason::Unread => unread,
        CloseReason::Drained => client.drained_at.is_some(),
        CloseReason::Forced => cut,
        CloseReason::TooSlow => slow,
        CloseReason::Refused | CloseReason::Broken => false,
    };
    assert!(fits, "client {id} ({}) ended: {ending:?} instead of {:?}", plan.name, plan.ending);
    !excused && !matches!(plan.ending, CloseReason::PeerReset | CloseReason::Lost)
}

fn plan_broke(error: std::io::ErrorKind) -> CloseReason {
    if error == std::io::ErrorKind::TimedOut { CloseReason::Lost } else { CloseReason::PeerReset }
}

fn peer(id: usize) -> Peer {
    Peer { number: id as u64 + 1, address: ([127, 0, 0, 1], 4242).into() }
}

fn capacity(dice: &mut Dice) -> Capacity {
    let when_full = [WhenFull::Reply, WhenFull::Reset, WhenFull::Queue][dice.below(3)];
    let clients = if dice.chance(500) { 1 + dice.below(4) } else { 1000 };
    Capacity { clients, rejected: 1 + dice.below(3), when_full }
}

/// A calm day or a rough one.
fn weather(dice: &mut Dice) -> Weather {
    let mut often = |most: usize| {
        let most = if dice.chance(300) { 0 } else { most };
        u32::try_from(dice.below(most + 1)).unwrap()
    };
    Weather {
        interrupt: often(100),
        delay: often(300),
        invent: often(100),
        repeat: often(100),
        jump: often(5),
        short_of_memory: often(100),
    }
}
