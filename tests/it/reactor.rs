//! The readiness loop with real sockets, in our own hands: one thread is both the server and all of
//! its clients, so nothing depends on who runs when.

use std::io::{self, ErrorKind, Read, Write};
use std::iter;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Token;
use socket2::SockRef;
use socklab::buffer::BUFFER_SIZE;
use socklab::reactor::{Event, Kernel, Reactor, SLICES_PER_TURN, Source, TIMERS_PER_TURN};
use socklab::service::{
    self, Framing, MIN_WORK, Next, Output, Peer, Service, ServiceKind, ServiceSpec, WORK_PER_SLICE,
};
use socklab::session::{CloseReason, Context, Limits, Session};

use crate::common::{assert_bytes, transcript};

/// A loop, the clients of which connect here.
struct House {
    reactor: Reactor<usize>,
    listener: TcpListener,
    context: Arc<Context>,
    /// Of each connection, in bytes, if it is to be small; then the client's takes no more, either.
    send_buffer: Option<usize>,
    /// Who has left, and why.
    departed: Vec<(usize, CloseReason)>,
}

impl House {
    fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let reactor = Reactor::new().unwrap();
        let context = Arc::default();
        Self { reactor, listener, context, send_buffer: None, departed: Vec::new() }
    }

    fn enter(&mut self, guest: usize, spec: &ServiceSpec) -> TcpStream {
        self.enter_to(guest, |peer| spec.build(peer))
    }

    fn enter_to(
        &mut self,
        guest: usize,
        start: impl FnOnce(Peer) -> Box<dyn Service>,
    ) -> TcpStream {
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (socket, _) = self.listener.accept().unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_nonblocking(true).unwrap();
        client.set_nonblocking(true).unwrap();
        if let Some(size) = self.send_buffer {
            SockRef::from(&client).set_recv_buffer_size(size).unwrap();
            SockRef::from(&socket).set_send_buffer_size(size).unwrap();
        }
        let context = Arc::clone(&self.context);
        let number = guest as u64;
        let address = client.local_addr().unwrap();
        let service = start(Peer { number, address });
        let session = Session::new(service, context, number, self.reactor.now());
        self.reactor.add(mio::net::TcpStream::from_std(socket), session, guest).unwrap();
        client
    }

    /// Notes who has left, and closes their connections.
    fn see_off(&mut self) {
        let departed = self.reactor.take_closed().map(|(guest, ending, _)| (guest, ending));
        self.departed.extend(departed);
    }

    /// One turn that does not wait.
    fn turn(&mut self) {
        let now = self.reactor.now();
        self.reactor.turn(Some(now)).unwrap();
        self.see_off();
    }

    /// One turn that waits if nothing can be done.
    fn wait(&mut self) {
        let patience = self.reactor.now() + Duration::from_secs(60);
        self.reactor.turn(Some(patience)).unwrap();
        self.see_off();
    }

    /// Turns until nobody is left.
    fn empty(&mut self) {
        while !self.reactor.is_empty() {
            self.wait();
        }
    }

    /// Turns until `client` has received something, which is to be `reply`.
    #[track_caller]
    fn answers(&mut self, client: &mut TcpStream, reply: &[u8]) {
        let mut received = [0; 64];
        let n = loop {
            match client.read(&mut received) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(),
                result => break result.unwrap(),
            }
        };
        assert_bytes(&received[..n], reply);
    }
}

fn calc() -> ServiceSpec {
    transcript::Service::Calc.spec()
}

fn reset(client: TcpStream) {
    socket2::Socket::from(client).set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "minutes, and SO_LINGER")]
fn ten_thousand_clients_dropped_at_any_moment_leave_no_slot_and_no_timer() {
    let mut house = House::new();
    house.enter(0, &calc());
    house.empty();
    let mut clients = Vec::new();
    for n in 1..=10_000 {
        let mut client = house.enter(n, &calc());
        // Each stage of a connection's life, ended by a FIN or by a reset, with or without a turn
        // of the loop between, and with other clients in all the other stages.
        match n % 6 {
            0 => {}
            1 => client.write_all(b"1 + ").unwrap(),
            2 => client.write_all(b"1 + 2\n").unwrap(),
            3 => client.write_all(&b"1 + 2\n".repeat(100)).unwrap(),
            4 => {
                client.write_all(b"1 + 2\n").unwrap();
                house.turn();
            }
            _ => client.shutdown(Shutdown::Write).unwrap(),
        }
        if n % 7 < 3 {
            house.turn();
        }
        clients.push(client);
        if clients.len() > n % 50 {
            let client = clients.swap_remove(n * 31 % clients.len());
            if n % 2 == 0 {
                reset(client);
            }
        }
    }
    clients.clear();
    house.empty();
    assert_eq!(house.departed.len(), 10_001, "everyone left once");
    assert_eq!(house.reactor.timers(), 0);
}

