//! The models whose workers are started beforehand: their number is the limit on clients, and no
//! client starts or ends one.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::common::server::{BUSY, Server, socklab};

/// The models that start their workers beforehand.
const PRESTARTED: [&str; 2] = ["pool", "prefork"];

#[test]
fn there_are_as_many_workers_as_clients_may_come_and_the_next_client_is_told_busy() {
    for model in PRESTARTED {
        let server = Server::start(&["--model", model, "--workers", "2", "-q"]);
        let workers = || server.threads() + server.children().len();
        assert_eq!(workers(), 3, "{model}");
        let mut clients = server.connect_many(2);
        for client in &mut clients {
            client.ask(b"1 + 2\n", b"3\n");
        }
        assert_eq!(server.connect().rest(), BUSY);
        assert_eq!(workers(), 3, "{model}");
        // Each worker is free again, and takes the next client.
        for _ in 0..10 {
            drop(clients.pop());
            let mut next = server.serve_one();
            next.ask(b"2 + 3\n", b"5\n");
            clients.push(next);
        }
        assert_eq!(workers(), 3, "{model}");
    }
}

#[test]
fn the_number_of_workers_is_a_constant_or_the_limit_on_clients() {
    for model in PRESTARTED {
        for (options, workers) in
            [(vec![], 8), (vec!["--max-clients", "3"], 3), (vec!["--service", "quiz"], 3)]
        {
            let server = Server::start(&[&["--model", model, "-q"], &options[..]].concat());
            let count = server.threads() + server.children().len();
            assert_eq!(count, 1 + workers, "{model} {options:?}");
        }
    }
}

#[test]
fn a_signal_that_comes_while_the_processes_start_stops_the_server() {
    let mut command = socklab(&["serve", "127.0.0.1", "0", "-q", "--model", "prefork"]);
    let mut server = command.args(["--workers", "1000"]).spawn().unwrap();
    let pid = server.id();
    let children = format!("/proc/{pid}/task/{pid}/children");
    while fs::read_to_string(&children).unwrap().is_empty() {
        assert_eq!(server.try_wait().unwrap(), None);
    }
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
}
