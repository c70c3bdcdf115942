//! The command `bench` on real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output as Ended, Stdio};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::file::TempPath;
use crate::common::server::{Server, socklab};

pub fn bench(address: SocketAddr, options: &[&str]) -> Command {
    let mut command = socklab(&["bench", &address.ip().to_string(), &address.port().to_string()]);
    command.args(options).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The exit code, the JSON and stderr.
pub fn outcome(ended: &Ended) -> (i32, Value, String) {
    let json = serde_json::from_slice(&ended.stdout).unwrap_or(Value::Null);
    (ended.status.code().unwrap(), json, String::from_utf8(ended.stderr.clone()).unwrap())
}

/// Runs a load to its end. In its report, every request and every connection is in one count.
#[track_caller]
pub fn run(address: SocketAddr, options: &[&str]) -> (i32, Value, String) {
    let (code, json, stderr) = outcome(&bench(address, options).arg("--json").output().unwrap());
    if json != Value::Null {
        assert_adds_up(&json["counts"]);
    }
    (code, json, stderr)
}

/// The counts of requests: each request is in exactly one.
const REQUESTS: [&str; 7] =
    ["answered", "wrong", "merged", "reordered", "missing", "rejected", "abandoned"];

/// The counts of connections that were made: each connection is in exactly one.
const CONNECTIONS: [&str; 5] = ["served", "unused", "unserved", "busy", "lost"];

#[track_caller]
fn assert_adds_up(counts: &Value) {
    let sum = |names: &[&str]| names.iter().filter_map(|name| counts[name].as_u64()).sum::<u64>();
    assert_eq!(counts["asked"], sum(&REQUESTS), "{counts}");
    assert_eq!(counts["opened"], sum(&CONNECTIONS), "{counts}");
}

/// The value of a count.
#[track_caller]
pub fn count(json: &Value, name: &str) -> u64 {
    json["counts"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {json}"))
}

/// A server that gives each connection a thread, and to it the number of the connection; the probe
/// has number 0.
pub fn serve(connection: impl Fn(usize, TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accept = move || {
        for (number, stream) in listener.incoming().enumerate() {
            let connection = connection.clone();
            let serve = move || connection(number, stream.unwrap());
            thread::Builder::new().spawn(serve).unwrap();
        }
    };
    thread::Builder::new().spawn(accept).unwrap();
    address
}

/// Echoes `count` lines.
pub fn echo(stream: &TcpStream, count: usize) {
    let mut writer = stream;
    for line in BufReader::new(stream).split(b'\n').take(count) {
        let line = [&line.unwrap()[..], b"\n"].concat();
        writer.write_all(&line).unwrap();
    }
}

/// Receives and discards until the peer closes.
pub fn ignore(mut stream: &TcpStream) {
    while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
}

/// A server of one thread, which replies to each line by `answer`, until its clients have closed.
pub fn serve_lines(
    connections: usize,
    mut answer: impl FnMut(Vec<u8>) -> Vec<u8> + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        // The first connection of a load is a probe.
        for _ in 0..=connections {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let reply = answer(std::mem::take(&mut line));
                if (&stream).write_all(&reply).is_err() {
                    break;
                }
            }
        }
    };
    thread::Builder::new().spawn(serve).unwrap();
    address
}

/// A server that echoes `lines` lines of one connection, sends `more`, and ends with that
/// connection.
pub fn serve_once(lines: usize, more: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        listener.accept().unwrap();
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = Vec::new();
        for _ in 0..lines {
            reader.read_until(b'\n', &mut line).unwrap();
            (&stream).write_all(&std::mem::take(&mut line)).unwrap();
        }
        (&stream).write_all(more).unwrap();
        if !more.is_empty() {
            reader.read_until(b'\n', &mut line).ok();
        }
    };
    thread::Builder::new().spawn(serve).unwrap();
    address
}

