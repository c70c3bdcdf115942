//! The model sharded: several loops, each with a listener at the same address, are one server.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;

use rustix::process::Signal;

use super::close_reasons::counters;
use crate::common::server::{BUSY, Client, PROGRAM, Server, run};

/// A server of four loops.
fn start(options: &[&str]) -> Server {
    Server::start(&[&["--model", "sharded", "--shards", "4"], options].concat())
}

/// Number of listeners at the server's address in the kernel's table.
fn listeners(server: &Server) -> usize {
    let address = format!("0100007F:{:04X}", server.address.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|row| row.split_whitespace().skip(1).take(3).collect::<Vec<_>>());
    rows.filter(|row| row[0] == address && row[2] == "0A").count()
}

/// The number of these clients that are served, all asking at the same time.
pub(super) fn served_of(clients: &mut [Client]) -> usize {
    for client in &mut *clients {
        client.send(b"1\n");
    }
    let served = clients.iter_mut().filter(|client| {
        let mut first = [0];
        client.stream.peek(&mut first).unwrap();
        first == *b"1"
    });
    served.count()
}

/// True if this client is served. If not, it must have been told busy.
fn is_served(client: &mut Client) -> bool {
    client.send(b"1\n");
    let mut answer = [0; 2];
    client.stream.read_exact(&mut answer).unwrap();
    if answer == *b"1\n" {
        return true;
    }
    assert_eq!(client.rest(), BUSY[2..]);
    false
}

#[test]
fn each_of_a_hundred_clients_is_answered_and_counted_once() {
    let mut server = start(&[]);
    assert_eq!((listeners(&server), server.threads(), server.children().len()), (4, 4, 0));
    let mut clients = server.connect_many(100);
    for client in &mut clients {
        client.ask(b"6 * 7\n", b"42\n");
    }
    let mut numbers = BTreeSet::new();
    while numbers.len() < 100 {
        let line = server.log_line("connected from");
        let number = line.split("client ").nth(1).unwrap().split(' ').next().unwrap();
        assert!(numbers.insert(number.parse::<u32>().unwrap()), "{line}");
    }
    assert_eq!((numbers.first(), numbers.last()), (Some(&1), Some(&100)));
    drop(clients);
    // A client whose FIN arrives after the stop counts as drained.
    while counters(&mut server)["open"] > 0 {}
    server.signal(Signal::TERM);
    let counters = server.log_line("accepted=100 open=0 peer-closed=100");
    assert!(counters.contains("messages=100 received=600 sent=300"), "{counters}");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_client_limit_holds_over_all_loops() {
    let server = start(&["--max-clients", "3"]);
    for _ in 0..20 {
        let mut clients = server.connect_many(3);
        // The permits of the round before may not be released yet.
        for client in &mut clients {
            while !is_served(client) {
                *client = server.connect();
            }
        }
        for _ in 0..10 {
            assert!(!is_served(&mut server.connect()));
        }
        for client in &mut clients {
            client.ask(b"2\n", b"2\n");
        }
    }
}

#[test]
fn of_forty_simultaneous_clients_exactly_the_limit_is_served() {
    for _ in 0..20 {
        let server = start(&["--max-clients", "3", "-q"]);
        assert_eq!(served_of(&mut server.connect_many(40)), 3);
    }
}

#[test]
fn a_permit_that_one_loop_releases_is_acquired_by_another() {
    let server = start(&["--max-clients", "1", "--when-full", "queue"]);
    let mut first = server.connect();
    first.ask(b"1\n", b"1\n");
    let clients = server.connect_many(32);
    drop(first);
    // The kernel and the loops choose the order.
    let asking = clients.into_iter().map(|mut client| {
        thread::Builder::new().spawn(move || client.ask(b"2\n", b"2\n")).unwrap()
    });
    for asking in asking.collect::<Vec<_>>() {
        asking.join().unwrap();
    }
}

#[test]
fn a_full_server_that_refuses_suspends_and_resumes_every_listener() {
    let server = start(&["--max-clients", "1", "--when-full", "refuse"]);
    for _ in 0..5 {
        let mut client = loop {
            // A client that connects while the listeners are being resumed may be reset.
            let Ok(stream) = TcpStream::connect(server.address) else { continue };
            let mut client = Client { stream };
            if matches!(client.stream.write_all(b"1\n"), Ok(()))
                && client.stream.read_exact(&mut [0; 2]).is_ok()
            {
                break client;
            }
        };
        while listeners(&server) > 0 {}
        let refused = TcpStream::connect(server.address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        client.ask(b"3\n", b"3\n");
        drop(client);
        while listeners(&server) < 4 {}
    }
}

#[test]
fn a_stop_answers_the_requests_at_every_listener() {
    for round in 0..20 {
        // In the first round maybe none is accepted, in the last nearly all are being served.
        start(&["-q"]).expect_stop_answers_all(100, 5 * round, Signal::TERM);
    }
}

#[test]
fn the_descriptor_limit_is_raised_for_many_loops() {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -S -n 64; exec \"$0\" \"$@\"", PROGRAM]);
    Server::start_command(command, &["--model", "sharded", "--shards", "100", "-q"]).stop();
}

#[test]
fn an_address_is_not_shared_with_another_server() {
    let server = start(&[]);
    let port = server.address.port().to_string();
    let (code, text) = run(&["serve", "127.0.0.1", &port, "--model", "sharded"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("address already in use"), "{text}");
    assert_eq!(listeners(&server), 4);
}
