//! The program as its clients see it over TCP, under every model.

use socklab::choice::Choice;
use socklab::model::Model;
use std::io::Read;
use std::thread;

use rustix::process::Signal;
use socklab::net::nofile;

use crate::common::server::{CONCURRENT, Client, MODELS, Server, run, socklab};
use crate::common::transcript::{Service, TRANSCRIPTS};

/// Most resident memory of a server while one client does not read, in bytes.
const MEMORY_LIMIT: usize = 64 * 1024 * 1024;

#[test]
fn every_model_is_tested() {
    let names: Vec<_> = Model::ALL.iter().map(|model| model.name()).collect();
    assert_eq!(names, MODELS);
}

#[test]
fn every_transcript_holds_over_tcp_under_every_model() {
    for model in MODELS {
        for service in [Service::Calc, Service::Echo, Service::Hello, Service::Fourops] {
            // The model single serves one client, and the next one waits.
            let options = ["--model", model, "--service", service.name(), "--when-full", "queue"];
            let server = Server::start(&options);
            for transcript in TRANSCRIPTS.iter().filter(|row| row.service == service) {
                for piece in [1, usize::MAX] {
                    println!("{model}: {} ({piece} bytes at a time)", transcript.name);
                    let mut client = server.connect();
                    while !client.send_in_pieces(transcript.input, piece) {
                        client = server.connect();
                    }
                    if transcript.half_close {
                        client.half_close();
                    }
                    client.expect(transcript.output);
                    if transcript.ending.is_some() {
                        assert_eq!(client.rest(), b"");
                    }
                }
            }
        }
    }
}

#[test]
fn a_half_closing_client_gets_every_answer_of_a_long_batch() {
    for model in MODELS {
        let server = Server::start(&["--model", model]);
        let mut client = server.connect();
        client.send(&b"1 + 2\n".repeat(20_000));
        client.half_close();
        assert_eq!(client.rest(), b"3\n".repeat(20_000), "{model}");
    }
}

#[test]
fn a_client_that_never_reads_costs_bounded_memory_and_delays_no_other() {
    const SIZE: usize = 100 * 1024 * 1024;
    for model in CONCURRENT {
        let server = Server::start(&["--model", model, "--service", "echo"]);
        let mut unread = server.connect();
        let mut sender = Client { stream: unread.stream.try_clone().unwrap() };
        let sending = thread::Builder::new()
            .spawn(move || {
                let block = pattern(1 << 20);
                (0..SIZE >> 20).for_each(|_| sender.send(&block));
                sender.half_close();
            })
            .unwrap();
        let mut other = server.connect();
        for _ in 0..1000 {
            other.ask(b"hello", b"hello");
        }
        let memory = server.memory();
        assert!(memory < MEMORY_LIMIT, "{model}: {memory} bytes of memory");
        // All that was held back arrives in the end.
        let block = pattern(1 << 20);
        (0..SIZE >> 20).for_each(|_| unread.expect_same(&block));
        assert_eq!(unread.rest(), b"");
        sending.join().unwrap();
    }
}

/// Bytes in which a loss or a change of order shows.
fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n % 251).to_le_bytes()[0]).collect()
}

impl Client {
    /// The same as `expect` for more bytes than a message can show.
    #[track_caller]
    fn expect_same(&mut self, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        self.stream.read_exact(&mut bytes).unwrap();
        assert!(bytes == expected, "the bytes differ from those sent");
    }
}

#[test]
fn the_loop_answers_19_000_concurrent_clients() {
    // Both processes need a descriptor for each client, and the machine may allow fewer.
    let clients = nofile::raise_nofile_limit(1).clients.min(19_000);
    println!("{clients} clients");
    let server = Server::start(&["-q"]);
    let mut clients: Vec<_> =
        (0..clients).map(|n| server.connect_from(u8::try_from(2 + n / 1000).unwrap())).collect();
    for client in &mut clients {
        client.send(b"1 + 2\n");
    }
    for client in &mut clients {
        client.expect(b"3\n");
    }
}

