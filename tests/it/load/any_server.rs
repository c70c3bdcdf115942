//! The command `bench` on servers of other kinds: with a text of one's own, without newlines, on a
//! Unix socket.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::thread;

use serde_json::Value;

use super::program::{count, outcome, run, serve, serve_lines};
use crate::common::file::TempPath;
use crate::common::server::{Server, socklab};

/// Runs `bench` with this command line. Returns the exit code, the JSON and stderr.
fn bench_line(line: &[&str]) -> (i32, Value, String) {
    let line = [&["bench"], line, &["--json"]].concat();
    outcome(&socklab(&line).stdin(Stdio::null()).output().unwrap())
}

/// A server that answers each receive by `answer`.
fn serve_receives(answer: fn(&[u8]) -> Vec<u8>) -> std::net::SocketAddr {
    serve(move |_, mut stream| {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut bytes) {
            if stream.write_all(&answer(&bytes[..n])).is_err() {
                break;
            }
        }
    })
}

#[test]
fn a_text_of_ones_own_is_sent_and_its_reply_compared() {
    let redis =
        || serve_lines(1, |line| if line == b"PING\r\n" { b"+PONG\r\n".into() } else { line });
    let load = ["-c", "1", "-n", "100", "--pipeline", "4", "--send", r"PING\r\n"];
    for expect in [r"+PONG\r\n", r"\x2bPONG\15\012", "any"] {
        let (code, json, stderr) = run(redis(), &[&load[..], &["--expect", expect]].concat());
        assert_eq!((code, stderr.as_str()), (0, ""), "{expect}: {json}");
        assert_eq!((count(&json, "answered"), count(&json, "reply_bytes")), (100, 700));
    }
    let (code, json, _) = run(redis(), &[&load[..], &["--expect", r"-ERR\n"]].concat());
    assert_eq!((code, count(&json, "wrong")), (1, 100), "{json}");
}

#[test]
fn any_line_is_a_reply_and_a_line_too_many_is_told() {
    let twice = serve_lines(1, |line| [line.clone(), line].concat());
    let load = ["-c", "1", "-n", "10", "--send", r"a\n", "--expect", "any"];
    let (code, json, _) = run(twice, &load);
    assert_eq!((code, count(&json, "answered"), count(&json, "duplicated")), (1, 10, 10), "{json}");
    let full = Server::start(&["--max-clients", "1", "-q"]);
    let mut only = full.connect();
    only.ask(b"1\n", b"1\n");
    assert_eq!(run(full.address, &["-d", "200ms", "--send", r"1\n", "--expect", "any"]).0, 3);
}

#[test]
fn a_server_without_newlines_is_measured_bare() {
    for options in [&["--service", "echo"][..], &["-c", "3", "-e", "11 * 6", "-e", "7"]] {
        let service = if options[0] == "-c" { "calc" } else { "echo" };
        let server = Server::start(&["--service", service, "-q"]);
        let (code, json, stderr) =
            run(server.address, &[options, &["-n", "20", "--bare"]].concat());
        assert_eq!((code, stderr.as_str()), (0, ""), "{json}");
        assert_eq!(count(&json, "answered"), 20);
    }
    // What ends a line, or a string of C, may stand behind the reply.
    for answer in [(|line| [line, b"\r\n"].concat()) as fn(&[u8]) -> Vec<u8>, |line| {
        [line, b"\0stale"].concat()
    }] {
        let options = ["--service", "echo", "-c", "2", "-n", "40", "--bare"];
        let (code, json, _) = run(serve_receives(answer), &options);
        assert_eq!((code, count(&json, "answered")), (0, 40), "{json}");
    }
    let other = serve_receives(|_| b"no".to_vec());
    let (code, json, _) = run(other, &["-c", "1", "-n", "3", "--bare"]);
    assert_eq!((code, count(&json, "wrong")), (1, 3), "{json}");
    let (code, json, _) =
        run(other, &["-c", "1", "-n", "3", "--bare", "--send", "x", "--expect", "any"]);
    assert_eq!((code, count(&json, "answered"), count(&json, "reply_bytes")), (0, 3, 6), "{json}");
    // The gap is not part of the latency.
    assert!(json["latency_us"]["from_sending"]["min"].as_f64().unwrap() < 25_000.0, "{json}");
}

