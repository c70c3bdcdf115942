//! Admission: the policies of a full server, and accepting without descriptors.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use socklab::net::accept::Admission;
use socklab::net::limited_listener::LimitedListener;
use socklab::net::limiter::{Capacity, Limiter, WhenFull};
use socklab::net::listener::{BindSpec, Listener};

use crate::common::assert_bytes;
use crate::common::server::{BUSY, CONCURRENT, Client, MODELS, Server};

/// A server for one client, and that client.
fn full_server(model: &str, when_full: &str) -> (Server, Client) {
    let options = ["--model", model, "--max-clients", "1", "--when-full", when_full];
    let server = Server::start(&options);
    let mut first = server.connect();
    first.ask(b"1\n", b"1\n");
    (server, first)
}

#[test]
fn the_busy_reply_reaches_a_client_that_has_already_sent_two_lines() {
    for model in MODELS {
        let (server, mut first) = full_server(model, "reply");
        for _ in 0..100 {
            let mut second = server.connect();
            second.send(b"1 + 2\n");
            second.send(b"3 + 4\n");
            assert_bytes(&second.rest(), BUSY);
        }
        first.ask(b"5 + 6\n", b"11\n");
    }
}

#[test]
fn a_hundred_concurrent_clients_are_told_busy_while_the_first_is_served() {
    // Not `single`: its backlog of 0 makes the kernel drop a SYN now and then.
    for model in CONCURRENT {
        let (server, mut first) = full_server(model, "reply");
        // None of them closes before all have read: the server must not wait for one of them.
        let mut clients = server.connect_many(100);
        for client in &mut clients {
            client.expect(BUSY);
        }
        first.ask(b"2\n", b"2\n");
    }
}

#[test]
fn under_the_policy_queue_the_second_client_waits_for_the_first() {
    for model in MODELS {
        let (server, mut first) = full_server(model, "queue");
        let mut second = server.connect();
        second.send(b"2\n");
        for _ in 0..100 {
            first.ask(b"1\n", b"1\n");
        }
        second.stream.set_nonblocking(true).unwrap();
        let early = second.stream.read(&mut [0]).unwrap_err();
        assert_eq!(early.kind(), ErrorKind::WouldBlock, "{model}");
        second.stream.set_nonblocking(false).unwrap();
        drop(first);
        second.expect(b"2\n");
    }
}