#[test]
#[cfg_attr(miri, ignore = "it moves megabytes")]
fn a_client_that_never_stops_sending_does_not_keep_its_turn() {
    let mut house = House::new();
    let mut greedy = house.enter(1, &ServiceKind::Echo.into());
    let mut modest = house.enter(2, &ServiceKind::Echo.into());
    let mut scratch = vec![0; 1 << 20];
    let block = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        // It sends and takes all it can, so it could always go on.
        while greedy.write(&block).is_ok() {}
        while greedy.read(&mut scratch).is_ok() {}
        modest.write_all(b"my turn?").unwrap();
        house.turn();
        house.turn();
        let n = modest.read(&mut scratch).unwrap();
        assert_eq!(&scratch[..n], b"my turn?");
    }
}

#[test]
#[cfg_attr(miri, ignore = "it computes for long")]
fn a_crowd_with_much_to_compute_lets_a_client_with_one_request_come_first() {
    let mut house = House::new();
    let mut crowd: Vec<_> = (1..=100).map(|n| house.enter(n, &calc())).collect();
    for client in &mut crowd {
        client.write_all(&b"2**3000\n".repeat(1000)).unwrap();
    }
    house.turn();
    let mut modest = house.enter(0, &calc());
    let mut scratch = vec![0; 1 << 20];
    for _ in 0..50 {
        for client in &mut crowd {
            while client.read(&mut scratch).is_ok() {}
        }
        modest.write_all(b"1 + 2\n").unwrap();
        house.turn();
        let n = modest.read(&mut scratch).unwrap();
        assert_eq!(scratch[..n], *b"3\n");
        let served = crowd.iter_mut().filter_map(|client| client.read(&mut scratch).ok()).count();
        assert!(0 < served && served <= SLICES_PER_TURN, "{served} before it or beside it");
    }
}

#[test]
#[cfg_attr(miri, ignore = "it computes for long")]
fn a_crowd_that_asks_all_at_once_lets_a_client_come_between() {
    let mut house = House::new();
    let mut crowd: Vec<_> = (1..=400).map(|n| house.enter(n, &calc())).collect();
    house.turn();
    for client in &mut crowd {
        client.write_all(&b"2**3000\n".repeat(1000)).unwrap();
    }
    let mut modest = house.enter(0, &calc());
    let mut scratch = vec![0; 1 << 20];
    let mut served = Vec::new();
    while !crowd.is_empty() {
        modest.write_all(b"1 + 2\n").unwrap();
        house.turn();
        let n = modest.read(&mut scratch).unwrap();
        assert_eq!(scratch[..n], *b"3\n");
        let before = served.len();
        served.extend(crowd.extract_if(.., |client| client.read(&mut scratch).is_ok()));
        let now = served.len() - before;
        let all = SLICES_PER_TURN..=2 * SLICES_PER_TURN;
        assert!(all.contains(&now) || crowd.is_empty(), "{now} before it or beside it");
    }
}

#[test]
fn a_crowd_whose_time_is_over_does_not_leave_in_one_turn() {
    let limits = Limits { idle: Duration::from_millis(20), ..Limits::default() };
    let mut house = House { context: Arc::new(limits.into()), ..House::new() };
    let crowd: Vec<_> = (0..200).map(|n| house.enter(n, &calc())).collect();
    while house.departed.len() < crowd.len() {
        let before = house.departed.len();
        house.wait();
        let now = house.departed.len() - before;
        assert!(now <= TIMERS_PER_TURN, "{now} left in one turn");
    }
    assert!(house.departed.iter().all(|&(_, ending)| ending == CloseReason::Idle));
}

/// More than a slice of work.
const TOIL: &str = "2**12500 % 7";

