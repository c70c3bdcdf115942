//! The supervisor of a subject: a process of ours between us and it, which leaves nothing behind.
//!
//! The supervisor adopts every orphan among its descendants (`PR_SET_CHILD_SUBREAPER`, prctl(2)),
//! so a server that forks and leaves stays below it. It ends them all when we say so, and when the
//! connection to us ends, as at our end by a signal, a panic or `kill -9`. It is in a session of
//! its own, so Ctrl-C on our terminal does not reach it.
//!
//! The connection is its stdin, a socket with a line for each order and each report:
//!
//! | order | meaning |
//! | --- | --- |
//! | `stop MS` | SIGTERM to all; after this many milliseconds, SIGKILL |
//!
//! | report | meaning |
//! | --- | --- |
//! | `started PID` | the subject's first process |
//! | `failed TEXT` | it could not be started |
//! | `ended exit N`, `ended signal N` | how that process ended |
//! | `gone` | no process is left; the supervisor ends |

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getpid, getppid, kill_process, set_child_subreaper,
    set_parent_process_death_signal, setrlimit, setsid, wait,
};
use signal_hook::consts::{SIGCHLD, SIGHUP};

use super::end_status::EndStatus;
use super::{now, processes};
use crate::error::{Exit, Failure};
use crate::signal;

/// The time between two rounds of SIGKILL: a process may have been started during the last one.
const KILL_INTERVAL: Duration = Duration::from_millis(20);

/// The processor time from SIGXCPU to SIGKILL, in seconds.
const CPU_GRACE: u64 = 1;

/// The longest order, in bytes.
const MAX_ORDER: usize = 64;

/// The program of this process, also if another file has its name by now.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// The settings of the processes of a subject: the limits of each (setrlimit(2)), where none means
/// the limit that we have, and their standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessSettings {
    /// Private writable memory of a process, in bytes (`RLIMIT_DATA`).
    pub memory: Option<u64>,
    /// Processes and threads of the user, beside those that there are at the start
    /// (`RLIMIT_NPROC`). It does not hold for root.
    pub processes: Option<u64>,
    /// Processor time of a process, in seconds (`RLIMIT_CPU`).
    pub cpu_time: Option<u64>,
    /// True for a standard input that says nothing and does not end, as a terminal at which nobody
    /// types. Otherwise it is /dev/null.
    pub silent_stdin: bool,
}

/// The configuration of the commands `supervise` and `launch`, which this program gives to itself.
#[derive(Clone, Debug)]
pub struct SuperviseConfig {
    /// The settings of its processes.
    pub settings: ProcessSettings,
    /// The arguments with which `launch` parses into this configuration.
    pub launch_args: Vec<OsString>,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

/// A command of this program.
pub(super) fn this_program() -> Command {
    let mut command = Command::new(THIS_PROGRAM);
    command.arg0(env!("CARGO_PKG_NAME"));
    command
}

/// Runs the supervisor, until nothing of the subject is left.
pub fn supervise(config: &SuperviseConfig) -> Result<(), Failure> {
    let cannot = |error: io::Error| Failure::cannot("supervise a server", &error);
    // Fails if it is the leader of a session already.
    setsid().ok();
    set_child_subreaper(Some(getpid())).map_err(|error| cannot(error.into()))?;
    let parent = io::stdin().as_fd().try_clone_to_owned().map_err(cannot)?;
    let mut supervisor = Supervisor {
        parent: UnixStream::from(parent),
        deaths: signal::descriptor(&[SIGCHLD])?,
        stops: signal::descriptor(&[signal::STOP[0], signal::STOP[1], SIGHUP])?,
        orders: Vec::new(),
        first: None,
        stage: Stage::Running,
    };
    supervisor.run(config).map_err(cannot)
}

/// Becomes the subject: the step between fork(2) and execve(2), which std's [`Command`] has no room
/// for without unsafe code.
pub fn launch(config: &SuperviseConfig) -> Result<Infallible, Failure> {
    let cannot = |error: io::Error| {
        let program = config.command[0].to_string_lossy();
        Failure::cannot(format_args!("run {program}"), &error)
    };
    let supervisor = getppid();
    setsid().map_err(|error| cannot(error.into()))?;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| cannot(error.into()))?;
    // It may have died before the last call.
    if getppid() != supervisor {
        return Err(Failure::new(Exit::Failed, "the supervisor has ended"));
    }
    config.settings.apply().map_err(cannot)?;
    let mut command = Command::new(&config.command[0]);
    Err(cannot(signal::with_empty_mask(|| command.args(&config.command[1..]).exec())?))
}