/// The same load on the same server has the same counts, to the byte.
#[test]
fn two_loads_on_one_server_count_the_same() {
    for (service, more) in [
        ("calc", &["--pipeline", "16"][..]),
        ("echo", &["--service", "echo", "--size", "100", "--threads", "2"]),
        ("echo", &["--service", "echo", "--rate", "20000"]),
        ("calc", &["--reconnect"]),
        ("echo", &["--service", "echo", "--size", "65536", "--pipeline", "2"]),
    ] {
        // A log that is not read would block the server.
        let server = Server::start(&["--service", service, "-q"]);
        let options = [&["-c", "7", "-n", "2000"], more].concat();
        let [one, other] = [(); 2].map(|()| {
            let (code, json, stderr) = run(server.address, &options);
            // A machine that is busy elsewhere does not keep the rate.
            let kept = json["kept_rate"] != false;
            assert_eq!((code == 0, stderr.is_empty()), (kept, kept), "{options:?}: {json}");
            let counts = &json["counts"];
            assert_eq!((&counts["asked"], &counts["answered"]), (&2000.into(), &2000.into()));
            assert_eq!(json["version"], 2);
            let faults = ["wrong", "duplicated", "merged", "reordered", "missing"];
            assert!(faults.iter().all(|key| counts[key] == 0), "{counts}");
            counts["reply_bytes"].clone()
        });
        // The next sum, and so its length, depends on the time at which a connection asks.
        if service == "echo" {
            assert_eq!(one, other, "{options:?}");
        }
    }
}

/// The first connection of a load is a probe, which must be closed before the load begins.
#[test]
fn the_probe_leaves_the_only_permit_to_the_load() {
    let server = Server::start(&["--model", "single", "-q"]);
    for _ in 0..30 {
        let (code, json, stderr) = run(server.address, &["-c", "1", "-n", "1"]);
        assert_eq!((code, stderr.as_str()), (0, ""), "{json}");
    }
}

#[test]
fn one_wrong_reply_of_a_real_server_fails_the_load() {
    let mut served = 0;
    let address = serve_lines(1, move |line| {
        served += 1;
        if served == 50 { b"oops\n".to_vec() } else { line }
    });
    let (code, json, stderr) = run(address, &["--service", "echo", "-c", "1", "-n", "200"]);
    assert_eq!((code, stderr.as_str()), (1, "socklab: faulty replies: 1 of 200\n"));
    assert_eq!((&json["counts"]["wrong"], &json["counts"]["answered"]), (&1.into(), &199.into()));
}

#[test]
fn an_extra_reply_after_the_last_one_is_found() {
    let address = serve_once(3, b"more\n");
    let (code, json, stderr) = run(address, &["--service", "echo", "-c", "1", "-n", "3"]);
    assert_eq!((code, stderr.as_str()), (1, "socklab: 1 line without a request\n"));
    assert_eq!(
        (&json["counts"]["answered"], &json["counts"]["duplicated"]),
        (&3.into(), &1.into())
    );
}

#[test]
fn a_load_ends_early_when_its_server_is_gone() {
    let address = serve_once(1, b"");
    let options = ["--service", "echo", "-c", "1", "-n", "100", "--timeout", "300ms"];
    let (code, json, stderr) = run(address, &options);
    assert_eq!((code, &json["counts"]["answered"]), (1, &1.into()), "{json}");
    let gave_up = "no connection could be made for 300 ms: the load ends early";
    assert!(stderr.contains(gave_up), "{stderr}");
    assert!(count(&json, "asked") < 100);
}

/// The stall is certain, and so is the least latency of the requests that are due in it.
#[test]
fn a_real_stall_shows_in_the_latencies_from_due_time() {
    let (_keep, never) = mpsc::channel::<()>();
    let mut served = 0;
    let address = serve_lines(1, move |line| {
        served += 1;
        if served == 200 {
            never.recv_timeout(Duration::from_secs(1)).ok();
        }
        line
    });
    let options = ["--service", "echo", "-c", "1", "-n", "800", "--rate", "400"];
    let (code, json, _) = run(address, &options);
    assert_eq!(code == 0, json["kept_rate"] == true, "{json}");
    let latency = |from: &str, key: &str| json["latency_us"][from][key].as_f64().unwrap();
    // The stall is half of the load: a tenth of the requests waits 0.8 s or more.
    assert!(latency("from_due", "p90") > 780_000.0, "{json}");
    assert!(latency("from_due", "max") > 990_000.0);
    assert!(latency("from_sending", "p90") < latency("from_due", "p90"));
    assert!(count(&json, "late") > 390);
}