#[test]
#[cfg_attr(miri, ignore = "it computes for long")]
fn a_turn_has_its_measure_whatever_makes_the_crowd_be_served() {
    type Ask = fn(&mut TcpStream);
    let with_short_lines: Ask = |client| {
        client.write_all(&b"add 1 2\n".repeat(2000)).unwrap();
    };
    let with_lines: Ask = |client| {
        client.write_all(format!("{TOIL}\n").repeat(5).as_bytes()).unwrap();
    };
    let with_an_end: Ask = |client| {
        client.write_all(TOIL.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    };
    let with_a_gap: Ask = |client| client.write_all(TOIL.as_bytes()).unwrap();
    // The reply to the first line is more than the socket takes at once.
    let without_reading: Ask = |client| {
        let toil = format!("{TOIL}\n").repeat(40);
        client.write_all(format!("(1,)*9500\n{toil}").as_bytes()).unwrap();
    };
    // A slice ends behind the message that makes it full.
    let slices = 2 * (SLICES_PER_TURN as u64 + 1);
    for (ask, spec, in_a_slice, all, send_buffer) in [
        (
            with_short_lines,
            ServiceKind::Fourops.into(),
            u64::from(WORK_PER_SLICE / MIN_WORK),
            200_000,
            None,
        ),
        (with_lines, calc(), 1, 500, None),
        (with_an_end, calc(), 1, 100, None),
        (with_a_gap, calc(), 1, 100, None),
        (without_reading, calc(), 1, 200, Some(4096)),
    ] {
        let mut house = House { send_buffer, ..House::new() };
        let mut crowd: Vec<_> = (0..100).map(|n| house.enter(n, &spec)).collect();
        house.turn();
        crowd.iter_mut().for_each(ask);
        let mut served = 0;
        let mut turns = 0;
        while served < all || turns < 300 {
            if served < all {
                house.wait();
            } else {
                house.turn();
            }
            turns += 1;
            let now = house.context.traffic.messages() - served;
            assert!(now <= slices * in_a_slice, "{now} in one turn");
            served += now;
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "it moves megabytes")]
fn a_blocked_reply_goes_on_when_the_client_reads() {
    let mut house = House::new();
    let mut client = house.enter(1, &ServiceKind::Echo.into());
    let block = vec![b'x'; 1 << 20];
    let mut sent = 0;
    // The loop stops receiving when it cannot send, and then the client cannot send either.
    let mut stuck = 0;
    while stuck < 3 {
        match client.write(&block) {
            Ok(n) => (sent, stuck) = (sent + n, 0),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                stuck += 1;
            }
        }
        house.turn();
    }
    client.shutdown(Shutdown::Write).unwrap();
    let mut received = 0;
    let mut scratch = vec![0; 1 << 20];
    loop {
        match client.read(&mut scratch) {
            Ok(0) => break,
            Ok(n) => received += n,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                house.turn();
            }
        }
    }
    assert_eq!(received, sent);
    house.empty();
    assert_eq!(house.departed, [(1, CloseReason::PeerClosed)]);
}