#[test]
fn single_has_a_backlog_of_0_and_the_kernel_queues_one_more() {
    let server = Server::start(&["--model", "single", "--when-full", "queue"]);
    let mut first = server.connect();
    first.ask(b"1\n", b"1\n");
    let _second = server.connect();
    let timeout = std::time::Duration::from_millis(300);
    let third = TcpStream::connect_timeout(&server.address, timeout);
    assert_eq!(third.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn under_the_policy_refuse_a_full_server_does_not_listen() {
    // Several loops suspend their listeners one after the other: see the tests of sharded.
    for model in MODELS.into_iter().filter(|&model| model != "sharded") {
        let mut server =
            Server::start(&["--model", model, "--max-clients", "1", "--when-full", "refuse"]);
        for _ in 0..20 {
            // The listener may still be suspended because of the client before.
            let mut first = loop {
                match TcpStream::connect(server.address) {
                    Ok(stream) => break Client { stream },
                    Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
                }
            };
            first.ask(b"1\n", b"1\n");
            let second = TcpStream::connect(server.address);
            assert_eq!(second.unwrap_err().kind(), ErrorKind::ConnectionRefused, "{model}");
            first.ask(b"2\n", b"2\n");
            drop(first);
            server.log_line("left: it closed the connection (0 now)");
        }
    }
}

#[test]
fn under_the_policy_refuse_a_full_server_keeps_its_port() {
    for model in MODELS {
        let (server, mut first) = full_server(model, "refuse");
        for _ in 0..3 {
            // Of several loops, one may listen a moment longer, and then reset the client.
            let refused = || TcpStream::connect(server.address).map_err(|error| error.kind());
            while refused().err() != Some(ErrorKind::ConnectionRefused) {}
            let stranger = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            stranger.set_reuse_address(true).unwrap();
            let error = stranger.bind(&server.address.into()).expect_err(model);
            assert_eq!(error.kind(), ErrorKind::AddrInUse, "{model}");
            first.ask(b"2\n", b"2\n");
            drop(first);
            first = loop {
                // A client that connects while the listeners are being resumed may be reset.
                let Ok(stream) = TcpStream::connect(server.address) else { continue };
                let mut client = Client { stream };
                let sent = client.stream.write_all(b"1\n").is_ok();
                if sent && client.stream.read_exact(&mut [0; 2]).is_ok() {
                    break client;
                }
            };
        }
    }
}

#[test]
fn under_the_policy_reset_the_second_client_is_reset() {
    for model in MODELS {
        let (server, mut first) = full_server(model, "reset");
        for _ in 0..20 {
            let mut second = server.connect();
            let error = second.stream.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{model}");
        }
        first.ask(b"2\n", b"2\n");
    }
}

#[test]
fn a_server_without_descriptors_says_busy_and_serves_again_afterwards() {
    // The model process holds no descriptor for a client. Of several loops, one may take the spare
    // descriptor that another has just closed.
    for model in ["loop", "thread"] {
        let mut server = Server::start(&["--model", model]);
        // Those that the server has open already, and a few for clients.
        server.limit_descriptors(server.descriptors() as u64 + 6);
        let mut clients = server.connect_many(200);
        server.log_line("out of descriptors: rejecting clients: too many open files");
        let mut count = 0;
        for client in &mut clients {
            let mut first = [0];
            client.stream.write_all(b"1 + 2\n").ok();
            client.stream.read_exact(&mut first).expect("an answer of some kind");
            if first == *b"3" {
                count += 1;
                client.expect(b"\n");
            } else {
                client.expect(&BUSY[1..]);
            }
        }
        assert!((1..10).contains(&count), "{model}: {count} were served");
        drop(clients);
        let mut late = server.serve_one();
        late.ask(b"6 * 7\n", b"42\n");
    }
}

#[test]
fn under_the_policy_queue_a_server_without_descriptors_serves_all_in_order() {
    // Only one accept queue has an order.
    for model in ["loop", "thread"] {
        let mut server = Server::start(&["--model", model, "--when-full", "queue"]);
        server.limit_descriptors(server.descriptors() as u64 + 6);
        let mut clients = server.connect_many(20);
        for client in &mut clients {
            client.send(b"1 + 2\n");
        }
        server.log_line("cannot accept, with");
        // In the order of connecting, each as soon as one before it has closed.
        for mut client in clients {
            client.expect(b"3\n");
        }
    }
}

#[test]
fn a_permit_is_released_before_the_client_sees_the_close() {
    for model in MODELS {
        let server = Server::start(&["--model", model, "--max-clients", "1", "-q"]);
        for _ in 0..300 {
            let mut client = server.connect();
            client.send(b"1 + 2\n");
            client.half_close();
            assert_eq!(client.rest(), b"3\n", "{model}");
        }
    }
}

/// A listener with a limit of one client.
fn new_limited<L: Listener>(listener: L, when_full: WhenFull) -> LimitedListener<L> {
    let capacity = Capacity { clients: 1, per_source: None, rejected: 1, when_full };
    let address = ([127, 0, 0, 1], 5000).into();
    let spec = BindSpec { address, backlog: 1024, reuse_port: false };
    let limiter = Arc::new(Limiter::new(capacity, Arc::default()));
    LimitedListener::new(listener, spec, limiter, Arc::default()).unwrap()
}

/// A listener whose connections are all aborted before accept.
struct Aborted(Cell<u32>);

impl Listener for Aborted {
    type Socket = ();

    fn accept(&self) -> io::Result<((), SocketAddr)> {
        self.0.set(self.0.get() + 1);
        assert!(self.0.get() < 10_000, "accept does not return");
        Err(Errno::CONNABORTED.into())
    }

    fn is_empty(&self) -> bool {
        false
    }

    fn suspend(&self) -> io::Result<()> {
        unreachable!("it serves no client")
    }

    fn resume(&self, _: u32) -> io::Result<()> {
        unreachable!("it is never suspended")
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn aborted_connections_do_not_keep_the_loop_in_accept() {
    let mut limited = new_limited(Aborted(Cell::new(0)), WhenFull::Queue);
    let now = Instant::now();
    for _ in 0..3 {
        assert!(limited.accept(now, || {}).unwrap().is_none());
        assert_eq!(limited.wake_at(now), Some(now), "a client may still wait");
    }
}

/// A listener that cannot listen again.
struct Occupied;

impl Listener for Occupied {
    type Socket = ();

    fn accept(&self) -> io::Result<((), SocketAddr)> {
        Ok(((), ([127, 0, 0, 1], 4242).into()))
    }

    fn is_empty(&self) -> bool {
        false
    }

    fn suspend(&self) -> io::Result<()> {
        Ok(())
    }

    fn resume(&self, _: u32) -> io::Result<()> {
        Err(Errno::ADDRINUSE.into())
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn a_listener_that_cannot_listen_again_is_tried_again_later() {
    let mut limited = new_limited(Occupied, WhenFull::Refuse);
    let now = Instant::now();
    let first = limited.accept(now, || {}).unwrap().unwrap();
    assert!(matches!(first.admission, Admission::Serve(_)));
    assert_eq!(limited.wake_at(now), None, "it is full");
    drop(first);
    assert_eq!(limited.wake_at(now), Some(now));
    limited.resume_listening(now);
    assert!(limited.wake_at(now).unwrap() > now, "it waits before the next attempt");
    assert!(limited.accept(now, || {}).unwrap().is_none(), "it does not listen");
}

/// A listener for which an accept that finds nobody is a bug.
struct Queue(Cell<u32>);

impl Listener for Queue {
    type Socket = ();

    fn accept(&self) -> io::Result<((), SocketAddr)> {
        self.0.set(self.0.get().checked_sub(1).expect("accept finds nobody"));
        Ok(((), ([127, 0, 0, 1], 4242).into()))
    }

    fn is_empty(&self) -> bool {
        self.0.get() == 0
    }

    fn suspend(&self) -> io::Result<()> {
        unreachable!("it is never full")
    }

    fn resume(&self, _: u32) -> io::Result<()> {
        unreachable!("it is never suspended")
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn after_an_event_all_that_wait_are_accepted_and_no_accept_fails() {
    let mut limited = new_limited(Queue(Cell::new(0)), WhenFull::Reply);
    let now = Instant::now();
    for waiting in [3, 1, 100] {
        limited.listener().unwrap().0.set(waiting);
        limited.mark_readable();
        for _ in 0..waiting {
            assert_eq!(limited.wake_at(now), Some(now));
            limited.accept(now, || {}).unwrap().unwrap();
        }
        assert!(limited.accept(now, || {}).unwrap().is_none());
        assert_eq!(limited.wake_at(now), None, "it waits for an event");
    }
}
