//! The program as its users start it, and its clients over TCP.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use socket2::{Domain, Socket, Type};
use socklab::session::GAP;

use super::assert_bytes;

/// Timeout of a blocking call: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Every model, by its name on the command line.
pub const MODELS: [&str; 8] =
    ["loop", "poll", "single", "thread", "pool", "process", "prefork", "sharded"];

/// Output of a full server.
pub const BUSY: &[u8] = b"busy: the server is full, try again later\n";

/// The models that serve more than one client by default.
pub const CONCURRENT: [&str; 7] =
    ["loop", "poll", "thread", "pool", "process", "prefork", "sharded"];

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_socklab");

/// The program with these arguments, and without a log level from the environment.
pub fn socklab(args: &[&str]) -> Command {
    let mut command = command(Path::new(PROGRAM));
    command.args(args);
    command
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_remove("RUST_LOG");
    command
}

/// Runs the program to its end. Returns its exit code and its stderr.
pub fn run(args: &[&str]) -> (Option<i32>, String) {
    let output = socklab(args).stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Runs a command until it has closed its stderr, and ends it if that takes too long. Returns its
/// exit code and its stderr.
pub fn run_to_end(command: &mut Command) -> (Option<i32>, String) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let patience = Timespec::try_from(PATIENCE).unwrap();
    let mut text = Vec::new();
    let mut block = [0; 4096];
    loop {
        let ready = poll(&mut [PollFd::new(&stderr, PollFlags::IN)], Some(&patience)).unwrap();
        let n = if ready > 0 { stderr.read(&mut block).unwrap() } else { 0 };
        text.extend_from_slice(&block[..n]);
        if n == 0 {
            break;
        }
    }
    // One that has ended has its exit code already.
    child.kill().ok();
    (child.wait().unwrap().code(), String::from_utf8(text).unwrap())
}

/// A running server, killed when it is dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// Kept open, so that the server can write to it.
    _stdout: BufReader<ChildStdout>,
    log: BufReader<ChildStderr>,
}

impl Server {
    /// Starts `socklab serve 127.0.0.1 0` with more `options`, and waits for its ready line.
    pub fn start(options: &[&str]) -> Self {
        Self::start_program(Path::new(PROGRAM), options)
    }

    /// The same with a copy of the program.
    pub fn start_program(program: &Path, options: &[&str]) -> Self {
        Self::start_command(command(program), options)
    }

