//! The models process and prefork: the processes in /proc, and how they end.

use std::collections::BTreeSet;
use std::fs;
use std::thread;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::common::file::TempPath;
use crate::common::server::{Client, Server, threads_of};

/// The models whose clients are served by processes.
const MODELS: [&str; 2] = ["process", "prefork"];

/// Clients that are being served.
fn served(server: &Server, count: usize) -> Vec<Client> {
    let mut clients = server.connect_many(count);
    for client in &mut clients {
        client.ask(b"1 + 2\n", b"3\n");
    }
    clients
}

fn are_gone(processes: &[Pid]) -> bool {
    processes.iter().all(|&process| test_kill_process(process).is_err())
}

#[test]
fn five_clients_take_the_processes_and_threads_of_their_model() {
    for (model, processes, threads) in
        [("loop", 0, 1), ("thread", 0, 6), ("pool", 0, 9), ("process", 5, 1), ("prefork", 8, 1)]
    {
        let server = Server::start(&["--model", model, "-q"]);
        let _clients = served(&server, 5);
        let children = server.children();
        assert_eq!(children.len(), processes, "{model}");
        assert_eq!(server.threads(), threads, "{model}");
        for child in children {
            assert_eq!(threads_of(child), 1);
        }
    }
}

#[test]
fn a_process_has_the_ucspi_variables_of_its_client() {
    let server = Server::start(&["--model", "process"]);
    let client = served(&server, 1).remove(0);
    let environment = fs::read(format!("/proc/{}/environ", server.children()[0])).unwrap();
    let has = |text: String| environment.split(|&byte| byte == 0).any(|it| it == text.as_bytes());
    let peer = client.stream.local_addr().unwrap();
    assert!(has("PROTO=TCP".to_owned()));
    assert!(has("TCPREMOTEIP=127.0.0.1".to_owned()));
    assert!(has(format!("TCPREMOTEPORT={}", peer.port())));
    assert!(has("TCPLOCALIP=127.0.0.1".to_owned()));
    assert!(has(format!("TCPLOCALPORT={}", server.address.port())));
}

#[test]
fn a_process_that_was_halted_with_the_server_is_continued_with_it() {
    for model in MODELS {
        let server = Server::start(&["--model", model]);
        let mut client = served(&server, 1).remove(0);
        // As if they had just left the process group to which the signals were sent.
        for child in server.children() {
            kill_process(child, Signal::STOP).unwrap();
        }
        client.send(b"3 + 4\n");
        server.signal(Signal::STOP);
        server.signal(Signal::CONT);
        client.expect(b"7\n");
    }
}

#[test]
fn no_socket_is_open_in_two_processes() {
    for model in MODELS {
        let server = Server::start(&["--model", model, "--max-clients", "10"]);
        let _clients = served(&server, 10);
        let mut seen = BTreeSet::new();
        for process in server.children().into_iter().chain([server.process()]) {
            let descriptors = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
            let mut own: Vec<_> =
                descriptors.map(|entry| fs::read_link(entry.unwrap().path()).unwrap()).collect();
            own.retain(|link| link.to_str().is_some_and(|link| link.starts_with("socket:")));
            // A socket is open twice in its process, as stdin and as stdout.
            own.sort();
            own.dedup();
            for socket in own {
                assert!(seen.insert(socket.clone()), "{} is shared", socket.display());
            }
        }
        assert!(seen.len() > 10);
    }
}

#[test]
fn a_killed_process_releases_its_permit() {
    for model in MODELS {
        let mut server = Server::start(&["--model", model, "--max-clients", "1"]);
        for n in 1..=3 {
            let mut client = served(&server, 1).remove(0);
            kill_process(server.children()[0], Signal::KILL).unwrap();
            assert_eq!(client.rest(), b"");
            let line = "exited without a report: signal: 9";
            server.log_line(&format!("the process of client {n} {line}"));
            server.log_line(&format!("client {n} left: a fault in this server (0 now)"));
        }
        served(&server, 1);
    }
}

#[test]
fn processes_that_are_killed_without_a_client_are_replaced() {
    let mut server = Server::start(&["--model", "prefork", "--workers", "3"]);
    for _ in 0..10 {
        let before = server.children();
        for &child in &before {
            kill_process(child, Signal::KILL).unwrap();
        }
        // They are dead now, which the server may not have seen yet.
        let runs = |child: &Pid| {
            let state = fs::read_to_string(format!("/proc/{child}/stat"));
            state.is_ok_and(|state| !state.contains(") Z "))
        };
        while before.iter().any(runs) {
            thread::yield_now();
        }
        let clients = served(&server, 3);
        let now = server.children();
        assert!(now.iter().all(|child| !before.contains(child)) && now.len() == 3);
        drop(clients);
        for _ in 0..3 {
            server.log_line("left: it closed the connection");
        }
    }
    server.signal(Signal::TERM);
    let counters = server.log_line("accepted=30");
    assert!(counters.contains(" broken=0 "), "{counters}");
}

