//! The load generator: latencies as theory has them when the server stalls, and every reply that
//! differs from the expected one.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output as Ended, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use socklab::buffer::Buffer;
use socklab::load::conn_stats::ConnStats;
use socklab::load::load_client::LoadClient;
use socklab::load::recorder::{Counts, Recorder};
use socklab::load::schedule::Schedule;
use socklab::load::settings::ClientSettings;
use socklab::load::workload::Workload;
use socklab::service::{Delimiter, Event, Next, Output, Service};

use crate::common::file::TempPath;
use crate::common::server::{Server, socklab};

const TIMEOUT: Duration = Duration::from_secs(5);

/// A load on a simulated server in virtual time, which passes only when there is nothing to do.
struct Simulation<S> {
    now: Instant,
    clients: Vec<LoadClient>,
    /// The wait of each client.
    next: Vec<Next>,
    recorder: Arc<Mutex<Recorder>>,
    /// Replies on their way: the time of arrival, the client, and the bytes.
    replies: VecDeque<(Instant, usize, Vec<u8>)>,
    /// Returns the replies to a request with their times of arrival, which must not decrease.
    server: S,
}

impl<S: FnMut(usize, &[u8], Instant) -> Vec<(Instant, Vec<u8>)>> Simulation<S> {
    fn new(
        start: Instant,
        settings: ClientSettings,
        connections: usize,
        length: Length,
        server: S,
    ) -> Self {
        let (requests, end) = match length {
            Length::Time(time) => (None, Some(start + time)),
            Length::Requests(n) => (Some(n), None),
        };
        let recorder = Arc::new(Mutex::new(Recorder::new(requests, end)));
        let settings = Arc::new(settings);
        let client = |index| {
            let stats = Arc::new(ConnStats::new(index, 0));
            LoadClient::new(Arc::clone(&settings), Arc::clone(&recorder), stats)
        };
        Self {
            now: start,
            clients: (0..connections).map(client).collect(),
            next: vec![Next::Read; connections],
            recorder,
            replies: VecDeque::new(),
            server,
        }
    }

    /// Runs until no client waits.
    fn run(mut self) -> Arc<Mutex<Recorder>> {
        for n in 0..self.clients.len() {
            self.step(n, Event::Open);
        }
        loop {
            let waits = self.next.iter().enumerate().filter_map(|(n, next)| match next {
                Next::ReadUntil(at) => Some((*at, n)),
                _ => None,
            });
            let wait = waits.min();
            match (self.replies.front().map(|reply| reply.0), wait) {
                (None, None) => return self.recorder,
                (Some(at), wait) if wait.is_none_or(|(wait, _)| at <= wait) => {
                    let (at, n, bytes) = self.replies.pop_front().unwrap();
                    self.now = self.now.max(at);
                    if self.next[n] != Next::Close {
                        self.step(n, Event::Message(&bytes));
                    }
                }
                (_, Some((at, n))) => {
                    self.now = self.now.max(at);
                    self.step(n, Event::Timeout);
                }
                (Some(_), None) => unreachable!("a reply is taken above"),
            }
        }
    }

    fn step(&mut self, n: usize, event: Event<'_>) {
        let mut buffer = Buffer::default();
        let mut out = Output::new(&mut buffer, Delimiter::None);
        self.next[n] = self.clients[n].step(event, self.now, &mut out);
        if !buffer.is_empty() {
            let replies = (self.server)(n, buffer.pending(), self.now);
            self.replies.extend(replies.into_iter().map(|(at, bytes)| (at, n, bytes)));
        }
    }
}

#[derive(Clone, Copy)]
enum Length {
    Time(Duration),
    Requests(u64),
}

fn settings(workload: Workload, pipeline: usize, schedule: Option<Schedule>) -> ClientSettings {
    ClientSettings { workload, pipeline, schedule, reconnect: false, timeout: TIMEOUT }
}

#[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
fn any_time() -> Instant {
    Instant::now()
}

