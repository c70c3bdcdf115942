//! The model `process`: a process for each client. It is this program's own command `session`, with
//! the client's socket as stdin and stdout. The loop keeps nothing of the connection but the child.
//!
//! The loop and its children share two pipes. Nothing is ever written to the first: it ends when
//! the loop stops or is no more, and then the children drain. A signal could not do that: it would
//! end a child that is not ready for it, and with it the requests of its client. For the same
//! reason the children are not in the process group to which a terminal sends Ctrl-C. In the second
//! pipe a child reports why its connection ended, right before it exits. Its traffic is counted
//! then.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::Registry;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::pipe;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::config::{Config, ParentPipes, SessionConfig, StdioConfig};
use super::report::Report;
use super::shared::Shared;
use super::stats::{Client, Stats};
use super::workers::{Arrival, KILL_GRACE, Sessions, Workers};
use crate::error::{Failure, cannot_open};
use crate::session::{CloseReason, Traffic};

/// The most bytes of reports that one read takes.
const REPORTS_SIZE: usize = 4096;

/// This program's own file.
const PROGRAM: &str = "/proc/self/exe";

/// The time between two looks at processes that were cut.
const REAP_INTERVAL: Duration = Duration::from_millis(5);

/// The processes that serve clients.
pub(super) struct Processes {
    /// This program's own file, open. By now another program may have its name.
    program: File,
    session: SessionConfig,
    /// The printer of a child's command line.
    child_args: fn(&StdioConfig) -> Vec<OsString>,
    /// By the client's number.
    serving: HashMap<u64, ServingChild>,
    /// Children that have reported and are about to exit.
    exiting: Vec<Child>,
    pipes: ControlPipes,
    stats: Arc<Stats>,
    traffic: Arc<Traffic>,
}

/// A child, and the client that it serves.
struct ServingChild {
    child: Child,
    client: Client,
}

impl Processes {
    /// The processes of a loop: none yet.
    pub(super) fn of_loop(
        config: &Config,
        shared: &Shared,
        _: &Registry,
        sessions: &Sessions,
    ) -> Result<Box<dyn Workers>, Failure> {
        let pipes = ControlPipes::new();
        let program = File::open(PROGRAM);
        let processes = Self {
            program: program.map_err(|error| cannot_open(PROGRAM, &error))?,
            session: config.session.clone(),
            child_args: config.child_args,
            serving: HashMap::new(),
            exiting: Vec::new(),
            pipes: pipes.map_err(|error| Failure::cannot("make pipes", &error))?,
            stats: Arc::clone(&shared.stats),
            traffic: Arc::clone(&sessions.context.traffic),
        };
        processes.reap_inherited();
        Ok(Box::new(processes))
    }

    fn spawn(&self, socket: &TcpStream, address: SocketAddr, number: u64) -> io::Result<Child> {
        let (input, output) = (OwnedFd::from(socket.try_clone()?), socket.try_clone()?);
        // The descriptor is close-on-exec, and still open when the child calls execve(2).
        let mut command = Command::new(open_file(&self.program));
        let (session, parent) = (self.session.clone(), Some(self.pipes.of_child()));
        let config = StdioConfig { session, client: number, parent };
        command.arg0(env!("CARGO_PKG_NAME")).args((self.child_args)(&config));
        // The environment of UCSPI (https://cr.yp.to/proto/ucspi.txt).
        command.env("PROTO", "TCP");
        command.env("TCPREMOTEIP", address.ip().to_string());
        command.env("TCPREMOTEPORT", address.port().to_string());
        if let Ok(local) = socket.local_addr() {
            command.env("TCPLOCALIP", local.ip().to_string());
            command.env("TCPLOCALPORT", local.port().to_string());
        }
        command.env("RUST_LOG", log_level());
        command.process_group(0);
        command.stdin(input).stdout(Stdio::from(OwnedFd::from(output))).spawn()
    }

    /// Waits for dead children that are none of ours: execve(2) keeps the children of a process.
    fn reap_inherited(&self) {
        let ours = self.serving.values().map(|worker| &worker.child).chain(&self.exiting);
        let ours: Vec<_> = ours.map(Child::id).collect();
        for pid in children().into_iter().filter(|pid| !ours.contains(pid)) {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            // One that is still running is waited for at the next SIGCHLD.
            let wait =
                |pid| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            pid.map(wait);
        }
    }

    /// Counts out the client of a child that has exited without a report, if it has.
    fn collect(&mut self, number: u64) {
        let Some(ServingChild { child, .. }) = self.serving.get_mut(&number) else { return };
        let status = match child.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        // It may have reported after the last look.
        self.reap();
        if let Some(ServingChild { client, .. }) = self.serving.remove(&number) {
            log::error!("the process of client {number} exited without a report: {status}");
            self.stats.left(client, CloseReason::Broken);
        }
    }
}

