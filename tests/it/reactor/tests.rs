//! The readiness loop on real sockets and a real kernel, `System`. One thread is the server and all
//! of its clients, so no test depends on a scheduler.

use std::io::{self, ErrorKind, Read, Write};
use std::iter;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use mio::Token;
use socket2::SockRef;
use socklab::buffer::BUFFER_SIZE;
use socklab::reactor::{Event, Kernel, Reactor, SLICES_PER_TURN, Source, TIMERS_PER_TURN};
use socklab::service::{
    self, Framing, MIN_WORK, Next, Output, Peer, Service, ServiceKind, ServiceSpec, WORK_PER_SLICE,
};
use socklab::session::{CloseReason, Context, Limits, Session};

use super::System;
use crate::common::{assert_bytes, transcript};

/// A loop, and the listener at which its clients connect.
struct TestLoop {
    reactor: Reactor<usize, System>,
    listener: TcpListener,
    context: Arc<Context>,
    /// Size of the send buffer and of the client's receive buffer, in bytes, if they are small.
    send_buffer: Option<usize>,
    /// Closed connections, by their client's number.
    closed: Vec<(usize, CloseReason)>,
}

impl TestLoop {
    fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let reactor = Reactor::new().unwrap();
        let context = Arc::default();
        Self { reactor, listener, context, send_buffer: None, closed: Vec::new() }
    }

    fn connect(&mut self, number: usize, spec: &ServiceSpec) -> TcpStream {
        self.connect_to(number, |peer| spec.build(peer))
    }

    fn connect_to(
        &mut self,
        number: usize,
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

        let address = client.local_addr().unwrap();
        let service = start(Peer { number: number as u64, address: Some(address) });
        let session = Session::new(service, context, number as u64, self.reactor.now());
        self.reactor.add(mio::net::TcpStream::from_std(socket), session, number).unwrap();
        client
    }

    /// Takes the closed connections out of the loop, which closes their sockets.
    fn reap(&mut self) {
        let closed = self.reactor.take_closed().map(|(number, reason, _)| (number, reason));
        self.closed.extend(closed);
    }

    /// A turn that does not wait.
    fn turn(&mut self) {
        let now = self.reactor.now();
        self.reactor.turn(Some(now)).unwrap();
        self.reap();
    }

    /// A turn that waits for work.
    fn wait(&mut self) {
        let deadline = self.reactor.now() + Duration::from_secs(60);
        self.reactor.turn(Some(deadline)).unwrap();
        self.reap();
    }

    /// Turns until no connection is left.
    fn run_until_empty(&mut self) {
        while !self.reactor.is_empty() {
            self.wait();
        }
    }

    /// Turns until `client` receives something, which must be `reply`.
    #[track_caller]
    fn expect_reply(&mut self, client: &mut TcpStream, reply: &[u8]) {
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

impl TestLoop {
    /// Turns until waits end by their timeout only: nothing is reported again and again.
    #[track_caller]
    fn expect_rest(&mut self) {
        let timeout = Duration::from_millis(10);
        let rested = (0..100).any(|_| {
            let before = self.reactor.now();
            self.reactor.turn(Some(before + timeout)).unwrap();
            self.reap();
            self.reactor.now() - before >= timeout
        });
        assert!(rested, "the loop spins");
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
    let mut test_loop = TestLoop::new();
    test_loop.connect(0, &calc());
    test_loop.run_until_empty();
    let mut clients = Vec::new();
    for n in 1..=10_000 {
        let mut client = test_loop.connect(n, &calc());
        // Each stage of a connection's life, ended by a FIN or by a reset, with or without a turn
        // before it, and with other clients in the other stages.
        match n % 6 {
            0 => {}
            1 => client.write_all(b"1 + ").unwrap(),
            2 => client.write_all(b"1 + 2\n").unwrap(),
            3 => client.write_all(&b"1 + 2\n".repeat(100)).unwrap(),
            4 => {
                client.write_all(b"1 + 2\n").unwrap();
                test_loop.turn();
            }
            _ => client.shutdown(Shutdown::Write).unwrap(),
        }
        if n % 7 < 3 {
            test_loop.turn();
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
    test_loop.run_until_empty();
    assert_eq!(test_loop.closed.len(), 10_001, "each closed once");
    assert_eq!(test_loop.reactor.timers(), 0);
}

#[test]
#[cfg_attr(miri, ignore = "it moves megabytes")]
fn a_client_that_never_stops_sending_does_not_starve_another() {
    let mut test_loop = TestLoop::new();
    let mut flooding = test_loop.connect(1, &ServiceKind::Echo.into());
    let mut other = test_loop.connect(2, &ServiceKind::Echo.into());
    let mut scratch = vec![0; 1 << 20];
    let block = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        // It sends and receives all it can, so it is ready at any time.
        while flooding.write(&block).is_ok() {}
        while flooding.read(&mut scratch).is_ok() {}
        other.write_all(b"hello").unwrap();
        test_loop.turn();
        test_loop.turn();
        let n = other.read(&mut scratch).unwrap();
        assert_eq!(&scratch[..n], b"hello");
    }
}

#[test]
#[cfg_attr(miri, ignore = "it computes for long")]
fn a_new_request_is_served_before_a_hundred_long_batches_continue() {
    let mut test_loop = TestLoop::new();
    let mut clients: Vec<_> = (1..=100).map(|n| test_loop.connect(n, &calc())).collect();
    for client in &mut clients {
        client.write_all(&b"2**3000\n".repeat(1000)).unwrap();
    }
    test_loop.turn();
    let mut other = test_loop.connect(0, &calc());
    let mut scratch = vec![0; 1 << 20];
    for _ in 0..50 {
        for client in &mut clients {
            while client.read(&mut scratch).is_ok() {}
        }
        other.write_all(b"1 + 2\n").unwrap();
        test_loop.turn();
        let n = other.read(&mut scratch).unwrap();
        assert_eq!(scratch[..n], *b"3\n");
        let served = clients.iter_mut().filter_map(|client| client.read(&mut scratch).ok()).count();
        assert!(0 < served && served <= SLICES_PER_TURN, "{served} others in the same turn");
    }
}

#[test]
#[cfg_attr(miri, ignore = "it computes for long")]
fn a_single_request_is_served_in_each_turn_of_a_burst_of_400_batches() {
    let mut test_loop = TestLoop::new();
    let mut clients: Vec<_> = (1..=400).map(|n| test_loop.connect(n, &calc())).collect();
    test_loop.turn();
    for client in &mut clients {
        client.write_all(&b"2**1000\n".repeat(1000)).unwrap();
    }
    let mut other = test_loop.connect(0, &calc());
    let mut scratch = vec![0; 1 << 20];
    let mut served = Vec::new();
    let mut turns = 0;
    while !clients.is_empty() {
        turns += 1;
        other.write_all(b"1 + 2\n").unwrap();
        test_loop.turn();
        let n = other.read(&mut scratch).unwrap();
        assert_eq!(scratch[..n], *b"3\n");
        let before = served.len();
        served.extend(clients.extract_if(.., |client| client.read(&mut scratch).is_ok()));
        let now = served.len() - before;
        assert!(now <= 2 * SLICES_PER_TURN, "{now} others in the same turn");
    }
    // A turn goes on with as many that were served before.
    assert!(turns <= 2 * 400 / SLICES_PER_TURN, "{turns} turns until all were served");
}

/// Has as many clients each send a message, and counts the turns until `other` has the reply to its
/// own, which arrived after theirs.
fn turns_beside(count: usize, text: &str, heavy: usize) -> usize {
    let mut test_loop = TestLoop::new();
    let long = format!("{LONG_REQUEST}\n");
    // These compute all the time.
    let mut computing: Vec<_> = (0..heavy).map(|n| test_loop.connect(n, &calc())).collect();
    for client in &mut computing {
        client.write_all(long.repeat(50).as_bytes()).unwrap();
    }
    test_loop.turn();
    test_loop.turn();
    let mut clients: Vec<_> = (0..count).map(|n| test_loop.connect(n, &calc())).collect();
    let mut other = test_loop.connect(count, &calc());
    test_loop.turn();
    for client in &mut clients {
        client.write_all(text.as_bytes()).unwrap();
    }
    other.write_all(b"1 + 2\n").unwrap();
    let mut scratch = [0; 64];
    let mut turns = 0;
    while other.read(&mut scratch).is_err() {
        test_loop.turn();
        turns += 1;
    }
    turns
}

#[test]
#[cfg_attr(miri, ignore = "it computes for long")]
fn a_light_message_does_not_wait_for_heavy_ones_that_arrived_before() {
    // The first of their clients: nothing is known about them.
    assert_eq!(turns_beside(20, &format!("{LONG_REQUEST}\n"), 0), 1);
}

#[test]
#[cfg_attr(miri, ignore = "it computes for long")]
fn light_messages_that_a_turn_had_no_time_for_come_before_heavy_ones() {
    // 500 bytes are 8,000 products of limbs: at least 65 a turn of each queue.
    let turns = turns_beside(300, &format!("1.{}\n", "+1".repeat(250)), 20);
    assert!(turns <= 5, "{turns}");
}

/// A service whose heavy messages take until the test lets them end. `panic` panics.
struct Held(mpsc::Receiver<()>);

impl Service for Held {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, event: service::Event<'_>, _: Instant, out: &mut Output<'_>) -> Next {
        if let service::Event::Message(text) = event {
            if out.most_work() < u32::MAX {
                return Next::Defer;
            }
            assert_ne!(text, b"panic", "on purpose");
            self.0.recv_timeout(Duration::from_secs(60)).unwrap();
            out.write(b"done");
            out.charge(2 * u64::from(WORK_PER_SLICE));
        }
        Next::Read
    }
}

#[test]
fn the_loop_serves_others_while_a_message_is_computed() {
    let mut test_loop = TestLoop::new();
    // A loop has one for other threads as well.
    let _waker = test_loop.reactor.waker().unwrap();
    let (release, held) = mpsc::channel();
    let mut heavy = test_loop.connect_to(1, |_| Box::new(Held(held)));
    // Its heavy message comes behind the first of the other.
    let mut second = test_loop.connect(2, &calc());
    let mut light = test_loop.connect(3, &calc());
    heavy.write_all(b"first\nsecond\n").unwrap();
    test_loop.turn();
    second.write_all(format!("{LONG_REQUEST}\n").as_bytes()).unwrap();
    for _ in 0..10 {
        light.write_all(b"1 + 2\n").unwrap();
        test_loop.expect_reply(&mut light, b"3\n");
    }
    assert_eq!(heavy.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(second.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    // What arrives meanwhile is served afterwards.
    heavy.write_all(b"third\n").unwrap();
    heavy.shutdown(Shutdown::Write).unwrap();
    test_loop.turn();
    for _ in 0..3 {
        release.send(()).unwrap();
        test_loop.expect_reply(&mut heavy, b"done\n");
    }
    test_loop.expect_reply(&mut second, b"4\n");
    drop((second, light));
    test_loop.run_until_empty();
    assert!(test_loop.closed.iter().all(|&(_, reason)| reason == CloseReason::PeerClosed));
}

#[test]
#[cfg_attr(miri, ignore = "SO_LINGER")]
fn nothing_is_computed_for_a_client_that_has_reset_its_connection() {
    let mut test_loop = TestLoop::new();
    let [(release, held), (_never, other)] = [mpsc::channel(), mpsc::channel()];
    let mut heavy = test_loop.connect_to(1, |_| Box::new(Held(held)));
    heavy.write_all(b"1\n").unwrap();
    test_loop.turn();
    let mut waiting = test_loop.connect_to(2, |_| Box::new(Held(other)));
    waiting.write_all(b"panic\n").unwrap();
    test_loop.turn();
    SockRef::from(&waiting).set_linger(Some(Duration::ZERO)).unwrap();
    drop(waiting);
    release.send(()).unwrap();
    test_loop.expect_reply(&mut heavy, b"done\n");
    drop(heavy);
    test_loop.run_until_empty();
    assert_eq!(test_loop.closed[0], (2, CloseReason::PeerReset));
}

#[test]
fn replies_before_a_heavy_message_are_sent_while_another_is_computed() {
    let mut test_loop = TestLoop { send_buffer: Some(2048), ..TestLoop::new() };
    let (release, held) = mpsc::channel();
    let mut heavy = test_loop.connect_to(1, |_| Box::new(Held(held)));
    heavy.write_all(b"1\n").unwrap();
    test_loop.turn();
    let mut client = test_loop.connect(2, &calc());
    let messages = format!("{}{LONG_REQUEST}\n", "hex(1)*300\n".repeat(30));
    client.write_all(messages.as_bytes()).unwrap();
    let (mut received, mut scratch) = (0, [0; 4096]);
    // Thirty lines of 901 bytes.
    while received < 30 * 901 {
        match client.read(&mut scratch) {
            Ok(n) => received += n,
            Err(_) => test_loop.wait(),
        }
    }
    release.send(()).unwrap();
    test_loop.expect_reply(&mut client, b"4\n");
}

#[test]
fn a_drain_answers_what_is_being_computed_and_a_cut_waits_for_it() {
    for forced in [false, true] {
        let mut test_loop = TestLoop::new();
        let (release, held) = mpsc::channel();
        let mut heavy = test_loop.connect_to(1, |_| Box::new(Held(held)));
        let mut waiting = test_loop.connect(2, &calc());
        heavy.write_all(b"1\n").unwrap();
        test_loop.turn();
        waiting.write_all(format!("{LONG_REQUEST}\n").as_bytes()).unwrap();
        test_loop.turn();
        test_loop.reactor.drain();
        test_loop.turn();
        release.send(()).unwrap();
        let reason = if forced {
            test_loop.reactor.cut();
            CloseReason::Forced
        } else {
            test_loop.expect_reply(&mut heavy, b"done\n");
            test_loop.expect_reply(&mut waiting, b"4\n");
            drop((heavy, waiting));
            test_loop.run_until_empty();
            CloseReason::Drained
        };
        test_loop.reap();
        test_loop.closed.sort_unstable_by_key(|&(number, _)| number);
        assert_eq!(test_loop.closed, [(1, reason), (2, reason)]);
    }
}

#[test]
#[should_panic(expected = "the compute thread has panicked")]
fn a_panic_in_the_compute_thread_ends_the_loop() {
    let mut test_loop = TestLoop::new();
    let (_release, held) = mpsc::channel();
    let mut heavy = test_loop.connect_to(1, |_| Box::new(Held(held)));
    heavy.write_all(b"panic\n").unwrap();
    loop {
        test_loop.wait();
    }
}

#[test]
#[cfg_attr(miri, ignore = "it computes for long")]
fn a_batch_of_10_000_light_lines_does_not_wait_for_heavy_ones() {
    let mut test_loop = TestLoop::new();
    let (_release, held) = mpsc::channel();
    let mut heavy = test_loop.connect_to(0, |_| Box::new(Held(held)));
    heavy.write_all(b"1\n").unwrap();
    test_loop.turn();
    let mut batch = test_loop.connect(50, &calc());
    batch.write_all(&b"1\n".repeat(10_000)).unwrap();
    let mut scratch = vec![0; 32 * 1024];
    let (mut received, mut turns) = (0, 0);
    while received < 20_000 {
        turns += 1;
        assert!(turns <= 20, "{received} bytes in 20 turns");
        test_loop.turn();
        received += batch.read(&mut scratch).unwrap_or(0);
    }
}

#[test]
fn expired_connections_are_closed_over_several_turns() {
    let limits = Limits { idle: Duration::from_millis(20), ..Limits::default() };
    let mut test_loop = TestLoop { context: Arc::new(limits.into()), ..TestLoop::new() };
    let clients: Vec<_> = (0..200).map(|n| test_loop.connect(n, &calc())).collect();
    while test_loop.closed.len() < clients.len() {
        let before = test_loop.closed.len();
        test_loop.wait();
        let now = test_loop.closed.len() - before;
        assert!(now <= TIMERS_PER_TURN, "{now} left in one turn");
    }
    assert!(test_loop.closed.iter().all(|&(_, reason)| reason == CloseReason::Idle));
}

/// A request of more work than a slice.
const LONG_REQUEST: &str = "2**12500 % 7";

#[test]
#[cfg_attr(miri, ignore = "it computes for long")]
fn the_work_of_a_turn_is_bounded_whatever_starts_it() {
    type Send = fn(&mut TcpStream);
    let with_short_lines: Send = |client| {
        client.write_all(&b"add 1 2\n".repeat(2000)).unwrap();
    };
    let with_lines: Send = |client| {
        client.write_all(format!("{LONG_REQUEST}\n").repeat(5).as_bytes()).unwrap();
    };
    let with_an_end: Send = |client| {
        client.write_all(LONG_REQUEST.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    };
    let with_a_gap: Send = |client| client.write_all(LONG_REQUEST.as_bytes()).unwrap();
    // The reply to the first line is more than the socket takes in one send.
    let without_reading: Send = |client| {
        let long = format!("{LONG_REQUEST}\n").repeat(40);
        client.write_all(format!("(1,)*9500\n{long}").as_bytes()).unwrap();
    };
    // A slice ends after the message that uses up its budget.
    let slices = 2 * (SLICES_PER_TURN as u64 + 1);
    for (send, spec, in_a_slice, all, send_buffer) in [
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
        let mut test_loop = TestLoop { send_buffer, ..TestLoop::new() };
        let mut clients: Vec<_> = (0..100).map(|n| test_loop.connect(n, &spec)).collect();
        test_loop.turn();
        clients.iter_mut().for_each(send);
        let mut served = 0;
        let mut turns = 0;
        while served < all || turns < 300 {
            if served < all {
                test_loop.wait();
            } else {
                test_loop.turn();
            }
            turns += 1;
            let now = test_loop.context.traffic.messages() - served;
            assert!(now <= slices * in_a_slice, "{now} in one turn");
            served += now;
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "it moves megabytes")]
fn a_blocked_reply_continues_when_the_client_reads() {
    let mut test_loop = TestLoop::new();
    let mut client = test_loop.connect(1, &ServiceKind::Echo.into());
    let block = vec![b'x'; 1 << 20];
    let mut sent = 0;
    // The loop stops receiving when it cannot send, and then the client cannot send either.
    let mut refused = 0;
    while refused < 3 {
        match client.write(&block) {
            Ok(n) => (sent, refused) = (sent + n, 0),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                refused += 1;
            }
        }
        test_loop.turn();
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
                test_loop.turn();
            }
        }
    }
    assert_eq!(received, sent);
    test_loop.run_until_empty();
    assert_eq!(test_loop.closed, [(1, CloseReason::PeerClosed)]);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no urgent data")]
fn data_behind_urgent_data_is_received_in_the_same_turn() {
    let mut test_loop = TestLoop::new();
    let mut client = test_loop.connect(1, &calc());
    test_loop.turn();
    for _ in 0..100 {
        client.write_all(b"1 + 2\n").unwrap();
        // A receive stops at the urgent byte, although more has arrived.
        SockRef::from(&client).send_out_of_band(b"!").unwrap();
        client.write_all(b"3 + 4\n").unwrap();
        test_loop.turn();
        let mut replies = [0; 16];
        let n = client.read(&mut replies).unwrap();
        assert_bytes(&replies[..n], b"3\n7\n");
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no SO_LINGER")]
fn a_reset_closes_the_connection_with_that_reason() {
    let mut test_loop = TestLoop::new();
    let client = test_loop.connect(7, &calc());
    test_loop.turn();
    reset(client);
    test_loop.run_until_empty();
    assert_eq!(test_loop.closed, [(7, CloseReason::PeerReset)]);
}

#[test]
fn clients_are_answered_and_leave_no_memory_and_no_timer() {
    let mut test_loop = TestLoop::new();
    let mut ann = test_loop.connect(1, &calc());
    let mut bob = test_loop.connect(2, &calc());
    let mut eve = test_loop.connect(3, &calc());
    assert_eq!(test_loop.reactor.len(), 3);
    ann.write_all(b"1 + 2\n3 + 4\n").unwrap();
    test_loop.expect_reply(&mut ann, b"3\n7\n");
    // Without a newline, the gap ends the message, by the loop's own clock.
    bob.write_all(b"6 * 7").unwrap();
    test_loop.expect_reply(&mut bob, b"42");
    eve.write_all(b"8 * ").unwrap();
    test_loop.turn();
    assert_eq!(test_loop.reactor.bytes_held(), 4);
    assert_eq!(test_loop.reactor.timers(), 3);
    // The inbox and the outbox of one slice.
    assert_eq!(test_loop.reactor.bytes_pooled(), 2 * BUFFER_SIZE);

    ann.write_all(b"5").unwrap();
    ann.shutdown(Shutdown::Write).unwrap();
    test_loop.expect_reply(&mut ann, b"5");
    drop(bob);
    test_loop.reactor.cut();
    test_loop.reap();
    test_loop.closed.sort_unstable_by_key(|&(number, _)| number);
    let forced = CloseReason::Forced;
    assert_eq!(test_loop.closed, [(1, CloseReason::PeerClosed), (2, forced), (3, forced)]);
    assert_eq!((test_loop.reactor.bytes_held(), test_loop.reactor.timers()), (0, 0));
}

#[test]
fn a_turn_reports_the_sources_of_its_owner_and_no_connection() {
    const ALL: [Source; 3] = [Source::Listener, Source::Signals, Source::Waker];
    let mut test_loop = TestLoop::new();
    let waker = test_loop.reactor.waker().unwrap();
    let mut listener = mio::net::TcpListener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let mut signals = mio::net::TcpListener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    test_loop.reactor.register(&mut listener, Source::Listener).unwrap();
    test_loop.reactor.register(&mut signals, Source::Signals).unwrap();
    let mut client = test_loop.connect(0, &calc());
    let mut expect = |expected: &[Source]| {
        client.write_all(b"1\n").unwrap();
        let now = test_loop.reactor.now();
        let ready = test_loop.reactor.turn(Some(now)).unwrap();
        let sources: Vec<_> = ALL.into_iter().filter(|&source| ready.contains(source)).collect();
        assert_eq!(sources, expected);
        assert_eq!(test_loop.reactor.len(), 1);
    };
    let connect = |listener: &mio::net::TcpListener| {
        TcpStream::connect(listener.local_addr().unwrap()).unwrap()
    };
    expect(&[]);
    let _first = connect(&listener);
    expect(&[Source::Listener]);
    expect(&[]);
    let _second = connect(&signals);
    expect(&[Source::Signals]);
    waker.wake().unwrap();
    expect(&[Source::Waker]);
    // Edge-triggered readiness is not reported again until the source was emptied.
    while listener.accept().is_ok() {}
    while signals.accept().is_ok() {}
    let _both = (connect(&listener), connect(&signals));
    waker.wake().unwrap();
    expect(&ALL);
    expect(&[]);
}

/// Sleeps for no time, then writes a message and closes.
struct Yielding;

impl Service for Yielding {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, event: service::Event<'_>, now: Instant, out: &mut Output<'_>) -> Next {
        match event {
            service::Event::Timeout => {
                out.write(b"resumed");
                Next::Close
            }
            _ => Next::SleepUntil(now),
        }
    }
}

#[test]
fn a_service_that_sleeps_for_no_time_runs_in_the_next_turn() {
    let mut test_loop = TestLoop::new();
    let mut client = test_loop.connect_to(1, |_| Box::new(Yielding));
    test_loop.turn();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    test_loop.turn();
    let mut received = [0; 16];
    let n = client.read(&mut received).unwrap();
    assert_bytes(&received[..n], b"resumed\n");
}

/// A kernel of which only the clock works.
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
#[cfg_attr(miri, ignore = "it moves megabytes")]
fn a_client_whose_input_is_left_unread_is_not_reported_again_and_again() {
    for end in [None, Some(Shutdown::Write)] {
        let mut test_loop = TestLoop::new();
        let mut client = test_loop.connect(1, &ServiceKind::Echo.into());
        test_loop.expect_rest();
        // The outbox is full, so the server leaves the rest of the input in the socket.
        let block = vec![b'x'; 64 * 1024];
        let mut sent = 0;
        loop {
            match client.write(&block) {
                Ok(n) => sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let before = test_loop.reactor.bytes_held();
                    test_loop.turn();
                    if before > 0 && test_loop.reactor.bytes_held() == before {
                        break;
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
        if let Some(how) = end {
            client.shutdown(how).unwrap();
        }
        test_loop.expect_rest();
        // All of it is received when the client reads.
        let mut received = 0;
        let mut room = vec![0; 1 << 20];
        while received < sent {
            match client.read(&mut room) {
                Ok(n) => received += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => test_loop.wait(),
                Err(error) => panic!("{error}"),
            }
        }
        test_loop.expect_rest();
        assert_eq!(test_loop.reactor.is_empty(), end.is_some());
    }
}

/// A service that waits for its time, and takes no input meanwhile.
struct Asleep;

impl Service for Asleep {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, _: service::Event<'_>, now: Instant, _: &mut Output<'_>) -> Next {
        Next::SleepUntil(now + Duration::from_secs(3600))
    }
}

#[test]
#[cfg_attr(miri, ignore = "SO_LINGER")]
fn a_client_that_sends_ends_or_resets_while_its_service_sleeps_is_reported_once_for_each() {
    let mut test_loop = TestLoop::new();
    let mut clients = [1, 2, 3].map(|n| test_loop.connect_to(n, |_| Box::new(Asleep)));
    test_loop.expect_rest();
    for client in &mut clients {
        client.write_all(b"1 + 2\n").unwrap();
    }
    test_loop.expect_rest();
    clients[1].shutdown(Shutdown::Write).unwrap();
    test_loop.expect_rest();
    let [_sending, _ended, third] = clients;
    reset(third);
    test_loop.expect_rest();
}

#[test]
fn input_beyond_one_receive_or_one_message_is_served_without_a_new_event() {
    let mut test_loop = TestLoop::new();
    let mut client = test_loop.connect(1, &calc());
    // More than a buffer, and the end of a message that comes later.
    let batch = b"1 + 2\n".repeat(2 * BUFFER_SIZE / 6);
    let mut received = 0;
    let mut room = [0; 4096];
    client.write_all(&batch).unwrap();
    client.write_all(b"3 + ").unwrap();
    let count = batch.len() / 6;
    while received < 2 * count {
        match client.read(&mut room) {
            Ok(n) => received += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => test_loop.wait(),
            Err(error) => panic!("{error}"),
        }
    }
    client.write_all(b"4\n").unwrap();
    test_loop.expect_reply(&mut client, b"7\n");
    test_loop.expect_rest();
}

#[test]
fn a_failing_kernel_is_reported_and_not_retried() {
    let mut reactor = Reactor::with(Broken);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let address = client.local_addr().unwrap();
    let service = calc().build(Peer { number: 1, address: Some(address) });
    let session = Session::new(service, Arc::default(), 1, reactor.now());
    let added = reactor.add(mio::net::TcpStream::from_std(client), session, 1);
    assert_eq!(added.unwrap_err().1.kind(), ErrorKind::OutOfMemory);
    assert!(reactor.is_empty());
    assert_eq!(reactor.turn(None).unwrap_err().kind(), ErrorKind::OutOfMemory);
}