/// Ten seconds with 1000 requests per second, and no reply during one of them. A tenth of the
/// requests wait, and their waits are spread evenly from zero to one second.
#[test]
fn a_stall_of_a_second_has_the_latencies_of_theory() {
    let start = any_time();
    let second = Duration::from_secs(1);
    let (stall, over) = (start + 4 * second, start + 5 * second);
    let swift = Duration::from_micros(10);
    let mut last = start;
    let server = move |_: usize, request: &[u8], now: Instant| {
        last = last.max(if now >= stall && now < over { over } else { now } + swift);
        vec![(last, request.to_vec())]
    };
    let schedule = Schedule::new(start, 1000, 10);
    let settings = settings(Workload::echo(16, 1), 1, Some(schedule));
    let recorder = Simulation::new(start, settings, 10, Length::Time(10 * second), server).run();
    let recorder = recorder.lock().unwrap();
    let counts = *recorder.counts();
    assert_eq!((counts.asked, counts.answered, counts.faults()), (10_000, 10_000, 0));

    let [due, sending] = [&recorder.latencies().from_due, &recorder.latencies().from_sending];
    let millis = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64() * 1000.0;
    for (quantile, theory) in [(0.95, 500.0), (0.98, 800.0), (0.99, 900.0), (0.999, 990.0)] {
        let measured = millis(due.value_at_quantile(quantile));
        assert!(
            (measured - theory).abs() < 0.02 * theory,
            "{quantile}: {measured} ms, not {theory} ms"
        );
    }
    assert!((millis(due.max()) - 1000.0).abs() < 20.0);
    assert!((due.mean() / 1e6 - 50.0).abs() < 1.0, "a tenth of them waits half a second");
    assert!(millis(due.value_at_quantile(0.89)) < 1.0, "the others do not wait");

    // One request of each connection was on its way when the server stalled. Counted from sending,
    // ten replies in ten thousand are slow.
    assert!(millis(sending.value_at_quantile(0.998)) < 1.0);
    assert!(millis(sending.max()) > 980.0);
    // All that were due in the stall but those ten, and some more until the load had caught up.
    assert!((980..1010).contains(&counts.late), "{} late", counts.late);
}

#[test]
fn requests_that_were_never_sent_are_not_in_the_latencies() {
    let start = any_time();
    let end = start + Duration::from_secs(2);
    // After one second, the server does not reply.
    let server = move |_: usize, request: &[u8], now: Instant| {
        let silent = now >= start + Duration::from_secs(1);
        if silent { Vec::new() } else { vec![(now, request.to_vec())] }
    };
    let schedule = Schedule::new(start, 100, 1);
    let settings = settings(Workload::echo(16, 1), 1, Some(schedule));
    let length = Length::Time(end - start);
    let recorder = Simulation::new(start, settings, 1, length, server).run();
    let recorder = recorder.lock().unwrap();
    // The request on its way in the stall got no reply, and delayed the 99 behind it.
    assert_eq!((recorder.counts().asked, recorder.counts().missing), (101, 1));
    assert_eq!(recorder.latencies().from_due.len(), 100);
}

/// Runs a load of `count` expressions, four in flight, on a server whose replies are changed by
/// `spoil`, which is given the number of the first. Returns the counts and the examples of faults.
fn counted(count: u64, spoil: impl Fn(usize, &mut Vec<Vec<u8>>)) -> (Counts, Vec<String>) {
    let start = any_time();
    let sums: Vec<String> = (0..50).map(|n| format!("{n}")).collect();
    let mut count_so_far = 0;
    let server = |_: usize, requests: &[u8], now: Instant| {
        let lines = requests.split_inclusive(|&byte| byte == b'\n');
        let mut replies: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
        let first = count_so_far;
        count_so_far += replies.len();
        spoil(first, &mut replies);
        vec![(now + Duration::from_millis(1), replies.concat())]
    };
    let settings = settings(Workload::calc(&sums, socklab::arithmetic::Dialect::Python), 4, None);
    let recorder = Simulation::new(start, settings, 1, Length::Requests(count), server).run();
    let recorder = recorder.lock().unwrap();
    (*recorder.counts(), recorder.examples().to_vec())
}

/// The counts that a fault may change: right, wrong, duplicated, merged, reordered, missing.
fn reply_counts(counts: &Counts) -> [u64; 6] {
    let Counts { answered, wrong, duplicated, merged, reordered, missing, .. } = *counts;
    [answered, wrong, duplicated, merged, reordered, missing]
}

/// Calls `spoil` for the batch of four replies that begins with number 20.
fn at_20(first: usize, spoil: impl FnOnce()) {
    if first == 20 {
        spoil();
    }
}

#[test]
fn a_correct_server_has_no_faults() {
    let (counts, examples) = counted(40, |_, _| {});
    assert_eq!(reply_counts(&counts), [40, 0, 0, 0, 0, 0]);
    assert!(counts.is_clean() && examples.is_empty());
}

