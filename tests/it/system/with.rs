//! The command `with`: a server of any kind serves while a command runs, and is gone afterwards.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::file::TempPath;
use crate::common::server::{MODELS, socklab};

/// The longest wait for processes to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The environment variable that a test's processes are known by.
const MARK: &str = "SOCKLAB_TEST_OF_WITH";

/// The environment variable with the text of a server, which [`PYTHON`] runs.
const TEXT: &str = "SOCKLAB_TEST_SERVER";

/// The command line of a server in Python.
const PYTHON: &str = "exec python3 -c \"$SOCKLAB_TEST_SERVER\" {host} {port}";

/// The beginning of a server in Python.
const IMPORTS: &str = "
import os, signal, socket, sys, time

def listen(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(('127.0.0.1', port))
    listener.listen()
    return listener

def serve(listener, text):
    while True:
        client, _ = listener.accept()
        client.sendall(text.encode() + b'\\n')
        client.close()

port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
";

/// The command that prints the greeting of the server, and fails if it cannot connect at once.
const GREETED: [&str; 3] =
    ["bash", "-c", "exec 3<>/dev/tcp/$HOST/$PORT && read -r line <&3 && echo \"$line\""];

/// A `with` that has not been started, and the mark of its processes.
struct With {
    command: Command,
    mark: String,
}

impl With {
    /// `socklab with OPTIONS -- COMMAND`.
    fn new(options: &[&str], command: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{}-{}", id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut with = socklab(&["with"]);
        with.args(options).arg("--").args(command).env(MARK, &mark);
        with.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command: with, mark }
    }

    /// The same with a server in Python, of which this is the end of the text.
    fn python(text: &str, options: &[&str], command: &[&str]) -> Self {
        let mut with = Self::new(&[&[PYTHON], options].concat(), command);
        with.command.env(TEXT, format!("{IMPORTS}{text}"));
        with
    }

    /// Runs it to its end, after which no process is left. Returns its exit code, its stdout and
    /// its stderr.
    #[track_caller]
    fn run(mut self) -> (i32, String, String) {
        let ended = self.command.output().unwrap();
        let left = processes(&self.mark);
        let [stdout, stderr] =
            [ended.stdout, ended.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(left.is_empty(), "{left:?} are left; {stderr}");
        (ended.status.code().unwrap(), stdout, stderr)
    }

    /// Starts it, and waits for the first line of its command.
    fn start(mut self) -> Running {
        let mut child = self.command.stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut String::new()).unwrap();
        Running { child, _stdin: stdin, _stdout: stdout, mark: self.mark }
    }
}

/// A `with` whose command runs.
struct Running {
    child: Child,
    /// The stdin of its command, which reads it to its end.
    _stdin: ChildStdin,
    _stdout: BufReader<ChildStdout>,
    mark: String,
}