#[test]
fn a_stop_answers_every_request_that_had_arrived() {
    for model in MODELS {
        let server = Server::start(&["--model", model]);
        let mut client = server.connect();
        client.ask(b"0\n", b"0\n");
        client.send(&b"1 + 2\n".repeat(5_000));
        // The first reply shows that the batch has arrived.
        client.expect(b"3\n");
        server.signal(Signal::TERM);
        assert_eq!(client.rest(), b"3\n".repeat(4_999), "{model}");
        drop(client);
        assert_eq!(server.wait().code(), Some(0), "{model}");
    }
}

#[test]
fn a_stop_answers_a_client_that_was_not_yet_accepted() {
    for model in CONCURRENT {
        for _ in 0..10 {
            let server = Server::start(&["--model", model]);
            let mut busy = server.connect();
            busy.send(&b"9 ** 9000 % 7\n".repeat(100));
            let mut late = server.connect();
            late.send(b"1 + 2\n");
            server.signal(Signal::TERM);
            late.expect(b"3\n");
            assert_eq!(late.rest(), b"", "{model}");
        }
    }
}

#[test]
fn a_stop_closes_idle_clients_and_exits_with_0() {
    for model in MODELS {
        for signal in [Signal::TERM, Signal::INT] {
            let server = Server::start(&["--model", model]);
            let mut client = server.connect();
            client.ask(b"1\n", b"1\n");
            server.signal(signal);
            assert_eq!(client.rest(), b"");
            drop(client);
            assert_eq!(server.wait().code(), Some(0), "{model}");
        }
    }
}

#[test]
fn a_stop_waits_for_the_drain_time_and_no_longer() {
    for model in MODELS {
        let options = ["--model", model, "--service", "echo", "--drain-timeout", "200ms"];
        let server = Server::start(&options);
        let _client = server.connect_without_reading();
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0), "{model}");
    }
}

#[test]
fn a_second_signal_ends_the_server_immediately() {
    for model in MODELS {
        let options = ["--model", model, "--service", "echo", "--drain-timeout", "1h"];
        let mut server = Server::start(&options);
        let _client = server.connect_without_reading();
        server.signal(Signal::TERM);
        server.log_line("stopping");
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0), "{model}");
    }
}

/// A message of much work, with the value 4.
const HEAVY: &[u8] = b"2**12500 % 7\n";

#[test]
fn heavy_clients_are_all_answered_and_a_light_one_among_them() {
    for model in CONCURRENT {
        let server = Server::start(&["--model", model, "--max-clients", "51"]);
        let mut clients = server.connect_many(50);
        for client in &mut clients {
            client.send(&HEAVY.repeat(10));
        }
        let mut other = server.connect();
        for _ in 0..100 {
            other.ask(b"1 + 2\n", b"3\n");
        }
        for client in &mut clients {
            client.expect(&b"4\n".repeat(10));
        }
    }
}

#[test]
fn a_second_signal_ends_clients_that_wait_to_compute() {
    for model in MODELS {
        let options = ["--model", model, "--drain-timeout", "1h", "--when-full", "queue"];
        let mut server = Server::start(&options);
        let clients = if model == "single" { 1 } else { 50 };
        let mut clients = server.connect_many(clients);
        for client in &mut clients {
            client.send(&HEAVY.repeat(5_000));
        }
        clients[0].expect(b"4\n");
        server.signal(Signal::TERM);
        server.log_line("stopping");
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0), "{model}");
    }
}

#[test]
fn an_idle_client_is_closed() {
    for model in MODELS {
        let server = Server::start(&["--model", model, "--idle-timeout", "50ms"]);
        let mut client = server.connect();
        client.ask(b"1\n", b"1\n");
        assert_eq!(client.rest(), b"", "{model}");
    }
}

#[test]
fn max_clients_is_lowered_to_the_descriptor_limit() {
    let mut server = Server::start(&["--max-clients", "1000000"]);
    server.log_line("the descriptor limit allows only");
}

