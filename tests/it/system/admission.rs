//! The door: who is served, who is turned away and how, and what happens when the machine has
//! nothing left to accept a client with.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;
use socklab::net::limited_listener::{Admission, LimitedListener, Listener};
use socklab::net::limiter::{Capacity, Limiter, WhenFull};
use socklab::net::listener::{self, BindSpec};

use crate::common::assert_bytes;
use crate::common::server::{BUSY, CONCURRENT, Client, MODELS, Server};

#[test]
fn the_busy_text_survives_a_client_that_has_already_sent_two_lines() {
    for model in MODELS {
        let server = Server::start(&["--model", model, "--max-clients", "1"]);
        let mut first = server.connect();
        first.ask(b"1 + 2\n", b"3\n");
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
fn a_hundred_clients_are_told_busy_at_once_while_the_first_is_served() {
    // Not `single`: its backlog of 0 makes the kernel drop a SYN now and then.
    for model in CONCURRENT {
        let server = Server::start(&["--model", model, "--max-clients", "1"]);
        let mut first = server.connect();
        first.ask(b"1\n", b"1\n");
        // None of them closes before all have read, and the server waits for none of them.
        let mut crowd = server.connect_many(100);
        for client in &mut crowd {
            client.expect(BUSY);
        }
        first.ask(b"2\n", b"2\n");
    }
}

#[test]
fn under_the_policy_queue_the_second_client_waits_for_the_first() {
    for model in MODELS {
        let options = ["--model", model, "--max-clients", "1", "--when-full", "queue"];
        let server = Server::start(&options);
        let mut first = server.connect();
        first.ask(b"1\n", b"1\n");
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
fn under_the_policy_refuse_nobody_listens_while_the_server_is_full() {
    // Several loops close their listeners one after the other, which tests/shards.rs tells of.
    for model in MODELS.into_iter().filter(|&model| model != "sharded") {
        let mut server =
            Server::start(&["--model", model, "--max-clients", "1", "--when-full", "refuse"]);
        for _ in 0..20 {
            // The door may still be shut because of the one before.
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
fn under_the_policy_reset_the_second_client_is_reset_at_once() {
    for model in MODELS {
        let server =
            Server::start(&["--model", model, "--max-clients", "1", "--when-full", "reset"]);
        let mut first = server.connect();
        first.ask(b"1\n", b"1\n");
        for _ in 0..20 {
            let mut second = server.connect();
            let error = second.stream.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{model}");
        }
        first.ask(b"2\n", b"2\n");
    }
}

#[test]
fn a_server_without_descriptors_tells_everyone_and_serves_again_afterwards() {
    // An acceptor of processes holds no descriptor for a client; and of several loops one may take
    // the descriptor that another has just given up to tell its clients.
    for model in ["loop", "thread"] {
        let mut server = Server::start(&["--model", model]);
        // Some for what the server has open already, and a few for clients.
        server.limit_descriptors(server.descriptors() as u64 + 6);
        let mut crowd = server.connect_many(200);
        server.log_line("out of descriptors: rejecting clients: too many open files");
        let mut fed = 0;
        for client in &mut crowd {
            let mut first = [0];
            client.stream.write_all(b"1 + 2\n").ok();
            client.stream.read_exact(&mut first).expect("an answer of some kind");
            if first == *b"3" {
                fed += 1;
                client.expect(b"\n");
            } else {
                client.expect(&BUSY[1..]);
            }
        }
        assert!((1..10).contains(&fed), "{model}: {fed} were served");
        drop(crowd);
        let mut late = server.serve_one();
        late.ask(b"6 * 7\n", b"42\n");
    }
}

#[test]
fn a_server_without_descriptors_that_queues_serves_everyone_in_turn() {
    // The turn is that of one queue: the clients of another may wait for each other.
    for model in ["loop", "thread"] {
        let mut server = Server::start(&["--model", model, "--when-full", "queue"]);
        server.limit_descriptors(server.descriptors() as u64 + 6);
        let mut crowd = server.connect_many(20);
        for client in &mut crowd {
            client.send(b"1 + 2\n");
        }
        server.log_line("cannot accept, with");
        // In the order of their coming, each as soon as one before it has left.
        for mut client in crowd {
            client.expect(b"3\n");
        }
    }
}

#[test]
fn who_has_seen_the_end_of_its_own_connection_left_its_place_to_the_next() {
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

/// A listener with a limit.
fn limited<L: Listener>(listener: L, spec: BindSpec, capacity: Capacity) -> LimitedListener<L> {
    let limiter = Arc::new(Limiter::new(capacity, Arc::default()));
    LimitedListener::new(listener, spec, limiter, Arc::default()).unwrap()
}

/// Where everyone who comes has given up, without end.
struct Fruitless(Cell<u32>);

impl Listener for Fruitless {
    type Socket = ();

    fn accept(&self) -> io::Result<((), SocketAddr)> {
        self.0.set(self.0.get() + 1);
        assert!(self.0.get() < 10_000, "the door does not let go of its loop");
        Err(Errno::CONNABORTED.into())
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn those_who_give_up_at_the_door_do_not_keep_those_inside_waiting() {
    let capacity = Capacity { clients: 1, rejected: 1, when_full: WhenFull::Queue };
    let address = ([127, 0, 0, 1], 5000).into();
    let place = BindSpec { address, backlog: 1024, reuse_port: false };
    let listener = Fruitless(Cell::new(0));
    let mut door = limited(listener, place, capacity);
    let now = Instant::now();
    for _ in 0..3 {
        assert!(door.accept(now, || {}).unwrap().is_none());
        assert_eq!(door.wake_at(now), Some(now), "somebody may still be there");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn a_door_that_cannot_be_waited_for_is_tried_again_and_does_not_end_the_server() {
    // An address of its own: no other test may take the port while the door is shut.
    let place = BindSpec { address: ([127, 0, 0, 77], 0).into(), backlog: 8, reuse_port: false };
    let listener = listener::listen_on(place).unwrap();
    let place = BindSpec { address: listener.local_addr().unwrap(), ..place };
    let capacity = Capacity { clients: 1, rejected: 1, when_full: WhenFull::Refuse };
    let mut door = limited(listener, place, capacity);
    let client = TcpStream::connect(place.address).unwrap();
    let now = Instant::now();
    let accepted = door.accept(now, || {}).unwrap().unwrap();
    assert!(matches!(accepted.admission, Admission::Serve(_)));
    assert!(door.listener().is_none(), "it is full, and shut");
    drop((client, accepted));
    door.resume_listening(now, |_| Err(Errno::NOSPC.into()));
    let mut again = door.wake_at(now).unwrap();
    assert!(door.listener().is_none() && again > now, "it waits, and tries again");
    door.resume_listening(now, |_| panic!("it is too early"));
    // A process that another test has just forked has the old listener open until it is another.
    while door.listener().is_none() {
        door.resume_listening(again, |_| Ok(()));
        again = door.wake_at(again).unwrap();
    }
    TcpStream::connect(place.address).unwrap();
}
