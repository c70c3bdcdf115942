//! `serve --explain`: the lines that a learner reads beside a conversation.

use std::net::Shutdown;

use crate::common::server::{MODELS, Server};

/// A part of a line about a wait with a time limit.
const WAITS: &str = ", for at most ";

/// The text of a line behind its place and its time.
fn text(line: &str) -> &str {
    line.split_once(" ms  ").unwrap_or_else(|| panic!("no time in {line:?}")).1.trim_end()
}

/// Expects these lines in the log, in this order, perhaps with others between them.
#[track_caller]
fn expect_lines(server: &mut Server, lines: &[&str]) {
    for line in lines {
        assert_eq!(text(&server.log_line(line)), *line);
    }
}

/// Reads these lines about client 1, in this order, and the one about its accept before them. If
/// another process tells them, that one may come at any time.
#[track_caller]
fn lines_of_an_accepted_client<const N: usize>(
    server: &mut Server,
    lines: [&str; N],
    by_process: bool,
) -> [String; N] {
    let (mut accepted, mut found) = (false, Vec::new());
    while !accepted || found.len() < N {
        let line = server.log_line("");
        if line.contains("accept: client 1 from 127.0.0.1:") {
            accepted = true;
        } else if lines.get(found.len()).is_some_and(|text| line.contains(text)) {
            assert!(accepted || by_process, "{line}");
            found.push(line);
        }
    }
    found.try_into().unwrap()
}

#[test]
fn the_end_of_each_message_is_told_with_the_calls_around_it() {
    for model in ["loop", "poll", "single"] {
        let mut server = Server::start(&["--explain", "--model", model]);
        let call = if model == "poll" { "poll" } else { "epoll_wait" };
        server.log_line(&format!("{call}: nothing to do; waits for an event\n"));
        let mut client = server.connect();
        let accepted = server.log_line("accept: client 1 from 127.0.0.1:");
        let turn = accepted.split('+').next().unwrap().trim_end();
        assert!(turn.starts_with("turn ") && turn[5..].parse::<u64>().is_ok(), "{accepted}");

        client.ask(b"1+1\n", b"2\n");
        server.log_line(&format!("{call}: client 1's socket is readable"));
        expect_lines(
            &mut server,
            &[
                r#"recv from client 1: 4 bytes "1+1\n""#,
                r#"message of client 1: "1+1", ended by a newline; its reply is "2""#,
                r#"send to client 1: 2 of 2 bytes "2\n""#,
            ],
        );
        client.ask(b"2+2\0", b"4\0");
        expect_lines(
            &mut server,
            &[
                r#"recv from client 1: 4 bytes "2+2\x00""#,
                "setsockopt TCP_QUICKACK for client 1: acknowledges a part of a message",
            ],
        );
        server.log_line(&format!("{call}: no event; "));
        expect_lines(
            &mut server,
            &[
                "recv from client 1: nothing has come (EAGAIN)",
                r#"message of client 1: "2+2", ended by a NUL and silence; its reply is "4""#,
            ],
        );
        client.ask(b"3+3", b"6");
        let silence = r#"message of client 1: "3+3", ended by silence; its reply is "6""#;
        expect_lines(&mut server, &[silence]);
        client.ask(b"\0\x034+4", b"\0\x018");
        let length =
            r#"message of client 1: "4+4", ended by the length in front of it; its reply is "8""#;
        expect_lines(&mut server, &[length]);
        client.send(b"5+5");
        client.half_close();
        assert_eq!(client.rest(), b"10");
        expect_lines(
            &mut server,
            &[
                "recv from client 1: 0 bytes: the end of input, it has closed its half (FIN)",
                r#"message of client 1: "5+5", ended by the end of input; its reply is "10""#,
                "client 1 is to be closed: it closed the connection",
                r#"send to client 1: 2 of 2 bytes "10""#,
                "close of client 1: nothing is unread",
            ],
        );
        assert!(!server.stop().contains("INFO"), "the log's own lines are left out");
    }
}

#[test]
fn a_heavy_message_is_told_as_computed_by_a_thread() {
    let mut server = Server::start(&["--explain"]);
    server.connect().ask(b"2**12500 % 7\n", b"4\n");
    expect_lines(&mut server, &["client 1's message is heavy: a thread computes it"]);
    let line = server.log_line("message of client 1: \"2**12500 % 7\", ended by a newline");
    assert!(line.starts_with("compute"), "{line}");
    expect_lines(&mut server, &["epoll_wait: a heavy message is computed"]);
}