impl Workers for Processes {
    fn start(
        &mut self,
        arrival: Arrival,
        _: &Sessions,
        _: Instant,
    ) -> Result<(), (Arrival, io::Error)> {
        let Arrival { client, socket, address } = arrival;
        let socket = TcpStream::from(socket);
        match self.spawn(&socket, address, client.number) {
            Ok(child) => {
                self.serving.insert(client.number, ServingChild { child, client });
                Ok(())
            }
            Err(error) => {
                let socket = mio::net::TcpStream::from_std(socket);
                Err((Arrival { client, socket, address }, error))
            }
        }
    }

    /// One SIGCHLD can stand for many children. Those that reported are waited for one by one; all
    /// are looked at only if another one is dead.
    fn reap_children(&mut self) {
        self.reap();
        self.exiting.retain_mut(is_running);
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if matches!(waitid(WaitId::All, look), Ok(Some(_))) {
            for number in self.serving.keys().copied().collect::<Vec<_>>() {
                self.collect(number);
            }
            self.reap_inherited();
        }
    }

    fn reap(&mut self) {
        for report in self.pipes.reports() {
            if let Some(ServingChild { child, client }) = self.serving.remove(&report.client) {
                self.exiting.push(child);
                self.traffic.add(report.messages, report.received, report.sent);
                self.stats.left(client, report.close_reason);
            }
        }
    }

    fn len(&self) -> usize {
        self.serving.len()
    }

    fn drain(&mut self) {
        self.pipes.end_keepalive();
    }

    /// Sends SIGHUP to every process, and gives them time to finish their sessions. A process that
    /// was stopped (SIGSTOP) gets the signal when it goes on. None is left behind.
    fn cut(&mut self) {
        self.reap();
        for ServingChild { child, .. } in self.serving.values() {
            // One that cannot be signalled has exited.
            for signal in [Signal::HUP, Signal::CONT] {
                kill_process(Pid::from_child(child), signal).ok();
            }
        }
        let until = clock() + KILL_GRACE;
        while clock() < until {
            self.exiting.retain_mut(is_running);
            let serving = self.serving.values_mut().any(|worker| is_running(&mut worker.child));
            if self.exiting.is_empty() && !serving {
                break;
            }
            thread::park_timeout(REAP_INTERVAL);
            self.reap();
        }
        // One may have reported just before it was seen to have exited.
        self.reap();
        for (_, ServingChild { child, client }) in self.serving.drain() {
            self.stats.left(client, CloseReason::Forced);
            self.exiting.push(child);
        }
        for mut child in self.exiting.drain(..) {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// The two pipes between the loop and its children.
struct ControlPipes {
    /// Our end of the pipe whose end tells the children to drain.
    keepalive: Option<OwnedFd>,
    /// The children's end of it.
    until: OwnedFd,
    /// Our end of the pipe for reports.
    reports: File,
    /// The children's end of it.
    report: OwnedFd,
    /// The beginning of a report that has not come whole.
    partial: Vec<u8>,
}

impl ControlPipes {
    fn new() -> io::Result<Self> {
        let (until, keepalive) = pipe()?;
        let (reports, report) = pipe()?;
        for our_own in [keepalive.as_fd(), reports.as_fd()] {
            fcntl_setfd(our_own, FdFlags::CLOEXEC)?;
        }
        fcntl_setfl(&reports, fcntl_getfl(&reports)? | OFlags::NONBLOCK)?;
        let (keepalive, partial) = (Some(keepalive), Vec::new());
        Ok(Self { keepalive, until, reports: reports.into(), report, partial })
    }

    /// The paths of the children's ends.
    fn of_child(&self) -> ParentPipes {
        let path = |pipe: &OwnedFd| open_file(pipe).into();
        ParentPipes { until: path(&self.until), report: path(&self.report) }
    }

    fn end_keepalive(&mut self) {
        self.keepalive = None;
    }

    /// The reports that have come since the last call.
    fn reports(&mut self) -> Vec<Report> {
        let mut room = [0; REPORTS_SIZE];
        // The pipe does not end while we hold its other end. Any error means that it is empty.
        while let Ok(n) = self.reports.read(&mut room) {
            self.partial.extend_from_slice(&room[..n]);
        }
        let whole = memchr::memrchr(b'\n', &self.partial).map_or(0, |end| end + 1);
        let whole: Vec<u8> = self.partial.drain(..whole).collect();
        String::from_utf8_lossy(&whole).lines().filter_map(Report::parse).collect()
    }
}

/// The path of an open file. Unlike `/dev/fd`, it is there where [`PROGRAM`] is.
fn open_file(file: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// The process identifiers of all children, as the kernel lists them (proc(5)).
fn children() -> Vec<u32> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split(' ').flat_map(str::parse).collect::<Vec<_>>()).collect()
}

#[expect(clippy::disallowed_methods, reason = "the time that processes get to end")]
fn clock() -> Instant {
    Instant::now()
}

fn is_running(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}

/// The level at which our own log takes a session's messages; the children's logs have the same.
fn log_level() -> String {
    let wanted = |level: &log::Level| log::log_enabled!(target: "socklab::session", *level);
    let level = log::Level::iter().filter(wanted).last();
    level.map_or("off", |level| level.as_str()).to_owned()
}
