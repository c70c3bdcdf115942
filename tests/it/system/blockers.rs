//! Whatever the log, stdout or whoever started the server does, it serves and it stops.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};

use socklab::session::GAP;

use crate::common::file::TempPath;
use crate::common::server::{Client, MODELS, PROGRAM, Server, socklab};

#[test]
fn a_log_that_nobody_reads_stops_no_model() {
    for model in MODELS {
        // Its stderr is a pipe.
        let server = Server::start(&["--model", model, "-v", "--explain"]);
        let mut client = server.connect();
        // Each message is a line of the log, and all of them together are more than a pipe holds.
        for _ in 0..2_000 {
            client.ask(format!("1{}\n", " ".repeat(100)).as_bytes(), b"1\n");
        }
        server.signal(Signal::TERM);
        assert!(server.wait().success(), "{model}");
    }
}

#[test]
fn a_ready_line_that_nobody_reads_keeps_no_client_waiting() {
    let (_unread, mut stdout) = io::pipe().unwrap();
    let flags = fcntl_getfl(&stdout).unwrap();
    fcntl_setfl(&stdout, flags | OFlags::NONBLOCK).unwrap();
    while stdout.write(&[b'x'; 4096]).is_ok() {}
    fcntl_setfl(&stdout, flags).unwrap();
    let mut command = socklab(&["serve", "127.0.0.1", "0"]);
    let mut server = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    let (_, address) = line.split_once("with model loop on ").expect(&line);
    let (address, _) = address.split_once(": ").expect(&line);
    Client::to(address.parse().unwrap()).ask(b"1 + 2\n", b"3\n");
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success());
}

#[test]
fn signals_that_were_blocked_by_whoever_started_the_server_are_received() {
    let blocking = "import os, signal, sys; \
        signal.pthread_sigmask(signal.SIG_BLOCK, [15, 2, 17, 10]); \
        os.execv(sys.argv[1], sys.argv[1:])";
    for model in ["loop", "process"] {
        let mut command = Command::new("python3");
        command.args(["-c", blocking, PROGRAM]);
        let mut server = Server::start_command(command, &["--model", model]);
        server.connect().ask(b"1\n", b"1\n");
        server.signal(Signal::USR1);
        server.log_line("accepted=");
        server.stop();
    }
}

