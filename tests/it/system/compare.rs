//! The command `compare`: every contender stays in the report, whatever it does. No test says which
//! one is faster.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::file::TempPath;
use crate::common::server::{Server, socklab};

/// The longest wait for a comparison.
const PATIENCE: Duration = Duration::from_secs(60);

/// Options of a short comparison.
const SHORT: [&str; 6] =
    ["--slice=20ms", "--connections=2", "--timeout=2s", "--service", "echo", "--json"];

/// A server in Python: what it does with each message follows.
const PYTHON: &str = "import socket, sys
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    while message := client.recv(4096):
        ";

/// The contender with this name, in Python, that does this with each message.
fn python(name: &str, action: &str) -> String {
    format!("{name}=exec python3 -c \"{PYTHON}{action}\" {{port}}")
}

/// `socklab compare` with short slices. Returns its exit code, stdout and stderr.
fn compare(args: &[&str]) -> (i32, String, String) {
    let mut command = socklab(&["compare"]);
    let output = command.args(args).stdin(Stdio::null()).output().unwrap();
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code().unwrap(), stdout, stderr)
}

/// The same with [`SHORT`], and its report.
#[track_caller]
fn report(args: &[&str]) -> (i32, Value) {
    let (code, stdout, stderr) = compare(&[args, &SHORT].concat());
    (code, serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}")))
}

/// The row of a contender at a point.
#[track_caller]
fn row<'a>(report: &'a Value, point: usize, name: &str) -> &'a Value {
    let rows = report["points"][point]["rows"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"))
}

