//! A loop for each core: several listeners at one address, and still one server.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::common::server::{BUSY, Client, PROGRAM, Server, run};

/// A server of four loops, each with a listener at the same address.
fn start(options: &[&str]) -> Server {
    Server::start(&[&["--model", "sharded", "--shards", "4"], options].concat())
}

/// How many listeners there are at the server's address, as the kernel counts them.
fn listeners(server: &Server) -> usize {
    let address = format!("0100007F:{:04X}", server.address.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|row| row.split_whitespace().skip(1).take(3).collect::<Vec<_>>());
    rows.filter(|row| row[0] == address && row[2] == "0A").count()
}

/// Whether this client is served; otherwise it was told that the server is full.
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
fn a_hundred_clients_are_shared_out_and_each_is_answered_and_counted_once() {
    let mut server = start(&[]);
    assert_eq!((listeners(&server), server.threads(), server.children().len()), (4, 4, 0));
    let mut crowd = server.connect_many(100);
    for client in &mut crowd {
        client.ask(b"6 * 7\n", b"42\n");
    }
    let mut numbers = BTreeSet::new();
    while numbers.len() < 100 {
        let line = server.log_line("connected from");
        let number = line.split("client ").nth(1).unwrap().split(' ').next().unwrap();
        assert!(numbers.insert(number.parse::<u32>().unwrap()), "{line}");
    }
    assert_eq!((numbers.first(), numbers.last()), (Some(&1), Some(&100)));
    drop(crowd);
    server.signal(Signal::TERM);
    let counters = server.log_line("accepted=100 open=0 peer-closed=100");
    assert!(counters.contains("messages=100 received=600 sent=300"), "{counters}");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_fourth_client_is_told_that_three_loops_are_not_three_times_the_room() {
    let server = start(&["--max-clients", "3"]);
    for _ in 0..20 {
        let mut crowd = server.connect_many(3);
        // Those who left may still be going; from then on the room is theirs.
        for client in &mut crowd {
            while !is_served(client) {
                *client = server.connect();
            }
        }
        for _ in 0..10 {
            assert!(!is_served(&mut server.connect()));
        }
        for client in &mut crowd {
            client.ask(b"2\n", b"2\n");
        }
    }
}

#[test]
fn of_a_crowd_that_comes_at_once_as_many_are_served_as_there_is_room_for() {
    for _ in 0..20 {
        let server = start(&["--max-clients", "3", "-q"]);
        let mut crowd = server.connect_many(40);
        for client in &mut crowd {
            client.send(b"1\n");
        }
        let admitted = crowd.iter_mut().filter(|client| {
            let mut first = [0];
            client.stream.peek(&mut first).unwrap();
            first == *b"1"
        });
        assert_eq!(admitted.count(), 3);
    }
}

#[test]
fn whoever_waits_at_one_listener_hears_that_a_client_of_another_has_left() {
    let server = start(&["--max-clients", "1", "--when-full", "queue"]);
    let mut first = server.connect();
    first.ask(b"1\n", b"1\n");
    let crowd = server.connect_many(32);
    drop(first);
    // Which of them is next is for the kernel and the loops to say.
    let asking = crowd.into_iter().map(|mut client| {
        thread::Builder::new().spawn(move || client.ask(b"2\n", b"2\n")).unwrap()
    });
    for asking in asking.collect::<Vec<_>>() {
        asking.join().unwrap();
    }
}

#[test]
fn a_full_server_that_refuses_listens_nowhere_and_then_everywhere_again() {
    let server = start(&["--max-clients", "1", "--when-full", "refuse"]);
    for _ in 0..5 {
        let mut client = loop {
            // Between the first listener and the last a client may come and be reset.
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
fn a_stop_answers_all_who_had_asked_at_any_listener() {
    for round in 0..20 {
        // In the first round none need have been accepted, in the last all are being served.
        start(&["-q"]).expect_stop_answers_all(100, 5 * round, Signal::TERM);
    }
}

#[test]
fn more_loops_than_the_limit_has_descriptors_for_find_it_raised() {
    let serve = "ulimit -S -n 64; exec \"$0\" serve 127.0.0.1 0 --model sharded --shards 100 -q";
    let mut server =
        Command::new("sh").args(["-c", serve, PROGRAM]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on "), "{line:?}");
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success());
}

#[test]
fn an_address_is_shared_with_no_other_server() {
    let server = start(&[]);
    let port = server.address.port().to_string();
    let (code, text) = run(&["serve", "127.0.0.1", &port, "--model", "sharded"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("address already in use"), "{text}");
    assert_eq!(listeners(&server), 4);
}
