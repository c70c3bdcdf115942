//! A process for each client: what the kernel shows of it, and what becomes of the processes.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::common::file::TempPath;
use crate::common::server::{BUSY, Client, PROGRAM, Server, threads_of};

/// Clients that are being served, each of them.
fn crowd(server: &Server, size: usize) -> Vec<Client> {
    let mut crowd = server.connect_many(size);
    for client in &mut crowd {
        client.ask(b"1 + 2\n", b"3\n");
    }
    crowd
}

fn are_gone(processes: &[Pid]) -> bool {
    processes.iter().all(|&process| test_kill_process(process).is_err())
}

#[test]
fn the_kernel_shows_who_serves_five_clients() {
    for (model, processes, threads) in [("loop", 0, 1), ("thread", 0, 6), ("process", 5, 1)] {
        let server = Server::start(&["--model", model]);
        let _crowd = crowd(&server, 5);
        let children = server.children();
        assert_eq!(children.len(), processes, "{model}");
        assert_eq!(server.threads(), threads, "{model}");
        for child in children {
            assert_eq!(threads_of(child), 1);
        }
    }
}

#[test]
fn a_process_knows_whom_it_serves_by_the_names_of_ucspi() {
    let server = Server::start(&["--model", "process"]);
    let client = crowd(&server, 1).remove(0);
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
fn no_process_has_a_copy_of_the_socket_of_another() {
    let server = Server::start(&["--model", "process"]);
    let _crowd = crowd(&server, 10);
    let mut seen = BTreeSet::new();
    for process in server.children().into_iter().chain([server.process()]) {
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
        let mut own: Vec<_> =
            descriptors.map(|entry| fs::read_link(entry.unwrap().path()).unwrap()).collect();
        own.retain(|link| link.to_str().is_some_and(|link| link.starts_with("socket:")));
        // A socket is there twice, as stdin and as stdout.
        own.sort();
        own.dedup();
        for socket in own {
            assert!(seen.insert(socket.clone()), "{} is shared", socket.display());
        }
    }
    assert!(seen.len() > 10);
}

#[test]
fn a_process_that_is_killed_gives_its_place_back() {
    let mut server = Server::start(&["--model", "process", "--max-clients", "1"]);
    let mut client = crowd(&server, 1).remove(0);
    kill_process(server.children()[0], Signal::KILL).unwrap();
    assert_eq!(client.rest(), b"");
    server.log_line("the process of client 1 exited without a report: signal: 9");
    server.log_line("client 1 left: a fault in this server (0 now)");
    crowd(&server, 1);
}

#[test]
fn a_stop_leaves_no_process_behind() {
    for (second, drain) in [(false, "200ms"), (true, "1h")] {
        let options = ["--model", "process", "--service", "echo", "--drain-timeout", drain];
        let mut server = Server::start(&options);
        let _deaf = [(); 2].map(|()| server.connect_without_reading());
        let children = server.children();
        assert_eq!(children.len(), 2);
        server.signal(Signal::TERM);
        if second {
            server.log_line("stopping; 2 clients are being served");
            server.signal(Signal::TERM);
        }
        server.log_line("client 1 left: the server stops at once");
        assert_eq!(server.wait().code(), Some(0));
        assert!(are_gone(&children));
    }
}

#[test]
fn a_crowd_that_pipelines_loses_nothing_when_the_server_stops() {
    for round in 0..10 {
        let server = Server::start(&["--model", "process", "-q"]);
        // In some rounds none of the processes has been started, in others all are at work.
        server.expect_stop_answers_all(20, 2 * round, Signal::INT);
    }
}

#[test]
fn a_server_that_is_killed_takes_its_processes_with_it() {
    let server = Server::start(&["--model", "process"]);
    let mut client = crowd(&server, 1).remove(0);
    server.signal(Signal::KILL);
    // Nobody says so to its process but the pipe between them.
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_client_for_whom_no_process_can_be_had_is_told_so() {
    let program = TempPath::new("program");
    // Not by `fs::copy`: a child that another test forks meanwhile would inherit the descriptor
    // that writes the file, and execve(2) fails with ETXTBSY while one is open.
    let copied = Command::new("cp").arg(PROGRAM).arg(program.as_path()).status().unwrap();
    assert!(copied.success());
    let mut server = Server::start_program(program.as_path(), &["--model", "process"]);
    drop(program);
    assert_eq!(server.connect().rest(), BUSY);
    server.log_line("cannot start a worker for client 1: ");
}

#[test]
fn games_at_the_same_time_are_rows_of_one_table() {
    let table = TempPath::new("rows.csv");
    let options = ["--model", "process", "--service", "quiz", "--seed", "7"];
    let more = ["--max-clients", "20", "--results", table.as_str()];
    let server = Server::start(&[&options[..], &more].concat());
    let mut crowd = server.connect_many(20);
    for client in &mut crowd {
        client.send(b"yes\nBob\n");
        client.send(&b"1\n".repeat(10));
    }
    for mut client in crowd {
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
