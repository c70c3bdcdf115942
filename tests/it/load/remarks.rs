//! The remarks of a report: the warm-up, the machine, a rate that was not kept, a
//! server of another kind, and the moment from which on it was silent.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use super::program::{bench, count, run, serve, serve_lines, serve_once};
use crate::common::file::TempPath;
use crate::common::server::Server;

#[test]
fn a_warm_up_is_in_no_count() {
    let (sender, lines) = mpsc::channel();
    let mut number = 0;
    let address = serve_lines(1, move |line| {
        number += 1;
        sender.send(()).ok();
        if number == 1 { b"wrong\n".to_vec() } else { line }
    });
    let options = ["--service", "echo", "-c", "1", "-d", "100ms", "--warmup", "1s"];
    let (code, json, stderr) = run(address, &options);
    assert_eq!((code, stderr.as_str(), count(&json, "wrong")), (0, "", 0), "{json}");
    let asked = count(&json, "asked");
    assert!(asked > 0 && asked + 2 < lines.iter().count() as u64, "{json}");
    assert_eq!(json["load"]["warmup_s"], 1.0);
    assert!(json["elapsed_s"].as_f64().unwrap() < 1.0, "{json}");

    let server = Server::start(&["--service", "echo", "-q"]);
    for more in
        [&["-n", "500"][..], &["-d", "300ms", "--rate", "2000"], &["-n", "90", "--reconnect"]]
    {
        let options = [&["--service", "echo", "-c", "2", "--warmup", "200ms"], more].concat();
        let (_, json, _) = run(server.address, &options);
        assert_eq!((count(&json, "answered"), count(&json, "wrong")), (count(&json, "asked"), 0));
        if more[0] == "-n" {
            assert_eq!(count(&json, "asked").to_string(), more[1], "{json}");
        } else {
            // Those that were due in the load, and those that the warm-up has left.
            assert!(count(&json, "asked") + count(&json, "unsent") >= 600, "{json}");
        }
    }
    let text = bench(server.address, &["--service", "echo", "--warmup", "50ms", "-d", "50ms"]);
    let text = String::from_utf8({ text }.output().unwrap().stdout).unwrap();
    assert!(text.contains("after a warm-up of 50.0 ms that is in no count\n"), "{text}");
}

#[test]
fn a_report_has_the_parameters_of_the_load_and_of_the_machine() {
    let server = Server::start(&["--service", "echo", "-q"]);
    let options = ["--service", "echo", "--size", "99", "-d", "100ms", "--timeout", "3s"];
    let (_, json, _) = run(server.address, &options);
    assert_eq!(json["program"], concat!("socklab ", env!("CARGO_PKG_VERSION")));
    let load = &json["load"];
    assert_eq!((&load["size"], &load["duration_s"]), (&99.into(), &0.1.into()));
    assert_eq!((&load["timeout_s"], &load["requests"]), (&3.0.into(), &Value::Null));
    assert!(json["machine"]["cores"].as_u64().unwrap() > 0);
    assert!(json["machine"]["kernel"].as_str().unwrap().contains(' '), "{json}");
    assert!(json["time"].as_str().unwrap().ends_with('Z'), "{json}");
    assert!((0.0..=1.0).contains(&json["busiest_thread"].as_f64().unwrap()), "{json}");
}

#[test]
fn a_percentile_that_the_replies_cannot_carry_is_left_out() {
    let server = Server::start(&["-q"]);
    let (_, json, _) = run(server.address, &["-c", "1", "-n", "200"]);
    let latency = &json["latency_us"]["from_sending"];
    assert!(latency["p90"].is_f64() && latency["p99"].is_null() && latency["max"].is_f64());
    let ended = bench(server.address, &["-c", "1", "-n", "200"]).output().unwrap();
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(text.contains("  90 % ") && !text.contains("  99"), "{text}");
}