#[test]
fn a_process_serves_one_client_after_another_and_reports_each() {
    let mut server = Server::start(&["--model", "prefork", "--workers", "1"]);
    let child = server.children();
    for n in 1..=5 {
        let client = served(&server, 1);
        drop(client);
        server.log_line(&format!("client {n} left: it closed the connection (0 now)"));
    }
    assert_eq!(server.children(), child);
    server.signal(Signal::TERM);
    let counters = server.log_line("accepted=5 open=0 peer-closed=5");
    assert!(counters.contains("messages=5 received=30 sent=10"), "{counters}");
}

#[test]
fn a_stop_leaves_no_process_behind() {
    for model in MODELS {
        for (second, drain) in [(false, "200ms"), (true, "1h")] {
            let options = ["--model", model, "--service", "echo", "--drain-timeout", drain];
            let limit = ["--max-clients", "4"];
            let mut server = Server::start(&[&options[..], &limit].concat());
            let _unread = [(); 2].map(|()| server.connect_without_reading());
            let children = server.children();
            assert_eq!(children.len(), if model == "process" { 2 } else { 4 });
            server.signal(Signal::TERM);
            if second {
                server.log_line("stopping; 2 clients are being served");
                server.signal(Signal::TERM);
            }
            server.log_line("client 1 left: the server stops at once");
            assert_eq!(server.wait().code(), Some(0));
            // One that was killed may have its last turn a moment later.
            while !are_gone(&children) {
                thread::yield_now();
            }
        }
    }
}

#[test]
fn a_process_that_was_halted_ends_its_session_when_it_is_cut() {
    for model in MODELS {
        let options = ["--model", model, "--drain-timeout", "100ms", "--max-clients", "1"];
        let mut server = Server::start(&options);
        let _client = served(&server, 1);
        let child = server.children()[0];
        kill_process(child, Signal::STOP).unwrap();
        // The state follows the name, which is in brackets (proc(5)).
        let state = || fs::read_to_string(format!("/proc/{child}/stat")).unwrap();
        while !state().contains(") T ") {
            thread::yield_now();
        }
        server.signal(Signal::TERM);
        server.log_line("client 1 left: the server stops at once");
        // Only the child can report what it has served.
        let counters = server.log_line("accepted=1");
        assert!(counters.contains(" forced=1 ") && counters.contains(" messages=1 "), "{counters}");
        assert!(are_gone(&[child]));
    }
}

#[test]
fn a_stop_answers_every_pipelined_request() {
    for model in MODELS {
        for round in 0..10 {
            let server = Server::start(&["--model", model, "--max-clients", "20", "-q"]);
            // In the first round maybe no process is started, in the last nearly all are serving.
            server.expect_stop_answers_all(20, 2 * round, Signal::INT);
        }
    }
}

#[test]
fn a_killed_server_ends_its_processes() {
    for model in MODELS {
        let server = Server::start(&["--model", model]);
        let mut client = served(&server, 1).remove(0);
        let children = server.children();
        server.signal(Signal::KILL);
        // Only the pipe between them tells the process of the client.
        assert_eq!(client.rest(), b"");
        while !are_gone(&children) {
            thread::yield_now();
        }
    }
}

#[test]
fn a_client_without_a_process_is_told_so_and_not_that_the_server_is_full() {
    let mut server = Server::start(&["--model", "process"]);
    // One for the client, and none for what its process would be given.
    server.limit_descriptors(server.descriptors() as u64 + 1);
    let text = server.connect().rest();
    assert_eq!(text, b"busy: the server cannot start a worker, try again later\n");
    server.log_line("cannot start a worker for client 1: too many open files");
}

#[test]
fn concurrent_games_are_rows_of_one_table() {
    let table = TempPath::new("rows.csv");
    let options = ["--model", "process", "--service", "quiz", "--seed", "7"];
    let more = ["--max-clients", "20", "--results", table.as_str()];
    let server = Server::start(&[&options[..], &more].concat());
    let mut clients = server.connect_many(20);
    for client in &mut clients {
        client.send(b"yes\nBob\n");
        client.send(&b"1\n".repeat(10));
    }
    for mut client in clients {
        assert!(client.rest().ends_with(b"Better luck next time!\n"));
    }
    let text = table.read();
    let mut rows: Vec<&str> = text.lines().collect();
    let width = rows.remove(0).split(',').count();
    let mut seeds: Vec<u32> = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.split(',').collect();
        assert_eq!(cells.len(), width, "{row}");
        seeds.push(cells[1].parse().unwrap());
    }
    seeds.sort_unstable();
    assert_eq!(seeds, (7..27).collect::<Vec<_>>());
}