#[test]
fn a_signal_for_the_counters_ends_no_child_and_no_client() {
    let server = Server::start(&["--model", "process"]);
    let mut client = server.connect();
    client.ask(b"1\n", b"1\n");
    for child in server.children() {
        kill_process(child, Signal::USR1).unwrap();
    }
    client.ask(b"2\n", b"2\n");
    let mut asking = Command::new(PROGRAM)
        .args(["client", "127.0.0.1", &server.address.port().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut questions = asking.stdin.take().unwrap();
    let mut answers = BufReader::new(asking.stdout.take().unwrap());
    let mut line = String::new();
    questions.write_all(b"3\n").unwrap();
    answers.read_line(&mut line).unwrap();
    kill_process(Pid::from_child(&asking), Signal::USR1).unwrap();
    questions.write_all(b"4\n").unwrap();
    answers.read_line(&mut line).unwrap();
    assert_eq!(line, "3\n4\n");
    drop(questions);
    assert!(asking.wait().unwrap().success());
    server.stop();
}

#[test]
fn a_program_that_was_replaced_while_it_runs_starts_itself() {
    let copy = TempPath::new("program");
    let copied = Command::new("cp").arg(PROGRAM).arg(copy.as_path()).status().unwrap();
    assert!(copied.success());
    let server = Server::start_program(copy.as_path(), &["--model", "process"]);
    server.connect().ask(b"1\n", b"1\n");
    fs::remove_file(copy.as_path()).unwrap();
    server.connect().ask(b"2\n", b"2\n");
    let stranger = File::create(copy.as_path()).unwrap();
    drop(stranger);
    server.connect().ask(b"3\n", b"3\n");
    server.stop();
}

#[test]
fn a_file_over_its_limit_is_an_error_and_not_the_end() {
    let results = TempPath::new("results");
    let output = Command::new("bash")
        .args(["-c", "ulimit -f 0; exec \"$@\"", "bash", PROGRAM])
        .args(["serve", "127.0.0.1", "0", "--service", "quiz", "--results", results.as_str()])
        .output()
        .unwrap();
    // SIGXFSZ would have ended the program without a word.
    let failure = String::from_utf8(output.stderr).unwrap();
    assert!(failure.contains("cannot write results to"), "{failure}");
    assert!(failure.contains("file too large"), "{failure}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_file_of_results_that_another_process_holds_stops_nobody() {
    for model in MODELS {
        let table = TempPath::new("locked.csv");
        let options = ["--model", model, "--service", "quiz", "--questions", "1", "--once"];
        let server = Server::start(&[&options[..], &["--results", table.as_str()]].concat());
        let held = File::open(table.as_path()).unwrap();
        rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let mut player = server.connect();
        player.send(b"yesBob\nno idea\n");
        let text = String::from_utf8(player.rest()).unwrap();
        assert!(text.ends_with("\n-0.25\nBetter luck next time!\n"), "{model}: {text}");
        server.stop();
        assert_eq!(table.read().lines().count(), 2, "{model}");
    }
}

#[test]
fn a_zombie_that_was_there_before_is_reaped() {
    let script = "import os, sys\nif os.fork() == 0: os._exit(0)\n\
        os.execv(sys.argv[1], sys.argv[1:])";
    let mut command = Command::new("python3");
    command.args(["-c", script, PROGRAM]);
    let server = Server::start_command(command, &["--model", "process"]);
    server.connect().ask(b"1\n", b"1\n");
    // It may still be about to exit, and the server hears of that later.
    let is_inherited = |child: &Pid| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.contains("(python3)")
    };
    while server.children().iter().any(is_inherited) {
        thread::yield_now();
    }
    server.stop();
}

#[test]
fn a_second_signal_ends_a_stop_while_clients_keep_connecting() {
    for model in MODELS {
        let options = ["--model", model, "--when-full", "reply", "--drain-timeout", "5s"];
        let mut server = Server::start(&options);
        let address = server.address;
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopped);
        let flood = thread::Builder::new()
            .spawn(move || {
                while !flag.load(Ordering::Acquire) {
                    let timeout = Duration::from_millis(100);
                    drop(TcpStream::connect_timeout(&address, timeout));
                }
            })
            .unwrap();
        server.log_line("connected");
        server.signal(Signal::TERM);
        server.log_line("stopping");
        server.signal(Signal::TERM);
        let status = server.wait();
        stopped.store(true, Ordering::Release);
        flood.join().unwrap();
        assert_eq!(status.code(), Some(0), "{model}");
    }
}

/// Stops a server, with its children, while `meanwhile` runs.
fn halted(server: &Server, meanwhile: impl FnOnce()) {
    let processes: Vec<Pid> = server.children().into_iter().chain([server.process()]).collect();
    for &process in &processes {
        kill_process(process, Signal::STOP).unwrap();
        // The signal is on its way until the state says so.
        let state = || fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        while !state().contains(") T ") {
            thread::yield_now();
        }
    }
    meanwhile();
    for &process in &processes {
        kill_process(process, Signal::CONT).unwrap();
    }
}

/// Lets time pass: waits for a reply that does not come.
fn pass(client: &mut Client, time: Duration) {
    client.stream.set_read_timeout(Some(time)).unwrap();
    let mut byte = [0];
    client.stream.read_exact(&mut byte).unwrap_err();
    client.stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
}

#[test]
fn a_halt_of_the_server_ends_no_connection_that_has_asked() {
    for model in MODELS {
        let server = Server::start(&["--model", model, "--idle-timeout", "200ms"]);
        let mut client = server.connect();
        client.ask(b"1\n", b"1\n");
        halted(&server, || {
            client.send(b"1 + 2\n");
            pass(&mut client, Duration::from_millis(400));
        });
        client.expect(b"3\n");
    }
}

#[test]
fn the_time_of_a_halt_is_no_silence_of_a_client() {
    for model in MODELS {
        let server = Server::start(&["--model", model, "--idle-timeout", "1s"]);
        let mut client = server.connect();
        client.ask(b"1\n", b"1\n");
        halted(&server, || pass(&mut client, Duration::from_millis(1200)));
        // The server has time to notice how late it is.
        pass(&mut client, Duration::from_millis(50));
        client.ask(b"1 + 2\n", b"3\n");
    }
}

#[test]
fn a_halt_of_the_server_splits_no_message() {
    for model in MODELS {
        while !asks_around_halts(model) {}
    }
}

/// Sends the halves of a message before a halt and in it. Returns false if a halt came so late that
/// the first half may have been a message.
#[expect(clippy::disallowed_methods, reason = "the machine's pauses")]
fn asks_around_halts(model: &str) -> bool {
    let server = Server::start(&["--model", model]);
    let mut client = server.connect();
    client.ask(b"1", b"1");
    (0..5).all(|_| {
        let sent_at = Instant::now();
        client.send(b"1+");
        let mut is_in_time = false;
        halted(&server, || {
            is_in_time = sent_at.elapsed() < GAP;
            if is_in_time {
                client.send(b"2");
                pass(&mut client, Duration::from_millis(60));
            }
        });
        if is_in_time {
            client.expect(b"3");
        }
        is_in_time
    })
}

#[test]
fn a_message_sent_in_two_calls_is_one_message_although_nagle_holds_the_second_back() {
    for model in MODELS {
        let server = Server::start(&["--model", model]);
        let mut client = server.connect();
        client.stream.set_nodelay(false).unwrap();
        for _ in 0..20 {
            client.send(b"0+");
            client.send(b"1");
            client.expect(b"1");
        }
    }
}