#[test]
fn an_interrupted_load_reports_the_requests_so_far() {
    let (asked, enough) = mpsc::channel();
    let mut served = 0;
    let address = serve_lines(1, move |line| {
        served += 1;
        if served == 100 {
            asked.send(()).unwrap();
        }
        line
    });
    let options = ["--service", "echo", "-c", "1", "-d", "1h", "--json"];
    let child = bench(address, &options).spawn().unwrap();
    enough.recv().unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let (code, json, stderr) = outcome(&child.wait_with_output().unwrap());
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(json["interrupted"], true);
    assert_eq!(json["counts"]["asked"], json["counts"]["answered"]);
    assert!(count(&json, "answered") >= 100);
}

#[test]
fn each_failure_has_its_message_and_its_exit_code() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, _, stderr) = run(unused, &["-n", "1"]);
    assert_eq!(code, 1);
    let refused = "connection refused (is the server running?)";
    assert_eq!(stderr, format!("socklab: cannot connect to {unused}: {refused}\n"));

    let server = Server::start(&["--max-clients", "1"]);
    let mut only = server.connect();
    only.ask(b"1\n", b"1\n");
    let (code, json, stderr) = run(server.address, &["-d", "300ms", "-c", "2"]);
    assert_eq!(code, 3, "{json}");
    assert_eq!(stderr, "socklab: the server is busy, and served none of the connections\n");

    // The kernel connects although the server does not accept: the connections are not served.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = ["-c", "3", "-n", "3", "--timeout", "100ms"];
    let (code, json, stderr) = run(silent.local_addr().unwrap(), &options);
    assert_eq!((code, stderr.as_str()), (4, "socklab: the server answered no request in time\n"));
    assert_eq!((&json["counts"]["unserved"], &json["counts"]["missing"]), (&3.into(), &3.into()));

    for options in [
        &["--size", "5"][..],
        &["--service", "echo", "-e", "1"],
        &["-d", "1s", "-n", "1"],
        &["--service", "echo", "--max-message", "5"],
    ] {
        assert_eq!(run(unused, options).0, 2, "{options:?}");
    }
    let options = ["--service", "echo", "--size", "65536", "--pipeline", "3"];
    assert_eq!(run(unused, &options).0, 2);

    // A file that cannot be written is reported before the load begins.
    for option in ["--csv", "--hdr", "--plot"] {
        let options = ["-d", "1h", option, "/nowhere/load"];
        let (code, json, stderr) = run(silent.local_addr().unwrap(), &options);
        assert_eq!((code, json), (1, Value::Null));
        assert_eq!(stderr, "socklab: cannot write /nowhere/load: no such file or directory\n");
    }
    // Threads without a connection are not started, so they need no descriptors.
    let options = ["-c", "1", "--threads", "1000000", "-n", "1", "--timeout", "100ms"];
    assert_eq!(run(silent.local_addr().unwrap(), &options).0, 4);
}

#[test]
fn the_files_hold_every_interval_of_the_load() {
    let server = Server::start(&["--service", "echo"]);
    let folder = TempPath::new("load");
    std::fs::create_dir(folder.as_path()).unwrap();
    let file = |name: &str| format!("{}/{name}", folder.as_str());
    let (csv, hdr, svg) = (file("load.csv"), file("load.hdr"), file("load.svg"));
    let options =
        ["--service", "echo", "-d", "500ms", "--csv", &csv, "--hdr", &hdr, "--plot", &svg];
    let (code, json, _) = run(server.address, &options);
    assert_eq!(code, 0);
    let answered = count(&json, "answered");

    let mut rows = csv::Reader::from_path(&csv).unwrap();
    assert_eq!(rows.headers().unwrap().iter().next(), Some("time_s"));
    let sum: u64 = rows.records().map(|row| row.unwrap()[1].parse::<u64>().unwrap()).sum();
    assert_eq!(sum, answered);

    let log = std::fs::read(&hdr).unwrap();
    let entries = IntervalLogIterator::new(&log).map(Result::unwrap);
    let intervals = entries.filter(|entry| matches!(entry, LogEntry::Interval(_)));
    assert_eq!(intervals.count(), json["intervals"].as_array().unwrap().len());

    let picture = std::fs::read_to_string(&svg).unwrap();
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
    assert!(picture.contains(" replies per second: echo of 16 bytes at 127.0.0.1:"), "no title");
    assert!(picture.contains("@media (prefers-color-scheme: dark)"));
    // Each colour of the picture has one for a dark background.
    for colour in picture.split("=\"#").skip(1).map(|part| &part[..6]) {
        assert!(picture.contains(&format!("=\"#{colour}\"] {{")), "{colour}");
    }
}