impl ProcessSettings {
    fn apply(self) -> io::Result<()> {
        let Self { memory, processes, cpu_time, silent_stdin: _ } = self;
        let processes = processes.map(|more| processes::count_of_user() + more);
        // SIGXCPU says why it ends a process; SIGKILL, at the second limit, would not.
        let cpu_kill = cpu_time.map(|seconds| seconds.saturating_add(CPU_GRACE));
        for (resource, current, maximum) in [
            (Resource::Data, memory, memory),
            (Resource::Nproc, processes, processes),
            (Resource::Cpu, cpu_time, cpu_kill),
        ] {
            if current.is_some() {
                setrlimit(resource, Rlimit { current, maximum })?;
            }
        }
        Ok(())
    }
}

/// The stages of a subject's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Until an order, or the end of the connection.
    Running,
    /// SIGTERM was sent; at this time SIGKILL follows.
    Stopping(Instant),
    /// SIGKILL is sent until no process is left.
    Killing,
}

struct Supervisor {
    parent: UnixStream,
    /// Readable after SIGCHLD.
    deaths: OwnedFd,
    /// Readable after a signal that asks us to stop.
    stops: OwnedFd,
    /// The part of an order that has been received.
    orders: Vec<u8>,
    /// The first process of the subject, while it runs.
    first: Option<Pid>,
    stage: Stage,
}

impl Supervisor {
    fn run(&mut self, config: &SuperviseConfig) -> io::Result<()> {
        let (silent, _nobody) = pipe_with(PipeFlags::CLOEXEC)?;
        let stdin = if config.settings.silent_stdin { silent.into() } else { Stdio::null() };
        match this_program().args(&config.launch_args).stdin(stdin).spawn() {
            Ok(child) => {
                self.first = Some(Pid::from_child(&child));
                self.report(&format!("started {}", child.id()));
            }
            Err(error) => {
                self.report(&format!("failed {error}"));
                return Ok(());
            }
        }
        while self.reap()? {
            if self.stage == Stage::Killing {
                signal_descendants(Signal::KILL);
            }
            self.wait()?;
        }
        self.report("gone");
        Ok(())
    }

    /// Waits for an order, a death or the end of a time.
    fn wait(&mut self) -> io::Result<()> {
        let timeout = match self.stage {
            Stage::Running => None,
            Stage::Stopping(until) => Some(until.saturating_duration_since(now())),
            Stage::Killing => Some(KILL_INTERVAL),
        };
        let timeout = timeout.and_then(|time| Timespec::try_from(time).ok());
        let mut sources = [
            PollFd::new(&self.deaths, PollFlags::IN),
            PollFd::new(&self.parent, PollFlags::IN),
            PollFd::new(&self.stops, PollFlags::IN),
        ];
        // A connection that has ended, or a signal that has come, would end every later wait.
        let waited_for = if self.stage == Stage::Killing { 1 } else { sources.len() };
        match poll(&mut sources[..waited_for], timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let [deaths, parent, stops] = sources.map(|source| !source.revents().is_empty());
        if deaths {
            rustix::io::read(&self.deaths, &mut [0; MAX_ORDER])?;
        }
        if stops {
            self.stage = Stage::Killing;
        } else if parent {
            self.obey()?;
        }
        if matches!(self.stage, Stage::Stopping(until) if until <= now()) {
            self.stage = Stage::Killing;
        }
        Ok(())
    }

    /// Receives an order, or the end of the connection.
    fn obey(&mut self) -> io::Result<()> {
        let mut bytes = [0; MAX_ORDER];
        match self.parent.read(&mut bytes) {
            Ok(0) => self.stage = Stage::Killing,
            Ok(len) => self.orders.extend_from_slice(&bytes[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(_) => self.stage = Stage::Killing,
        }
        let Some(order) = self.orders.strip_suffix(b"\n") else { return Ok(()) };
        let order = std::str::from_utf8(order).ok().and_then(|order| order.strip_prefix("stop "));
        let grace = order.and_then(|grace| grace.parse().ok()).map(Duration::from_millis);
        let grace = grace.ok_or_else(|| io::Error::other("unknown order"))?;
        self.orders.clear();
        signal_descendants(Signal::TERM);
        // A stopped process receives it when it goes on.
        signal_descendants(Signal::CONT);
        self.stage = Stage::Stopping(now() + grace);
        Ok(())
    }

    /// Waits for children that have ended. Returns false if none is left.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            let (pid, status) = match wait(WaitOptions::NOHANG) {
                Ok(Some(ended)) => ended,
                Ok(None) => return Ok(true),
                Err(rustix::io::Errno::CHILD) => return Ok(false),
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if self.first == Some(pid) {
                self.first = None;
                let end = EndStatus::from(ExitStatus::from_raw(status.as_raw()));
                self.report(&format!("ended {}", end.encode()));
            }
        }
    }

    fn report(&mut self, text: &str) {
        // We may be gone.
        self.parent.write_all(format!("{text}\n").as_bytes()).ok();
    }
}

/// Sends a signal to every process below this one.
fn signal_descendants(signal: Signal) {
    for pid in processes::descendants(getpid()) {
        // It may have ended.
        kill_process(pid, signal).ok();
    }
}