#[test]
fn clients_dropped_at_any_moment_leave_no_descriptor_thread_or_process() {
    for model in MODELS {
        let server =
            Server::start(&["--model", model, "--max-clients", "50", "--backlog", "1024", "-q"]);
        let (descriptors, threads) = (server.descriptors(), server.threads());
        let children = server.children().len() + usize::from(model == "process");
        println!("{model}: {descriptors} descriptors, {threads} threads");
        // Starting a process takes a hundred times as long as starting a thread.
        let clients = if model == "process" { 1_000 } else { 10_000 };
        for n in 0..clients {
            let mut client = server.connect();
            match n % 5 {
                0 => {}
                1 => client.send(b"1 + 2\n"),
                2 => client.send(b"1 + "),
                3 => client.send(&b"1 + 2\n".repeat(500)),
                // The reply may be busy, as the model single serves one client.
                _ => {
                    client.send(b"1 + 2\n");
                    client.stream.read_exact(&mut [0]).unwrap();
                }
            }
            if n % 2 == 0 {
                client.reset();
            }
        }
        // This client came after all the others, of which the last may not be closed yet.
        for attempt in 1.. {
            server.serve_one();
            let no_child_of_others = server.children().len() <= children;
            let (more, threads_more) =
                (server.descriptors() > descriptors, server.threads() > threads);
            if no_child_of_others && !more && !threads_more {
                break;
            }
            assert!(attempt < 10_000, "{model}: something is left behind");
        }
    }
}

#[test]
fn the_log_has_every_connection_and_its_close_reason() {
    for model in MODELS {
        let mut server = Server::start(&["--model", model]);
        let mut client = server.connect();
        let address = client.stream.local_addr().unwrap();
        client.ask(b"1\n", b"1\n");
        drop(client);
        server.log_line(&format!("client 1 connected from {address} (1 now)"));
        server.log_line("client 1 left: it closed the connection (0 now)");
    }
}

#[test]
fn the_log_escapes_a_message() {
    let mut server = Server::start(&["-v"]);
    let mut client = server.connect();
    client.ask(b"\x1b[2J\r\n", b"SyntaxError:");
    server.log_line("\"\\x1b[2J\" -> \"SyntaxError: ");
}

#[test]
fn a_failure_exits_with_its_code_although_stderr_is_full() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let status = socklab(&["client", "127.0.0.1", "1", "-e", "1"]).stderr(full).status();
    assert_eq!(status.unwrap().code(), Some(1));
}

#[test]
fn an_ipv6_address_may_stand_in_brackets() {
    let (code, text) = run(&["serve", "[::ffff:203.0.113.1]", "0"]);
    assert_eq!(code, Some(1));
    assert!(text.starts_with("socklab: cannot listen on [::ffff:203.0.113.1]:0: "), "{text}");
}

#[test]
fn an_occupied_port_is_reported_in_one_line() {
    let server = Server::start(&[]);
    let port = server.address.port().to_string();
    let (code, text) = run(&["serve", "127.0.0.1", &port]);
    assert_eq!(code, Some(1));
    assert_eq!(
        text,
        format!(
            "socklab: cannot listen on 127.0.0.1:{port}: address already in use \
             (is another server running there?)\n"
        )
    );
}

#[test]
fn a_bad_option_is_reported_with_what_is_accepted() {
    for (args, accepted) in [
        (["serve", "--max-clients", "0"], "expected a number, at least 1"),
        (["serve", "--max-message", "32769"], "expected a number of bytes, 1 to 32768"),
        (["serve", "--idle-timeout", "soon"], "expected a time such as 500ms, 2s or 5m"),
        (["serve", "--greeting", ""], "expected a text of 1 to 32768 bytes"),
        (["serve", "", "5000"], "expected a host name or an address such as 127.0.0.1 or ::1"),
        (["serve", "--shards", "2"], "only the model sharded has shards"),
        (["serve", "--workers", "2"], "only pool and prefork start workers beforehand"),
        (["serve", "--workers", "0"], "expected a number, 1 to 16384"),
        (
            ["serve", "--model", "fork"],
            "[possible values: loop, poll, single, thread, pool, process, prefork, sharded]",
        ),
    ] {
        let (code, text) = run(&args);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(accepted), "{text}");
    }
}
