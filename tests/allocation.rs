//! A message costs no allocation with either driver: serving a thousand messages takes as many
//! allocations as serving ten.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socklab::drive::blocking;
use socklab::drive::timed_socket::{Ticks, TimedSocket};
use socklab::reactor::{Mio, Reactor};
use socklab::service::{Peer, ServiceKind, ServiceSpec};
use socklab::session::Session;

const REQUEST: &[u8] = b"1 + 2 * (30 // 4)\n";
const REPLY: &[u8] = b"15\n";

fn services() -> [(ServiceSpec, &'static [u8]); 2] {
    [(ServiceKind::Calc.into(), REPLY), (ServiceKind::Echo.into(), REQUEST)]
}

/// Both ends of a connection over loopback.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    near.set_nodelay(true).unwrap();
    (near, far)
}

#[expect(clippy::disallowed_methods, reason = "any instant will do to begin with")]
fn now() -> Instant {
    Instant::now()
}

fn session(spec: &ServiceSpec, now: Instant) -> Session {
    let peer = Peer { number: 1, address: Some(([127, 0, 0, 1], 4242).into()) };
    Session::new(spec.build(peer), Arc::default(), 1, now)
}

/// Number of allocations of the blocking driver for `count` requests, all sent before.
fn allocations_blocking(spec: &ServiceSpec, reply: &[u8], count: usize) -> u64 {
    let (mut client, socket) = pair();
    client.write_all(&REQUEST.repeat(count)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let now = now();
    let mut session = session(spec, now);
    let ticks = Ticks::default();
    let mut wire = TimedSocket::new(&socket, &ticks, || false);
    let info = allocation_counter::measure(|| blocking::serve(&mut wire, &mut session, now, None));
    drop(socket);
    let mut replies = Vec::new();
    client.read_to_end(&mut replies).unwrap();
    assert_eq!(replies, reply.repeat(count));
    info.count_total
}

#[test]
fn the_blocking_driver_allocates_nothing_for_a_message() {
    for (spec, reply) in services() {
        // Enough to fill a small block, so that the pool has large ones in both runs.
        let few = allocations_blocking(&spec, reply, 100);
        let many = allocations_blocking(&spec, reply, 1000);
        assert_eq!(few, many, "{spec:?}");
    }
}

#[test]
fn the_loop_allocates_nothing_for_a_message() {
    for (spec, reply) in services() {
        let mut reactor = Reactor::<_, Mio>::new().unwrap();
        let (mut client, socket) = pair();
        socket.set_nonblocking(true).unwrap();
        reactor.add(mio::net::TcpStream::from_std(socket), session(&spec, now()), ()).unwrap();
        let mut replies = vec![0; reply.len()];
        let mut converse = |count| {
            for _ in 0..count {
                client.write_all(REQUEST).unwrap();
                client.set_nonblocking(true).unwrap();
                let mut filled = 0;
                while filled < replies.len() {
                    let deadline = reactor.now() + Duration::from_secs(60);
                    reactor.turn(Some(deadline)).unwrap();
                    filled += client.read(&mut replies[filled..]).unwrap_or(0);
                }
                client.set_nonblocking(false).unwrap();
                assert_eq!(replies, reply);
            }
        };
        converse(10);
        let info = allocation_counter::measure(|| converse(1000));
        assert_eq!(info.count_total, 0, "{spec:?}");
    }
}

#[test]
fn the_counter_counts() {
    let info = allocation_counter::measure(|| drop(std::hint::black_box(vec![1; 10])));
    assert_eq!(info.count_total, 1);
}