#[test]
fn a_wrong_reply_is_found_and_shown() {
    let (counts, examples) =
        counted(40, |first, replies| at_20(first, || replies[1] = b"\x1b[2J\n".to_vec()));
    assert_eq!(reply_counts(&counts), [39, 1, 0, 0, 0, 0]);
    assert_eq!(examples, [r#"connection 0, reply 21: expected "21\n", got "\x1b[2J\n""#]);
}

#[test]
fn a_duplicated_reply_is_found() {
    let spoil = |first, replies: &mut Vec<Vec<u8>>| {
        at_20(first, || replies.insert(2, replies[1].clone()));
    };
    assert_eq!(reply_counts(&counted(40, spoil).0), [40, 0, 1, 0, 0, 0]);
}

#[test]
fn swapped_replies_are_found() {
    let spoil = |first, replies: &mut Vec<Vec<u8>>| at_20(first, || replies.swap(1, 2));
    assert_eq!(reply_counts(&counted(40, spoil).0), [39, 0, 0, 0, 1, 0]);
}

#[test]
fn replies_merged_into_one_line_are_found() {
    let spoil = |first, replies: &mut Vec<Vec<u8>>| {
        at_20(first, || {
            let end = replies[1].len() - 1;
            replies[1].truncate(end);
        });
    };
    assert_eq!(reply_counts(&counted(40, spoil).0), [38, 0, 0, 1, 0, 0]);
}

#[test]
fn a_missing_reply_is_found_by_the_next_one() {
    let spoil = |first, replies: &mut Vec<Vec<u8>>| at_20(first, || drop(replies.remove(1)));
    assert_eq!(reply_counts(&counted(40, spoil).0), [39, 0, 0, 0, 0, 1]);
}

#[test]
fn a_missing_last_reply_is_found_by_the_timeout() {
    let spoil = |first, replies: &mut Vec<Vec<u8>>| at_20(first, || drop(replies.pop()));
    let (counts, examples) = counted(24, spoil);
    assert_eq!(reply_counts(&counts), [23, 0, 0, 0, 0, 1]);
    assert_eq!(examples, ["connection 0: no reply to request 23 in time"]);
}

// From here on, the program itself on real sockets.

fn bench(address: SocketAddr, options: &[&str]) -> Command {
    let mut command = socklab(&["bench", &address.ip().to_string(), &address.port().to_string()]);
    command.args(options).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The exit code, the JSON and stderr.
fn outcome(ended: &Ended) -> (i32, Value, String) {
    let json = serde_json::from_slice(&ended.stdout).unwrap_or(Value::Null);
    (ended.status.code().unwrap(), json, String::from_utf8(ended.stderr.clone()).unwrap())
}

fn run(address: SocketAddr, options: &[&str]) -> (i32, Value, String) {
    outcome(&bench(address, options).arg("--json").output().unwrap())
}

/// A server of one thread, which replies to each line by `answer`, until its clients have closed.
fn serve_lines(
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
fn serve_once(lines: usize, more: &'static [u8]) -> SocketAddr {
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
            assert_eq!((code, stderr.as_str()), (0, ""), "{options:?}: {json}");
            let counts = &json["counts"];
            assert_eq!((&counts["asked"], &counts["answered"]), (&2000.into(), &2000.into()));
            assert_eq!(json["version"], 1);
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
    assert_eq!((code, stderr.as_str()), (1, "socklab: faulty replies: 1 of 3\n"));
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
    assert!(json["counts"]["asked"].as_u64().unwrap() < 100);
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
    assert_eq!(code, 0);
    let latency = |from: &str, key: &str| json["latency_us"][from][key].as_f64().unwrap();
    // The stall is half of the load: a tenth of the requests waits 0.8 s or more.
    assert!(latency("from_due", "p90") > 780_000.0, "{json}");
    assert!(latency("from_due", "max") > 990_000.0);
    assert!(latency("from_sending", "p90") < latency("from_due", "p90"));
    assert!(json["counts"]["late"].as_u64().unwrap() > 390);
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
    assert!(json["counts"]["answered"].as_u64().unwrap() >= 100);
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
    assert_eq!(stderr, "socklab: the server is full, and served none of the connections\n");

    // The kernel connects although the server does not accept: the connections are not served.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = ["-c", "3", "-n", "3", "--timeout", "100ms"];
    let (code, json, stderr) = run(silent.local_addr().unwrap(), &options);
    assert_eq!((code, stderr.as_str()), (4, "socklab: the server answered no request in time\n"));
    assert_eq!((&json["counts"]["unserved"], &json["counts"]["missing"]), (&3.into(), &3.into()));

    for options in
        [&["--size", "5"][..], &["--service", "echo", "-e", "1"], &["-d", "1s", "-n", "1"]]
    {
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
    let answered = json["counts"]["answered"].as_u64().unwrap();

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
}