/// In [`run`], the sums are compared.
#[test]
fn every_request_and_every_connection_is_in_one_count() {
    let options = ["-c", "4", "-n", "100", "--timeout", "300ms"];
    // Two of four connections cannot be made, or are reset in the accept queue.
    let server = Server::start(&["--max-clients", "2", "--when-full", "refuse", "-q"]);
    let (code, json, _) = run(server.address, &options);
    assert_eq!((code, count(&json, "served")), (1, 2), "{json}");
    assert!(count(&json, "lost") + count(&json, "unopened") >= 2, "{json}");

    // Two of four connections are told that the server is full.
    let server = Server::start(&["--max-clients", "2", "-q"]);
    let (code, json, _) = run(server.address, &options);
    assert_eq!((code, count(&json, "served")), (1, 2), "{json}");
    assert_eq!(count(&json, "answered") + count(&json, "rejected"), 100, "{json}");
    assert!(count(&json, "busy") >= 2, "{json}");

    // The banner is taken for the reply. The reply is a line without a request, unless the
    // connection has been closed before it comes.
    let server = Server::start(&["--banner", "Hi", "-q"]);
    let (code, json, stderr) = run(server.address, &["-c", "2", "-n", "10", "--reconnect"]);
    assert_eq!((code, count(&json, "wrong"), count(&json, "served")), (1, 10, 10), "{json}");
    assert!(stderr.starts_with("socklab: faulty replies: 10 of 10"), "{stderr}");

    // Many lines for each request, and then the end of the connection.
    let http = serve(|_, mut stream| {
        let mut line = Vec::new();
        BufReader::new(&stream).read_until(b'\n', &mut line).ok();
        stream.write_all(b"HTTP/1.0 400 Bad\r\nServer: x\r\n\r\n<html>\n</html>\n").ok();
    });
    let (code, json, stderr) = run(http, &["-c", "2", "-n", "10", "--timeout", "300ms"]);
    assert_eq!((code, count(&json, "wrong") + count(&json, "missing")), (1, 10), "{json}");
    assert!(stderr.contains("socklab: faulty replies: 10 of 10"), "{stderr}");

    // The server closes after each reply.
    let once = Server::start(&["--once", "-q"]);
    let (code, json, _) = run(once.address, &["-c", "3", "-n", "20", "--timeout", "300ms"]);
    assert_eq!((code, count(&json, "served")), (1, 0), "{json}");
}

#[test]
fn a_connection_without_a_request_is_unused() {
    let server = Server::start(&["-q"]);
    let (code, json, _) = run(server.address, &["-c", "7", "-n", "1"]);
    assert_eq!((code, count(&json, "opened")), (0, 7), "{json}");
    assert_eq!((count(&json, "served"), count(&json, "unused")), (1, 6), "{json}");
}

/// One connection is silent until the other has echoed all requests but the one on it.
#[test]
fn threads_take_their_requests_from_a_common_budget() {
    let all_echoed = Arc::new(Barrier::new(2));
    let half_silent = serve(move |number, stream| match number {
        0 => {}
        1 => {
            all_echoed.wait();
        }
        _ => {
            echo(&stream, 999);
            all_echoed.wait();
        }
    });
    let options = ["--service", "echo", "-c", "2", "--threads", "2", "-n", "1000"];
    let (_, json, _) = run(half_silent, &[&options[..], &["--timeout", "60s"]].concat());
    assert_eq!((count(&json, "answered"), count(&json, "missing")), (999, 1), "{json}");
}