impl Running {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

/// The command lines of the processes with this mark.
fn processes(mark: &str) -> Vec<String> {
    let mark = format!("{MARK}={mark}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        // Not a process, or one that has ended.
        let path = entry.unwrap().path();
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        if environment.split(|&byte| byte == 0).any(|it| it == mark.as_bytes()) {
            let line = fs::read(path.join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
    }
    found
}

/// Waits until no process with this mark is left.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the limit of a wait")]
fn expect_none(mark: &str) {
    let start = Instant::now();
    loop {
        let left = processes(mark);
        if left.is_empty() {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{left:?} are left");
        thread::yield_now();
    }
}

#[test]
fn the_exit_status_is_that_of_the_command() {
    for (script, expected) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)] {
        let (code, _, stderr) = With::new(&["--model", "loop"], &["sh", "-c", script]).run();
        assert_eq!((code, &stderr[..]), (expected, ""), "{script}");
    }
}

#[test]
fn both_sides_know_the_host_and_the_port() {
    let text = "
words = sys.argv[1:] + [os.environ['HOST'], os.environ['PORT'], repr(sys.stdin.read())]
serve(listen(port), ' '.join(words))";
    let script = "exec 3<>/dev/tcp/$HOST/$PORT; read -r line <&3; \
        echo \"$line\"; echo \"$@\" $HOST $PORT";
    let command = ["bash", "-c", script, "bash", "{host}", "{port}"];
    let (code, stdout, stderr) = With::python(text, &[], &command).run();
    assert_eq!(code, 0, "{stderr}");
    let (server, client) = stdout.trim_end().split_once('\n').unwrap();
    assert_eq!(server, format!("{client} ''"));
    let words: Vec<_> = client.split(' ').collect();
    assert_eq!((words[0], words[1]), (words[2], words[3]));
    assert_eq!(words[0], "127.0.0.1");
}

#[test]
fn a_server_that_listens_late_is_waited_for() {
    let text = "time.sleep(0.3); serve(listen(port), 'late')";
    let (code, stdout, stderr) = With::python(text, &[], &GREETED).run();
    assert_eq!((code, &stdout[..]), (0, "late\n"), "{stderr}");
}

#[test]
fn a_model_of_ours_is_a_server_like_any() {
    let script = "exec 3<>/dev/tcp/$HOST/$PORT; echo 1 + 2 >&3; read -r line <&3; echo $line";
    for model in MODELS {
        let (code, stdout, stderr) = With::new(&["--model", model], &["bash", "-c", script]).run();
        assert_eq!((code, &stdout[..]), (0, "3\n"), "{model}: {stderr}");
    }
    let options = ["--model", "loop", "--service", "echo"];
    let (_, stdout, _) = With::new(&options, &["bash", "-c", script]).run();
    assert_eq!(stdout, "1 + 2\n");
}

#[test]
fn a_server_with_a_port_of_its_own_is_found() {
    let text = "serve(listen(0), 'mine')";
    let mut with = With::new(&["exec python3 -c \"$SOCKLAB_TEST_SERVER\""], &GREETED);
    with.command.env(TEXT, format!("{IMPORTS}{text}"));
    let (code, stdout, stderr) = with.run();
    assert_eq!((code, &stdout[..]), (0, "mine\n"), "{stderr}");
}

#[test]
fn a_server_that_listens_on_another_port_than_it_was_told_is_found() {
    let text = "serve(listen(0), 'elsewhere')";
    let (code, stdout, stderr) = With::python(text, &[], &GREETED).run();
    assert_eq!((code, &stdout[..]), (0, "elsewhere\n"), "{stderr}");
}

#[test]
fn a_server_that_listens_on_two_other_ports_is_told_with_both() {
    let text = "
s, t = listen(0), listen(0)
print('I am on', sorted([s.getsockname()[1], t.getsockname()[1]]), flush=True)
serve(s, '')";
    let (code, _, stderr) = With::python(text, &["--patience", "1s"], &["true"]).run();
    assert_eq!(code, 125);
    let own = stderr.split("| I am on ").nth(1).unwrap().trim_end();
    assert!(stderr.contains(&format!("within 1 s; it listens on {own}\n")), "{stderr}");
}

#[test]
fn a_server_that_forks_and_leaves_is_stopped_too() {
    let text = "
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
serve(listen(port), 'daemon')";
    let (code, stdout, stderr) = With::python(text, &[], &GREETED).run();
    assert_eq!((code, &stdout[..], &stderr[..]), (0, "daemon\n", ""));
}

#[test]
fn a_server_that_cannot_bind_gets_another_port() {
    let tried = TempPath::new("with-ports");
    let script =
        format!("echo {{port}} >>{0}; [ $(wc -l <{0}) = 3 ] || exit 1; {PYTHON}", tried.as_str());
    let mut with = With::new(&[&script], &GREETED);
    with.command.env(TEXT, format!("{IMPORTS}serve(listen(port), 'third')"));
    let (code, stdout, stderr) = with.run();
    assert_eq!((code, &stdout[..]), (0, "third\n"), "{stderr}");
}

#[test]
fn a_server_that_ends_before_it_listens_is_told_with_its_last_lines() {
    let script = "for i in $(seq 2000); do echo line $i; done; echo oh no >&2; exit 3";
    for _ in 0..10 {
        let (code, _, stderr) = With::new(&[script], &["true"]).run();
        assert_eq!(code, 125, "{stderr}");
        let first = "socklab: the server ended before it listened: exit status 3\n";
        assert!(stderr.starts_with(first), "{stderr}");
        assert!(stderr.contains("| oh no\n") && stderr.contains("| line 2000\n"), "{stderr}");
    }
}

#[test]
fn a_server_that_never_listens_is_given_up() {
    let script = "echo thinking; exec sleep 600";
    let (code, stdout, stderr) = With::new(&[script, "--patience", "300ms"], &["echo"]).run();
    assert_eq!((code, &stdout[..]), (125, ""));
    assert!(stderr.contains("the server did not listen on port"), "{stderr}");
    assert!(stderr.contains("within 300 ms\n"), "{stderr}");
    assert!(stderr.contains("| thinking\n"), "{stderr}");
}

#[test]
fn a_command_that_cannot_be_run_is_told_apart() {
    for (program, expected) in [("/", 126), ("/no/such/program", 127), ("no-such-program", 127)] {
        let (code, _, stderr) = With::new(&["--model", "single"], &[program]).run();
        assert_eq!(code, expected, "{stderr}");
        assert!(stderr.contains(&format!("cannot run {program}: ")), "{stderr}");
    }
}

/// A server of five processes that nothing but SIGKILL ends: in its group, in a session of their
/// own, and an orphan.
const STUBBORN: &str = "
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
listener = listen(port)
started, here = os.pipe()

def stay():
    os.write(here, b'.')
    while True: signal.pause()

if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        os.fork()
    stay()
child = os.fork()
if child == 0:
    if os.fork(): os._exit(0)
    os.setsid()
    stay()
os.waitpid(child, 0)
missing = 4
while missing: missing -= len(os.read(started, missing))
serve(listener, 'stubborn')";

fn stubborn(command: &[&str]) -> With {
    With::python(STUBBORN, &["--grace", "50ms"], command)
}

#[test]
fn nothing_is_left_after_the_end_of_the_command() {
    let (code, stdout, stderr) = stubborn(&GREETED).run();
    assert_eq!((code, &stdout[..], &stderr[..]), (0, "stubborn\n", ""));
}

/// Starts a server that does not want to end, sends `with` a signal, and returns how that ended.
fn end_by(signal: Signal) -> (std::process::ExitStatus, String) {
    let script = "exec 3<>/dev/tcp/$HOST/$PORT; read -r line <&3; echo $line; read -r _";
    let mut running = stubborn(&["bash", "-c", script]).start();
    let all = processes(&running.mark);
    // It, its supervisor, its command, and the five.
    assert_eq!(all.len(), 8, "{all:?}");
    running.signal(signal);
    let status = running.child.wait().unwrap();
    (status, running.mark)
}

#[test]
fn nothing_is_left_after_a_signal() {
    for (signal, expected) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let (status, mark) = end_by(signal);
        assert_eq!(status.code(), Some(expected));
        let left = processes(&mark);
        assert!(left.is_empty(), "{left:?} are left");
    }
}

#[test]
fn nothing_of_the_server_is_left_after_sigkill() {
    for signal in [Signal::KILL, Signal::HUP] {
        let (status, mark) = end_by(signal);
        assert_eq!(status.signal(), Some(signal.as_raw()));
        expect_none(&mark);
    }
}

#[test]
fn a_signal_while_the_server_does_not_listen_ends_the_wait() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut with = With::new(&["exec sleep 600", "--patience", "10m"], &["true"]);
        let mut child = with.command.spawn().unwrap();
        while !processes(&with.mark).iter().any(|line| line.starts_with("sleep")) {
            thread::yield_now();
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(signal.as_raw()));
        expect_none(&with.mark);
    }
}