    /// The same with a command that executes the program with the arguments that it is given.
    pub fn start_command(mut command: Command, options: &[&str]) -> Self {
        let mut child = command
            .args(["serve", "127.0.0.1", "0"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("not a ready line: {line:?}"))
            .trim_end()
            .parse()
            .unwrap();
        Self { child, address, _stdout: stdout, log }
    }

    pub fn connect(&self) -> Client {
        Client::to(self.address)
    }

    pub fn connect_many(&self, count: usize) -> Vec<Client> {
        (0..count).map(|_| self.connect()).collect()
    }

    /// A client of the service echo whose replies fill every buffer between it and the server.
    pub fn connect_without_reading(&self) -> Client {
        let mut client = self.connect();
        client.ask(b"?", b"?");
        client.fill(&vec![b'x'; 65_536]);
        client
    }

    /// A client that is served, sooner or later: one that connects just before the server has
    /// released the permit of the last is told that it is busy.
    pub fn serve_one(&self) -> Client {
        loop {
            let mut client = self.connect();
            client.send(b"1\n");
            let mut answer = [0; 2];
            client.stream.read_exact(&mut answer).unwrap();
            if answer == *b"1\n" {
                return client;
            }
        }
    }

    /// Connects from 127.0.0.`host`. The kernel is slow to find a free port for many connections
    /// from one address to another.
    pub fn connect_from(&self, host: u8) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).unwrap();
        socket.connect(&self.address.into()).unwrap();
        Client::of(socket.into())
    }

    /// Reads the log up to the first line that contains `text`, and returns that line.
    #[track_caller]
    pub fn log_line(&mut self, text: &str) -> String {
        let patience = Timespec::try_from(PATIENCE).unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            if self.log.buffer().is_empty() {
                let mut log = [PollFd::new(self.log.get_ref(), PollFlags::IN)];
                let ready = poll(&mut log, Some(&patience)).unwrap();
                assert!(ready > 0, "the log has no line with {text:?} for {PATIENCE:?}");
            }
            let n = self.log.read_line(&mut line).unwrap();
            assert!(n > 0, "the log ended without {text:?}");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Stops the server, and returns the rest of its log, which must be less than a pipe holds.
    pub fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        let mut log = Vec::new();
        self.log.read_to_end(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success());
        String::from_utf8(log).unwrap()
    }

    pub fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.process(), signal).unwrap();
    }

    /// Sets the limit on descriptors of the server.
    pub fn limit_descriptors(&self, most: u64) {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        prlimit(Some(self.process()), Resource::Nofile, limit).unwrap();
    }

    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Has `clients` send 100 requests each, stops the server by `signal` when the first `begun` of
    /// them have their first reply, and expects every reply, end of input, and exit code 0.
    pub fn expect_stop_answers_all(self, clients: usize, begun: usize, signal: Signal) {
        let mut clients = self.connect_many(clients);
        for client in &mut clients {
            client.send(&b"1 + 2\n".repeat(100));
        }
        for client in &mut clients[..begun] {
            client.expect(b"3\n");
        }
        self.signal(signal);
        for (n, mut client) in clients.into_iter().enumerate() {
            let left = if n < begun { 99 } else { 100 };
            assert_eq!(client.rest(), b"3\n".repeat(left), "client {n}, {begun} begun");
        }
        assert_eq!(self.wait().code(), Some(0));
    }

    /// Resident memory, in bytes.
    pub fn memory(&self) -> usize {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    pub fn threads(&self) -> usize {
        threads_of(self.process())
    }

    /// Its child processes.
    pub fn children(&self) -> Vec<Pid> {
        let mut children = Vec::new();
        for entry in fs::read_dir("/proc").unwrap() {
            // A process that has ended meanwhile has no file.
            let stat = fs::read_to_string(entry.unwrap().path().join("stat")).unwrap_or_default();
            // `pid (name) state parent ...`, and a name may be anything.
            let Some((front, back)) = stat.rsplit_once(") ") else { continue };
            let parent = back.split(' ').nth(1).unwrap();
            if parent == self.child.id().to_string() {
                let pid = front.split(' ').next().unwrap().parse().unwrap();
                children.push(Pid::from_raw(pid).unwrap());
            }
        }
        children
    }

    fn proc(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }
}

/// Number of threads of a process, without those that only write its output.
pub fn threads_of(process: Pid) -> usize {
    let program = fs::read_to_string(format!("/proc/{process}/comm")).unwrap();
    for _ in 0..100_000 {
        let names: Vec<_> = thread_names(process).collect();
        // A thread has the program's name until it has set its own.
        if names.iter().filter(|&name| *name == program).count() <= 1 {
            let output = |name: &&String| matches!(name.trim_end(), "stderr" | "stdout");
            return names.iter().filter(|name| !output(name)).count();
        }
    }
    panic!("a thread of process {process} has no name of its own");
}

/// The names of the threads of a process, each with a newline.
fn thread_names(process: Pid) -> impl Iterator<Item = String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok())
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A client of a server under test.
pub struct Client {
    pub stream: TcpStream,
}

impl Client {
    pub fn to(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends `bytes`, so many at a time. Returns false if the machine made a pause in which the
    /// server may have seen the end of a message.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the machine's pauses")]
    pub fn send_in_pieces(&mut self, bytes: &[u8], piece: usize) -> bool {
        let mut last = Instant::now();
        bytes.chunks(piece).all(|bytes| {
            let this = Instant::now();
            self.send(bytes);
            mem::replace(&mut last, this).elapsed() < GAP
        })
    }

    /// Receives as many bytes as `expected` has, and compares them.
    #[track_caller]
    pub fn expect(&mut self, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        if let Err(error) = self.stream.read_exact(&mut bytes) {
            panic!("{error} instead of {}", expected.escape_ascii());
        }
        assert_bytes(&bytes, expected);
    }

    #[track_caller]
    pub fn ask(&mut self, question: &[u8], answer: &[u8]) {
        self.send(question);
        self.expect(answer);
    }

    /// Sends `block` again and again until no buffer on the way takes more, or the server resets.
    pub fn fill(&mut self, block: &[u8]) {
        self.stream.set_nonblocking(true).unwrap();
        while self.stream.write(block).is_ok() {}
        self.stream.set_nonblocking(false).unwrap();
    }

    pub fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Receives up to the end of input, which must not be a reset.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut bytes) {
            panic!("{error} after {}", bytes.escape_ascii());
        }
        bytes
    }

    /// Closes the connection with a reset instead of a FIN.
    pub fn reset(self) {
        let socket = Socket::from(self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}