#[test]
#[cfg_attr(miri, ignore = "Miri knows no urgent data")]
fn what_stands_behind_urgent_data_is_received_too() {
    let mut house = House::new();
    let mut client = house.enter(1, &calc());
    house.turn();
    for _ in 0..100 {
        client.write_all(b"1 + 2\n").unwrap();
        // A receive stops at the urgent byte, short of what is already there behind it.
        SockRef::from(&client).send_out_of_band(b"!").unwrap();
        client.write_all(b"3 + 4\n").unwrap();
        house.turn();
        let mut replies = [0; 16];
        let n = client.read(&mut replies).unwrap();
        assert_bytes(&replies[..n], b"3\n7\n");
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri knows no SO_LINGER")]
fn a_reset_after_a_request_ends_the_connection_with_that_reason() {
    let mut house = House::new();
    let client = house.enter(7, &calc());
    house.turn();
    reset(client);
    house.empty();
    assert_eq!(house.departed, [(7, CloseReason::PeerReset)]);
}

#[test]
fn whoever_comes_is_answered_and_leaves_no_trace() {
    let mut house = House::new();
    let mut ann = house.enter(1, &calc());
    let mut bob = house.enter(2, &calc());
    let mut eve = house.enter(3, &calc());
    assert_eq!(house.reactor.len(), 3);
    ann.write_all(b"1 + 2\n3 + 4\n").unwrap();
    house.answers(&mut ann, b"3\n7\n");
    // No end: the gap is waited for, by the loop's own clock.
    bob.write_all(b"6 * 7").unwrap();
    house.answers(&mut bob, b"42");
    eve.write_all(b"8 * ").unwrap();
    house.turn();
    assert_eq!(house.reactor.bytes_held(), 4);
    assert_eq!(house.reactor.timers(), 3);
    // Of one turn's two buffers, for what comes in and for what goes out.
    assert_eq!(house.reactor.bytes_pooled(), 2 * BUFFER_SIZE);

    ann.write_all(b"5").unwrap();
    ann.shutdown(Shutdown::Write).unwrap();
    house.answers(&mut ann, b"5");
    drop(bob);
    house.reactor.cut();
    house.see_off();
    house.departed.sort_unstable_by_key(|&(guest, _)| guest);
    let forced = CloseReason::Forced;
    assert_eq!(house.departed, [(1, CloseReason::PeerClosed), (2, forced), (3, forced)]);
    assert_eq!((house.reactor.bytes_held(), house.reactor.timers()), (0, 0));
}

#[test]
fn the_owner_hears_of_its_own_sources_and_of_nothing_else() {
    const ALL: [Source; 3] = [Source::Listener, Source::Signals, Source::Waker];
    let mut house = House::new();
    let waker = house.reactor.waker().unwrap();
    let mut door = mio::net::TcpListener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let mut bell = mio::net::TcpListener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    house.reactor.register(&mut door, Source::Listener).unwrap();
    house.reactor.register(&mut bell, Source::Signals).unwrap();
    let mut client = house.enter(0, &calc());
    let mut heard = |expected: &[Source]| {
        client.write_all(b"1\n").unwrap();
        let now = house.reactor.now();
        let marks = house.reactor.turn(Some(now)).unwrap();
        let heard: Vec<_> = ALL.into_iter().filter(|&source| marks.contains(source)).collect();
        assert_eq!(heard, expected);
        assert_eq!(house.reactor.len(), 1);
    };
    let knock = |listener: &mio::net::TcpListener| {
        TcpStream::connect(listener.local_addr().unwrap()).unwrap()
    };
    heard(&[]);
    let _knocking = knock(&door);
    heard(&[Source::Listener]);
    heard(&[]);
    let _ringing = knock(&bell);
    heard(&[Source::Signals]);
    waker.wake().unwrap();
    heard(&[Source::Waker]);
    // Of a source that was not emptied nothing more need be said.
    while door.accept().is_ok() {}
    while bell.accept().is_ok() {}
    let _both = (knock(&door), knock(&bell));
    waker.wake().unwrap();
    heard(&ALL);
    heard(&[]);
}

/// Lets the others go first, then says so.
struct Polite;

impl Service for Polite {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, event: service::Event<'_>, now: Instant, out: &mut Output<'_>) -> Next {
        match event {
            service::Event::Timeout => {
                out.write(b"after you");
                Next::Close
            }
            _ => Next::SleepUntil(now),
        }
    }
}

#[test]
fn who_lets_others_go_first_comes_in_the_next_turn() {
    let mut house = House::new();
    let mut client = house.enter_to(1, |_| Box::new(Polite));
    house.turn();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    house.turn();
    let mut received = [0; 16];
    let n = client.read(&mut received).unwrap();
    assert_bytes(&received[..n], b"after you\n");
}

/// A kernel on which nothing works but the clock.
struct Broken;

impl Kernel for Broken {
    type Socket = mio::net::TcpStream;

    fn register(&mut self, _: &mut Self::Socket, _: Token) -> io::Result<()> {
        Err(ErrorKind::OutOfMemory.into())
    }

    fn wait(&mut self, _: Option<Duration>) -> io::Result<()> {
        Err(ErrorKind::OutOfMemory.into())
    }

    fn events(&self) -> impl Iterator<Item = Event> {
        iter::empty()
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn now(&self) -> Instant {
        Instant::now()
    }
}

#[test]
fn a_kernel_that_fails_is_not_asked_again_and_again() {
    let mut reactor = Reactor::with(Broken);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let address = client.local_addr().unwrap();
    let service = calc().build(Peer { number: 1, address });
    let session = Session::new(service, Arc::default(), 1, reactor.now());
    let refused = reactor.add(mio::net::TcpStream::from_std(client), session, 1);
    assert_eq!(refused.unwrap_err().1.kind(), ErrorKind::OutOfMemory);
    assert!(reactor.is_empty());
    assert_eq!(reactor.turn(None).unwrap_err().kind(), ErrorKind::OutOfMemory);
}