/// A load of a number of requests would otherwise last as long as all its time limits together, or
/// without end where no request can be sent.
#[test]
fn a_load_ends_early_when_nothing_is_answered() {
    let options = ["-c", "2", "-n", "1000000", "--timeout", "100ms"];
    let gave_up = "nothing was answered for 600 ms: the load ends early";
    let silent = serve(|_, stream| ignore(&stream));
    let (code, json, stderr) = run(silent, &options);
    assert_eq!(code, 4, "{json}");
    assert!(stderr.contains(gave_up), "{stderr}");
    assert!(count(&json, "asked") < 1000, "{json}");

    // The connections are closed before a request can be sent, or soon after.
    let closing = serve(|_, _| {});
    let (code, json, stderr) = run(closing, &options);
    assert_eq!((code, count(&json, "answered")), (4, 0), "{json}");
    assert!(stderr.contains(gave_up), "{stderr}");
    let closed = "socklab: the server closed every connection without a reply\n";
    assert!(stderr.ends_with(closed), "{stderr}");

    let full = Server::start(&["--max-clients", "1", "-q"]);
    let mut only = full.connect();
    only.ask(b"1\n", b"1\n");
    let (code, json, stderr) = run(full.address, &options);
    assert_eq!(code, 3, "{json}");
    assert!(stderr.contains(gave_up), "{stderr}");
}

/// The times at which the intervals of a load end.
fn interval_ends(json: &Value) -> Vec<f64> {
    let rows = json["intervals"].as_array().unwrap();
    rows.iter().map(|row| row["time_s"].as_f64().unwrap()).collect()
}

#[test]
fn a_load_of_a_given_time_has_all_its_intervals() {
    let server = Server::start(&["--service", "echo", "-q"]);
    let options = ["--service", "echo", "-d", "2s", "-c", "2", "--rate", "2"];
    let (code, json, _) = run(server.address, &options);
    assert_eq!(code, 0);
    let tenths: Vec<f64> = (1..=20).map(|n| f64::from(n) / 10.0).collect();
    assert_eq!(interval_ends(&json), tenths);

    // The connections in the queue wait for their replies long after the end.
    let queueing = ["--service", "echo", "--max-clients", "1", "--when-full", "queue", "-q"];
    let server = Server::start(&queueing);
    let options = ["--service", "echo", "-d", "250ms", "-c", "2", "--timeout", "700ms"];
    let (code, json, _) = run(server.address, &options);
    assert_eq!((code, interval_ends(&json)), (1, vec![0.1, 0.2, 0.25]));
}

#[test]
fn no_interval_is_later_than_the_last_reply() {
    let mute_in_the_end = serve(|_, mut stream| {
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line).ok();
        stream.write_all(&line).ok();
        ignore(&stream);
    });
    let options = ["--service", "echo", "-c", "1", "-n", "2", "--timeout", "500ms"];
    let (_, json, _) = run(mute_in_the_end, &options);
    assert_eq!((count(&json, "answered"), count(&json, "missing")), (1, 1));
    assert_eq!(interval_ends(&json).last(), json["elapsed_s"].as_f64().as_ref());
}

#[test]
fn a_file_that_cannot_be_written_does_not_lose_the_report() {
    let server = Server::start(&["--service", "echo", "-q"]);
    let folder = TempPath::new("full");
    std::fs::create_dir(folder.as_path()).unwrap();
    let (csv, svg) = (format!("{}/csv", folder.as_str()), format!("{}/svg", folder.as_str()));
    let load = ["--service", "echo", "-n", "100"];
    for options in [
        ["--csv", "/dev/full", "--plot", &svg],
        ["--hdr", "/dev/full", "--csv", &csv],
        ["--plot", "/dev/full", "--csv", &csv],
    ] {
        let (code, json, stderr) = run(server.address, &[&load[..], &options].concat());
        assert_eq!((code, count(&json, "answered")), (1, 100), "{options:?}");
        assert_eq!(stderr, "socklab: cannot write /dev/full: no space left on device\n");
        let other = std::fs::metadata(options[3]).unwrap();
        assert!(other.len() > 0, "{options:?}: the other file is empty");
    }
    // The files are written, also when the report cannot be.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = bench(server.address, &[&load[..], &["--csv", &csv]].concat());
    let ended = command.stdout(full).output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(stderr, "socklab: cannot write to standard output: no space left on device\n");
    assert!(std::fs::read_to_string(&csv).unwrap().lines().count() > 1);
}

