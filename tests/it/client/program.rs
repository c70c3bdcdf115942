//! The clients as programs: options, streams and exit codes, against real and scripted servers.

use std::io::{Read, Write, pipe};
use std::process::{Output, Stdio};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::script::{HOST, ScriptedServer, accept};
use crate::common::server::{Server, socklab};

/// Runs a client on a port, with an empty input. Returns its output.
fn client(command: &str, port: u16, options: &[&str]) -> Output {
    let port = port.to_string();
    let args = [&[command, HOST, &port], options].concat();
    socklab(&args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

#[test]
fn verbose_logs_each_message_and_its_reply_with_milliseconds() {
    let server = Server::start(&["--service", "echo"]);
    let output = client("client", server.address.port(), &["-v", "-e", "1 + 1", "-e", "'ü'"]);
    assert_eq!(text(&output.stdout), "1 + 1\n'ü'\n");
    let log = text(&output.stderr);
    let lines: Vec<_> = log.lines().collect();
    for (line, message) in [(0, "1 + 1"), (2, "'ü'")] {
        assert!(lines[line].ends_with(&format!("DEBUG] sent \"{message}\"")), "{log}");
    }
    for (line, reply) in [(1, "1 + 1"), (3, "'ü'")] {
        assert!(lines[line].contains(&format!("DEBUG] received \"{reply}\" after ")), "{log}");
        assert!(lines[line].ends_with(" ms"), "{log}");
    }
}

#[test]
fn bare_helps_with_a_server_that_a_newline_kills() {
    let deadly = || {
        ScriptedServer::start(|listener| {
            let mut stream = accept(&listener);
            let mut message = [0; 100];
            let received = stream.read(&mut message).unwrap();
            if message[..received] == *b"22 + 44" {
                stream.write_all(b"66").unwrap();
            }
        })
    };
    let output = client("client", deadly().port, &["-e", "22 + 44"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "socklab: the server closed the connection before it answered (is the server full, or did \
         it fail? if it cannot take a newline, try --bare)\n"
    );
    let output = client("client", deadly().port, &["--bare", "-e", "22 + 44"]);
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("66\n", ""));
    assert!(output.status.success());
}

#[test]
fn play_fails_at_every_other_service_and_quotes_it() {
    for (service, said) in [
        ("calc", "NameError: name 'yes' is not defined\\nNameError: name 'Bob' is not defined"),
        ("echo", "yes\\nBob"),
        ("hello", "Hello from the server!"),
        ("fourops", "ValueError: expected two numbers, such as 12,5 or add 12 5"),
    ] {
        let server = Server::start(&["--service", service]);
        let port = server.address.port().to_string();
        let (from, mut to) = pipe().unwrap();
        to.write_all(b"yes\nBob\n7\n").unwrap();
        drop(to);
        let output = socklab(&["play", HOST, &port, "--timeout", "500ms"])
            .stdin(Stdio::from(from))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{service}");
        let failure = format!(
            "socklab: the server asks no question; it says \"{said}\" (is it a quiz server?)\n"
        );
        assert_eq!((text(&output.stdout), text(&output.stderr)), ("", failure.as_str()));
    }
}

#[test]
fn a_client_waits_for_non_blocking_pipes() {
    let server = Server::start(&["--service", "echo"]);
    let port = server.address.port().to_string();
    let (from, mut input) = pipe().unwrap();
    let (mut output, to) = pipe().unwrap();
    fcntl_setfl(&from, fcntl_getfl(&from).unwrap() | OFlags::NONBLOCK).unwrap();
    fcntl_setfl(&to, fcntl_getfl(&to).unwrap() | OFlags::NONBLOCK).unwrap();
    let mut client = socklab(&["client", HOST, &port]).stdin(from).stdout(to).spawn().unwrap();
    // More than both pipes hold.
    let lines = format!("{}\n", "6".repeat(3999)).repeat(50);
    let sent = lines.clone();
    let write = move || input.write_all(sent.as_bytes()).unwrap();
    let writer = std::thread::Builder::new().spawn(write).unwrap();
    let mut printed = String::new();
    output.read_to_string(&mut printed).unwrap();
    writer.join().unwrap();
    assert_eq!(printed, lines);
    assert!(client.wait().unwrap().success());
}