/// As HTTP/1.0 does: the reply ends with the connection.
#[test]
fn a_reply_may_end_with_its_connection() {
    let address = serve(|number, mut stream| {
        let mut bytes = [0; 4096];
        // The first connection is a probe.
        if number > 0 && stream.read(&mut bytes).is_ok_and(|n| n > 0) {
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello\n").ok();
        }
    });
    let request = ["--send", r"GET / HTTP/1.0\r\n\r\n", "--expect", "any", "--bare"];
    let (code, json, _) =
        run(address, &[&["-c", "2", "-n", "20", "--reconnect"], &request[..]].concat());
    assert_eq!((code, count(&json, "answered"), count(&json, "served")), (0, 20, 20), "{json}");
}

#[test]
fn a_server_is_named_in_several_ways() {
    let server = Server::start(&["-q"]);
    let address = server.address.to_string();
    let (code, json, _) = bench_line(&[&address, "-n", "10"]);
    assert_eq!((code, &json["load"]["server"]), (0, &address.as_str().into()), "{json}");
    let (code, _, stderr) = bench_line(&[&address, "5000", "-n", "10"]);
    assert!(code == 2 && stderr.contains("the port is given twice"), "{stderr}");
    let (code, _, stderr) = bench_line(&["unix:/tmp/x", "5000"]);
    assert!(code == 2 && stderr.contains("a Unix socket has no port"), "{stderr}");
    let (code, _, stderr) = bench_line(&["5000"]);
    assert!(code == 2 && stderr.contains("as in: socklab bench 127.0.0.1 5000"), "{stderr}");
    let help = String::from_utf8(socklab(&["bench", "--help"]).output().unwrap().stdout).unwrap();
    assert!(help.contains("[default: 127.0.0.1]") && help.contains("[default: 5000]"), "{help}");
    assert!(help.contains("--expression-file <FILE>") && !help.contains("--expr "), "{help}");
}

#[test]
fn a_unix_socket_is_loaded_like_a_port() {
    let path = TempPath::new("unix-load");
    let target = format!("unix:{}", path.as_str());
    let (code, _, stderr) = bench_line(&[&target, "-n", "1"]);
    assert_eq!(stderr, format!("socklab: cannot connect to {target}: no such file or directory\n"));
    assert_eq!(code, 1);
    let listener = UnixListener::bind(path.as_path()).unwrap();
    let echo = move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let serve = move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
            thread::Builder::new().spawn(serve).unwrap();
        }
    };
    thread::Builder::new().spawn(echo).unwrap();
    for more in [&["-c", "5", "--pipeline", "2", "--size", "60000"][..], &["--reconnect"]] {
        let (code, json, stderr) =
            bench_line(&[&[&target, "--service", "echo", "-n", "300"], more].concat());
        assert_eq!((code, stderr.as_str()), (0, ""), "{json}");
        assert_eq!(
            (count(&json, "answered"), &json["load"]["server"]),
            (300, &target.as_str().into())
        );
    }
}

#[test]
fn options_that_exclude_each_other_are_told() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (options, message) in [
        (&["--send", "x"][..], "--expect <TEXT|any>"),
        (&["--expect", "any"], "--send <TEXT>"),
        (&["--send", "x", "--expect", "any", "--service", "echo"], "cannot be used with"),
        (&["--send", "x", "--expect", "any", "-e", "1"], "cannot be used with"),
        (&["--send", "x", "--expect", "any", "--size", "9"], "cannot be used with"),
        (&["--send", "", "--expect", "any"], "the text is empty"),
        (&["--send", r"\q", "--expect", "any"], r#"no escape of C at "\q""#),
        (&["--send", "x", "--expect", "y"], "does not end in a newline"),
        (&["--bare", "--pipeline", "2"], "cannot be used with"),
        (&["--expr", "file"], "--expression-file FILE"),
    ] {
        let (code, json, stderr) = run(unused, options);
        assert_eq!((code, json), (2, Value::Null), "{options:?}");
        assert!(stderr.contains(message), "{options:?}: {stderr}");
    }
}