#[test]
fn a_load_without_a_reply_has_measured_nothing() {
    let server = Server::start(&["--service", "echo", "-q"]);
    // A load of 1 ms is over before its threads have started, unless the machine is very fast.
    let measured_nothing = "socklab: nothing was measured: the load ended before the first reply\n";
    let options = ["--service", "echo", "--rate", "1", "-c", "1000", "-d", "1ms"];
    for _ in 0..3 {
        let (code, json, stderr) = run(server.address, &options);
        if count(&json, "answered") == 0 {
            assert_eq!((code, stderr.as_str()), (1, measured_nothing));
        } else {
            assert_eq!((code, stderr.as_str()), (0, ""));
        }
    }
}

/// After a load nothing waits for signals, so they have their default action again.
#[test]
fn a_signal_ends_the_writing_of_a_file_that_nobody_reads() {
    let server = Server::start(&["--service", "echo", "-q"]);
    let fifo = TempPath::new("fifo");
    mknodat(CWD, fifo.as_path(), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let mut full = std::fs::OpenOptions::new().read(true).write(true).open(fifo.as_path()).unwrap();
    rustix::io::ioctl_fionbio(&full, true).unwrap();
    while full.write(&[0; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&full, false).unwrap();
    let options = ["--service", "echo", "-n", "10", "--csv", fifo.as_str()];
    let mut child = bench(server.address, &options).spawn().unwrap();
    // The report comes before the files.
    let mut report = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    while !report.ends_with("all replies verified\n") {
        assert!(stdout.read_line(&mut report).unwrap() > 0, "{report}");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn an_expression_that_is_not_one_message_is_refused() {
    let server = Server::start(&["-q"]);
    let file = TempPath::new("expressions");
    let long = "1+".repeat(2048) + "1";
    for (text, message) in [
        (&b"1\r"[..], "the expression \"1\\r\" ends in a carriage return"),
        (b"1\0+1", "the expression \"1\\x00+1\" has a NUL in it"),
        (long.as_bytes(), "an expression of 4097 bytes is over the server's limit, 4096"),
    ] {
        std::fs::write(file.as_path(), [b"1 + 1\n", text, b"\n"].concat()).unwrap();
        // A line of the file that ends in CR LF has no carriage return in its text.
        if !text.ends_with(b"\r") {
            let (code, json, stderr) =
                run(server.address, &["-n", "9", "--expression-file", file.as_str()]);
            assert_eq!((code, json), (2, Value::Null), "{stderr}");
            assert!(stderr.contains(message), "{stderr}");
        }
        if !text.contains(&0) {
            let text = std::str::from_utf8(text).unwrap();
            let (code, json, stderr) = run(server.address, &["-n", "9", "-e", text]);
            assert_eq!((code, json), (2, Value::Null), "{stderr}");
            assert!(stderr.contains(message), "{stderr}");
        }
    }
    let (code, _, stderr) = run(server.address, &["-n", "9", "-e", "1\n2"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("the expression \"1\\n2\" is more than one line"), "{stderr}");

    // Expressions with a carriage return within, blank ones and the longest are sent.
    for text in ["1\r+ 2", "", "\t", &long[1..]] {
        let (code, json, stderr) = run(server.address, &["-n", "99", "-e", text]);
        assert_eq!((code, stderr.as_str()), (0, ""), "{text:?}: {json}");
    }
    let server = Server::start(&["--max-message", "5000", "-q"]);
    let options = ["-n", "99", "-e", &long, "--max-message", "5000"];
    assert_eq!(run(server.address, &options).0, 0);
}

#[test]
fn the_log_of_a_load_shows_what_is_sent_and_what_is_received() {
    let server = Server::start(&["-q"]);
    let (code, _, stderr) = run(server.address, &["-c", "1", "-n", "2", "-e", "1 + 2", "-v"]);
    assert_eq!(code, 0);
    let lines = stderr.lines().filter_map(|line| line.split_once("DEBUG] "));
    let sent = "connection 0: -> \"1 + 2\\n\"";
    let received = "connection 0: <- \"3\\n\"";
    assert_eq!(lines.map(|line| line.1).collect::<Vec<_>>(), [sent, received, sent, received]);
}