#[test]
fn every_model_explains_what_serves_a_client_and_what_it_waits_in() {
    for model in MODELS {
        println!("{model}");
        let options = ["--explain", "--model", model, "--max-clients", "2", "--shards", "2"];
        let options = if model == "sharded" { &options[..] } else { &options[..5] };
        let mut server = Server::start(options);
        let place = match model {
            "thread" => "thread 1",
            "pool" => "worker ",
            "process" | "prefork" => "pid ",
            "sharded" => "loop ",
            _ => "turn ",
        };
        let mut client = server.connect();
        client.ask(b"1+1\n", b"2\n");
        let message = "message of client 1: \"1+1\", ended by a newline";
        let told = ["recv from client 1: 4 bytes", message, WAITS];
        let [received, _, line] = lines_of_an_accepted_client(&mut server, told, place == "pid ");
        assert!(received.starts_with(place), "{received}");
        let waits = if matches!(place, "turn " | "loop ") {
            ": nothing to do; "
        } else {
            "recv from client 1: "
        };
        assert!(line.contains(waits), "{line}");
        // The reset arrives when the reply is on its way, or unread.
        client.reset();
        let line = server.log_line("recv from client 1: ECONNRESET");
        let lost = r#"what it has not read of "2\n" is lost"#;
        assert!(line.trim_end().ends_with(lost), "{line}");
        expect_lines(
            &mut server,
            &[
                "client 1 is to be closed: it reset the connection",
                "close of client 1: nothing is unread",
            ],
        );
        server.stop();
    }
}

#[test]
fn what_a_close_leaves_unread_and_unsent_is_told() {
    for model in ["loop", "thread", "process"] {
        println!("{model}");
        let limit = ["--unread-timeout", "100ms"];
        let options = [&["--explain", "-q", "--model", model][..], &limit];
        let mut server = Server::start(&options.concat());
        let mut client = server.connect();
        // Far more than all the buffers on the way hold.
        client.fill(&b"(1,) * 10000\n".repeat(1000));
        server.log_line("it reads too slowly, or not");
        expect_lines(&mut server, &["client 1 is to be closed: it did not read its replies"]);
        server.log_line("unsent to client 1: ");
        let line = server.log_line("close of client 1: ");
        assert!(line.contains("bytes unread, so it is a reset (RST); what it has"), "{line}");
        drop(client);
    }
}

#[test]
fn a_rejected_client_is_told_busy_and_what_it_sends_then_is_discarded() {
    let mut server = Server::start(&["--explain", "--model", "single"]);
    let mut first = server.connect();
    first.ask(b"1\n", b"1\n");
    let mut rejected = server.connect();
    rejected.send(b"2\n");
    rejected.stream.shutdown(Shutdown::Write).unwrap();
    rejected.rest();
    let line = server.log_line("accept: client 2 from ");
    assert!(line.trim_end().ends_with("; there is no place for it: it is told so"), "{line}");
    expect_lines(
        &mut server,
        &[
            "shutdown to client 2: our end is sent (FIN); now it may end as well",
            r#"recv from client 2: 2 bytes "2\n", discarded: we have closed already"#,
            "close of client 2: nothing is unread",
        ],
    );
}

#[test]
fn a_full_server_that_refuses_clients_tells_how() {
    for model in ["loop", "poll"] {
        let limit = ["--max-clients", "1", "--when-full", "refuse"];
        let mut server = Server::start(&[&["--explain", "--model", model][..], &limit].concat());
        let mut client = server.connect();
        client.ask(b"1\n", b"1\n");
        expect_lines(&mut server, &["shutdown of the listener: full, so others are refused"]);
        server.log_line("accept: client 1 from ");
        server.log_line("the listener has been shut down");
        drop(client);
        expect_lines(&mut server, &["listen: there is a place, so clients may connect"]);
        server.connect().ask(b"2\n", b"2\n");
    }
}

#[test]
fn verbose_adds_the_log_to_the_explanation_and_does_not_explain_alone() {
    for model in ["loop", "process"] {
        let exchange = "client 1: \"1+1\" -> \"2\"";
        let mut server = Server::start(&["-v", "--explain", "--model", model]);
        server.connect().ask(b"1+1\n", b"2\n");
        let line = server.log_line(exchange);
        assert_eq!(text(&line), format!("DEBUG: {exchange}"));
        server.log_line("send to client 1: ");

        let mut server = Server::start(&["-v", "--model", model]);
        server.connect().ask(b"1+1\n", b"2\n");
        server.log_line(exchange);
        let log = server.stop();
        assert!(!log.contains("send to"), "{log}");
    }
}