#[test]
fn a_contender_that_fails_stays_in_the_report_with_its_first_fault() {
    let wrong = python("wrong", "client.sendall(message[:-2] + b'?' + message[-1:])");
    let mortal = python("mortal", "sys.exit('enough')");
    let contenders =
        ["loop", &wrong, &mortal, "silent=exec sleep 600", "absent=exec ./no-such-program {port}"];
    let (code, report) = report(&[&contenders[..], &["--rounds=8", "--patience=1s"]].concat());
    assert_eq!(code, 1, "{report}");
    for (name, words) in [
        ("wrong", "faulty replies"),
        ("mortal", "the server ended by itself: exit status 1 | enough"),
        ("silent", "did not listen on port"),
        ("absent", "the server ended before it listened"),
    ] {
        let row = row(&report, 0, name);
        let fault = row["fault"].as_str().unwrap_or_else(|| panic!("{name}: {row}"));
        assert!(fault.contains(words), "{name}: {fault}");
        assert!(row["ratio"].is_null() && row["verdict"].is_null(), "{row}");
    }
    for name in ["loop", "loop again"] {
        let row = row(&report, 0, name);
        assert!(row["fault"].is_null() && row["checked"].as_u64().unwrap() > 0, "{row}");
        assert!(row["replies_per_second"].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!(row["processes"], 1.0, "{row}");
    }
    assert_eq!(report["rounds"], 8);
    assert!(row(&report, 0, "loop again")["ratio"]["median"].as_f64().unwrap() > 0.0);
}

/// True if this program is installed.
fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

#[test]
fn servers_of_every_kind_are_compared() {
    let peers = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/peers");
    let select = format!("select=exec python3 '{peers}/select_loop.py' 127.0.0.1 {{port}} echo");
    let mut contenders = vec![select, "process".to_owned()];
    let binary = TempPath::new("compare-epoll");
    if is_installed("cc") {
        let source = format!("{peers}/epoll.c");
        let built = Command::new("cc").args(["-o", binary.as_str(), &source]).status().unwrap();
        assert!(built.success());
        contenders.push(format!("C=exec '{}' echo {{port}}", binary.as_str()));
    }
    if is_installed("socat") {
        let address = "TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,nodelay";
        contenders.push(format!("socat=exec socat {address} PIPE"));
    }
    let mut args: Vec<_> = contenders.iter().map(String::as_str).collect();
    args.push("--rounds=8");
    let (code, report) = report(&args);
    assert_eq!(code, 0, "{report}");
    let row = row(&report, 0, "process");
    assert!(row["processes"].as_f64().unwrap() >= 3.0, "{row}");
    assert!(row["cpu_us_per_reply"].as_f64().unwrap() > 0.0, "{row}");
}

#[test]
fn too_few_rounds_are_refused_with_the_number_that_is_needed() {
    for (args, fewest) in [
        (&["--rounds=5", "loop"][..], 6),
        (&["--rounds=6", "loop", "thread"], 7),
        (&["--rounds=7", "loop", "thread", "--sweep=connections=1,2,3"], 8),
    ] {
        let (code, stdout, stderr) = compare(args);
        assert_eq!((code, &stdout[..]), (2, ""), "{stderr}");
        assert!(stderr.contains(&format!("at least {fewest} rounds")), "{stderr}");
    }
    let (code, _, stderr) = compare(&["loop", "loop"]);
    assert!(code == 2 && stderr.contains("two contenders have the name loop"), "{stderr}");
}

#[test]
fn a_sweep_compares_at_each_number_of_connections_and_draws_it() {
    let [csv, plot] = ["compare.csv", "compare.svg"].map(TempPath::new);
    let files = [&format!("--csv={}", csv.as_str())[..], &format!("--plot={}", plot.as_str())];
    let args = ["loop", "single", "--sweep=connections=1,3", "--rounds=8", "--slice=20ms"];
    let (code, stdout, stderr) = compare(&[&args[..], &files].concat());
    assert_eq!((code, &stderr[..]), (0, ""), "{stdout}");
    assert!(stdout.contains("\n3 connections:\n"), "{stdout}");
    assert!(stdout.contains("serves one client at a time, not 3"), "{stdout}");
    assert!(stdout.contains("all right"), "{stdout}");
    // All three at one connection; the baseline and its control at three.
    let rows: Vec<_> = csv.read().lines().map(str::to_owned).collect();
    assert_eq!(rows.len(), 1 + 8 * (3 + 2), "{rows:?}");
    assert!(rows[0].starts_with("round,connections,idle,name,replies_per_second,"), "{}", rows[0]);
    let plot = plot.read();
    assert!(plot.starts_with("<svg") && plot.ends_with("</svg>\n"), "{plot}");
    assert!(plot.contains(">single</text>") && plot.contains("prefers-color-scheme: dark"));
}

#[test]
fn a_file_that_cannot_be_written_does_not_keep_back_the_others() {
    let plot = TempPath::new("compare-beside-full.svg");
    let options = ["loop", "--rounds=6", "--csv=/dev/full", "--plot", plot.as_str()];
    let (code, stdout, stderr) = compare(&[&options[..], &SHORT].concat());
    assert_eq!(code, 1, "{stderr}");
    assert!(serde_json::from_str::<Value>(&stdout).is_ok(), "{stdout}");
    assert!(stderr.contains("cannot write /dev/full: "), "{stderr}");
    assert!(plot.read().ends_with("</svg>\n"));
}

#[test]
fn a_server_that_runs_already_is_not_restarted() {
    let server = Server::start(&["--service", "echo"]);
    let contender = format!("there=@{}", server.address);
    let (code, report) = report(&["loop", &contender, "--rounds=7", "--idle=5"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["running"], serde_json::json!(["there"]));
    let row = row(&report, 0, "there");
    assert!(row["threads"].is_null() && row["ratio"]["median"].as_f64().unwrap() > 0.0, "{row}");
    assert_eq!(report["points"][0]["idle"], 5);
}

/// Waits until the file has so many lines.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the limit of a wait")]
fn wait_for_lines(path: &TempPath, lines: usize, child: &mut Child) {
    let start = Instant::now();
    while fs::read_to_string(path.as_path()).unwrap_or_default().lines().count() < lines {
        assert!(child.try_wait().unwrap().is_none() && start.elapsed() < PATIENCE);
        thread::yield_now();
    }
}

#[test]
fn a_signal_ends_the_comparison_with_whole_rounds() {
    let starts = TempPath::new("compare-starts");
    let program = env!("CARGO_BIN_EXE_socklab");
    let contender = format!(
        "ours=echo >> '{}'; exec '{program}' serve 127.0.0.1 {{port}} -q --service echo",
        starts.as_str()
    );
    let mut command = socklab(&["compare", "--rounds=1000", &contender]);
    command.args(SHORT).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The second measurement of the third round has begun.
    wait_for_lines(&starts, 6, &mut child);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(report["interrupted"], true);
    // Repeated measurements are no rounds.
    assert!(report["rounds"].as_u64().unwrap() < 6, "{report}");
    assert!(row(&report, 0, "ours again")["verdict"].is_null());
}