/// Each reply takes at least 10 ms, so at most a tenth of the requests can be sent.
#[test]
fn a_rate_that_the_server_does_not_keep_is_a_failure() {
    let slow = || {
        let (keep, never) = mpsc::channel::<()>();
        let address = serve_lines(1, move |line| {
            never.recv_timeout(Duration::from_millis(10)).ok();
            line
        });
        (keep, address)
    };
    let load = ["--service", "echo", "-c", "1", "--rate", "1000"];
    for (length, message) in [("-d", " due could not be sent"), ("-n", "the load took ")] {
        let (_keep, address) = slow();
        let value = if length == "-d" { "500ms" } else { "40" };
        let (code, json, stderr) = run(address, &[&load[..], &[length, value]].concat());
        let sentence = "the server did not keep up with 1,000 requests per second: ";
        assert!(stderr.contains(sentence) && stderr.contains(message), "{stderr}");
        assert_eq!((code, &json["kept_rate"]), (1, &false.into()), "{json}");
    }
    let server = Server::start(&["--service", "echo", "-q"]);
    let load = ["--service", "echo", "-c", "1", "--rate", "1", "-n", "1"];
    let (code, json, _) = run(server.address, &load);
    assert_eq!((code, &json["kept_rate"]), (0, &true.into()), "{json}");
}

#[test]
fn replies_without_their_newline_are_told_with_what_came() {
    for options in [&["-e", "1"][..], &["-e", "2"], &["--send", "x", "--expect", "any"]] {
        let address = serve(|_, mut stream| {
            while stream.read(&mut [0; 64]).is_ok_and(|n| n > 0) {
                stream.write_all(b"1").ok();
            }
        });
        let options = [options, &["-c", "1", "-n", "5", "--timeout", "300ms"]].concat();
        let (code, json, stderr) = run(address, &options);
        let hint = "no newline comes after the reply \"1\": --bare is for servers without newlines";
        assert_eq!((code, &json["hint"]), (4, &hint.into()), "{json}");
        assert!(stderr.contains(&format!("WARN ] {hint}\n")), "{stderr}");
        assert!(stderr.ends_with("socklab: the server answered no request in time\n"), "{stderr}");
    }
}

#[test]
fn a_server_of_another_kind_is_recognized() {
    let http = serve(|_, mut stream| {
        if stream.read(&mut [0; 64]).is_ok_and(|n| n > 0) {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok();
        }
    });
    let echo_server = Server::start(&["--service", "echo", "-q"]);
    let calc_server = Server::start(&["-q"]);
    for (address, service, hint) in [
        (http, "calc", "it looks like an HTTP server; its first reply is \"HTTP/1.1 400 "),
        (echo_server.address, "calc", "it looks like an echo server: see --service echo; "),
        (calc_server.address, "echo", "it looks like a calculator: see --service calc; "),
    ] {
        let options = ["--service", service, "-c", "2", "-n", "10", "--timeout", "300ms"];
        let (code, json, stderr) = run(address, &options);
        assert_eq!(code, 1, "{json}");
        assert!(json["hint"].as_str().unwrap().starts_with(hint), "{json}");
        assert!(stderr.contains(hint), "{stderr}");
    }
}

#[test]
fn the_moment_from_which_on_a_server_is_silent_is_reported() {
    let options = ["--service", "echo", "-c", "1", "-d", "600ms", "--timeout", "200ms"];
    let (code, json, _) = run(serve_once(20, b""), &options);
    let silent = json["silent_from_s"].as_f64().unwrap();
    assert_eq!((code, json["last_reply_s"].as_f64()), (1, Some(silent)), "{json}");
    assert!(silent < 0.5, "{json}");
    let picture = TempPath::new("silent");
    let options = [&options[..], &["--plot", picture.as_str()]].concat();
    let ended = bench(serve_once(20, b""), &options).output().unwrap();
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(text.contains("no right reply came after 0."), "{text}");
    for mark in ["\nno right reply\n", "\nlast right reply: 0.", " fault"] {
        assert!(picture.read().contains(mark), "{mark:?}");
    }

    let server = Server::start(&["--service", "echo", "-q"]);
    let (_, json, _) = run(server.address, &["--service", "echo", "-d", "300ms"]);
    assert!(json["silent_from_s"].is_null() && json["last_reply_s"].is_f64(), "{json}");
}