#[test]
fn a_stranger_on_the_port_is_not_taken_for_the_server() {
    let [told, go] = ["with-port", "with-go"].map(TempPath::new);
    for fifo in [&told, &go] {
        mknodat(CWD, fifo.as_path(), FileType::Fifo, Mode::RWXU, 0).unwrap();
    }
    let script =
        format!("echo {{port}} >{}; read -r _ <{}; exec sleep 600", told.as_str(), go.as_str());
    let mut with = With::new(&[&script, "--patience", "1s"], &["echo", "it runs"]);
    let child = with.command.spawn().unwrap();
    let mut port = String::new();
    File::open(told.as_path()).unwrap().read_to_string(&mut port).unwrap();
    let stranger = TcpListener::bind(("127.0.0.1", port.trim_end().parse().unwrap())).unwrap();
    fs::write(go.as_path(), "go\n").unwrap();
    let ended = child.wait_with_output().unwrap();
    drop(stranger);
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), &ended.stdout[..]), (Some(125), &b""[..]), "{stderr}");
    assert!(stderr.contains("; another program listens there\n"), "{stderr}");
    expect_none(&with.mark);
}

#[test]
fn a_server_that_ends_before_the_command_is_told() {
    let text = "serve_one = listen(port).accept()[0]; print('bye', flush=True)
serve_one.recv(1); os.kill(os.getpid(), signal.SIGSEGV)";
    let script = "exec 3<>/dev/tcp/$HOST/$PORT; echo >&3; read -r line <&3; exit 4";
    let (code, _, stderr) = With::python(text, &[], &["bash", "-c", script]).run();
    assert_eq!(code, 4);
    assert!(stderr.contains("the server ended by itself: SIGSEGV"), "{stderr}");
    assert!(stderr.contains("its output: bye"), "{stderr}");
}

#[test]
fn a_server_and_the_command_inherit_nothing_of_ours() {
    let inherited = "
import os
blocked = [it for it in open('/proc/self/status') if it.startswith('SigBlk')]
text = ascii([blocked, sorted(os.listdir('/proc/self/fd'))])";
    let print = format!("{inherited}; print(text)");
    let printed = Command::new("python3").args(["-c", &print]).output().unwrap().stdout;
    let expected = String::from_utf8(printed).unwrap();
    assert!(expected.contains("SigBlk"), "{expected}");
    let server = format!("{inherited}\nserve(listen(port), text)");
    let (_, stdout, stderr) = With::python(&server, &[], &GREETED).run();
    assert_eq!(stdout, expected, "{stderr}");
    let command = ["python3", "-c", &print];
    let (_, stdout, stderr) = With::new(&["--model", "single"], &command).run();
    assert_eq!(stdout, expected, "{stderr}");
}

#[test]
fn a_limit_on_memory_makes_an_allocation_fail() {
    let text = "
try: text = str(len(bytearray(1 << 30)))
except MemoryError: text = 'MemoryError'
serve(listen(port), text)";
    for (options, expected) in
        [(&["--memory", "256MiB"][..], "MemoryError\n"), (&[], "1073741824\n")]
    {
        let (_, stdout, stderr) = With::python(text, options, &GREETED).run();
        assert_eq!(stdout, expected, "{stderr}");
    }
}

#[test]
fn a_limit_on_processor_time_ends_a_busy_loop() {
    let text = "listener = listen(port)\nwhile True: pass";
    // The connection is in the accept queue until the server has ended.
    let script = "exec 3<>/dev/tcp/$HOST/$PORT; read -r line <&3; exit 0";
    let (code, _, stderr) =
        With::python(text, &["--cpu-time", "1s"], &["bash", "-c", script]).run();
    assert_eq!(code, 0);
    assert!(stderr.contains("the server ended by itself: SIGXCPU"), "{stderr}");
}

#[test]
fn a_network_of_its_own_has_nothing_but_a_loopback_interface() {
    let script = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '";
    let script = format!("{script}; {}", GREETED[2]);
    let text = "serve(listen(port), 'isolated')";
    let (code, stdout, stderr) = With::python(text, &["--isolate"], &["bash", "-c", &script]).run();
    if code == 1 && stderr.contains("cannot create a network namespace") {
        eprintln!("skipped: {stderr}");
        return;
    }
    assert_eq!((code, &stdout[..]), (0, "lo\nisolated\n"), "{stderr}");
}
