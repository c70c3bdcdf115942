//! A subject: a server under test that somebody else wrote, started from a command.
//!
//! A [`Subject`] is started, is seen to listen, is looked at through /proc, and is stopped with all
//! its processes, whatever happens to this program. Nothing here connects to it: to a server of one
//! client a probe is a client, and a connect(2) to a free port can reach itself.
//!
//! ```text
//!  socklab with, grade, compare
//!     │ socket: orders, reports          ▲ pipe: the last 64 KiB of stdout and stderr
//!     ▼                                  │
//!  socklab supervise ──▶ socklab launch ═╪═▶ the subject ──▶ its own processes
//!     adopts orphans       setsid, limits, execve
//! ```

mod command;
mod end_status;
mod isolation;
mod output;
pub mod processes;
mod program;
mod reports;
pub mod sockets;
mod start;
pub mod supervisor;
mod usage;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

pub use command::Template;
pub use end_status::EndStatus;
pub use isolation::isolate;
use output::Output;
use processes::ProcessState;
pub use program::{Finished, run_program};
use reports::Reports;
use sockets::Socket;
pub use start::{NotListening, start, try_start};
pub use supervisor::{ProcessSettings, THIS_PROGRAM};
pub use usage::Usage;

/// The default limit on the time until a subject listens.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The default time between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(2);

/// The most lines of a subject's output in a message.
const SHOWN_LINES: usize = 8;

/// A subject to be started.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The command.
    pub command: Template,
    /// The address that is passed to it.
    pub host: String,
    /// The settings of its processes.
    pub settings: ProcessSettings,
    /// The printer of the command line of a supervisor or a launcher, without the program: the
    /// name of the command, the settings, the subject's own command line.
    pub supervise_args: fn(&str, ProcessSettings, &[OsString]) -> Vec<OsString>,
    /// The limit on the time until it listens.
    pub patience: Duration,
    /// The time between SIGTERM and SIGKILL.
    pub grace: Duration,
}

/// A running subject.
#[derive(Debug)]
pub struct Subject {
    supervisor: Child,
    /// The connection to the supervisor: orders out, reports in.
    orders: UnixStream,
    reports: Reports,
    /// Its first process, and the leader of its group.
    first: Pid,
    /// The end of that process, once it is known.
    end: Option<EndStatus>,
    /// Set once the supervisor has reported that nothing is left.
    gone: bool,
    address: SocketAddr,
    /// The port that it was told.
    told: u16,
    startup: Duration,
    backlog: u32,
    output: Output,
    grace: Duration,
}

impl Subject {
    /// The address where it listens, as a client connects to it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// True if it listens on another port than it was told.
    pub fn chose_its_port(&self) -> bool {
        self.address.port() != self.told
    }

    /// The time from its start until it was seen to listen.
    pub fn startup(&self) -> Duration {
        self.startup
    }

    /// The number of bytes that it has written to its stdout and stderr.
    pub fn output_length(&self) -> u64 {
        self.output.received()
    }

    /// The last lines of its stdout and stderr.
    pub fn last_output(&self) -> Vec<String> {
        if self.gone {
            self.output.finish();
        }
        self.output.last_lines(SHOWN_LINES)
    }

    /// The number of its first process.
    pub fn first_process(&self) -> Pid {
        self.first
    }

    /// All its processes, those nearest to the first one first.
    pub fn processes(&self) -> Vec<ProcessState> {
        let pids = processes::descendants(self.supervisor_pid());
        pids.into_iter().filter_map(ProcessState::read).collect()
    }

    /// Its sockets that listen, wherever they do.
    pub fn listeners(&self) -> Vec<Socket> {
        listeners(self.supervisor_pid())
    }

    /// The length of its accept queue, as it was given to listen(2).
    pub fn backlog(&self) -> u32 {
        self.backlog
    }

    /// Its processor time, with that of children it has waited for.
    pub fn cpu_time(&self) -> Duration {
        usage::cpu_time(self.supervisor_pid())
    }

    /// Its resources.
    pub fn usage(&self) -> Usage {
        Usage::read(self.supervisor_pid())
    }

    /// Its end, if none of its processes is left. Does not wait.
    pub fn ended(&mut self) -> Option<EndStatus> {
        while self.receive(Some(Duration::ZERO)).is_ok_and(|more| more) {}
        self.gone.then_some(self.end).flatten()
    }

    /// True if its first process has ended; others may be left.
    pub fn first_has_ended(&mut self) -> bool {
        self.ended();
        self.end.is_some()
    }

    /// Sends a signal to each of its processes.
    pub fn signal_all(&self, signal: Signal) {
        for pid in processes::descendants(self.supervisor_pid()) {
            kill_process(pid, signal).ok();
        }
    }

    /// Sends a signal to its process group, as a terminal does.
    pub fn signal_group(&self, signal: Signal) {
        kill_process_group(self.first, signal).ok();
    }

    /// Waits until none of its processes is left, for at most `patience`.
    pub fn wait(&mut self, patience: Duration) -> Option<EndStatus> {
        self.wait_until(patience, |subject| subject.gone);
        self.end.filter(|_| self.gone)
    }

    /// Receives reports until `done`, for at most `patience`.
    fn wait_until(&mut self, patience: Duration, done: fn(&Self) -> bool) {
        let until = now() + patience;
        while !done(self) {
            let left = until.saturating_duration_since(now());
            if left.is_zero() || self.receive(Some(left)).is_err() {
                return;
            }
        }
    }

    /// Stops it: SIGTERM to all its processes and, after the grace time, SIGKILL. Returns how it
    /// ended.
    pub fn stop(mut self) -> Option<EndStatus> {
        self.stop_within(self.grace)
    }

    /// Ends all its processes by SIGKILL.
    pub fn stop_now(&mut self) {
        self.stop_within(Duration::ZERO);
    }

    fn stop_within(&mut self, grace: Duration) -> Option<EndStatus> {
        if !self.gone {
            writeln!(self.orders, "stop {}", grace.as_millis()).ok();
            // Ends with the supervisor, at the latest.
            while !self.gone && self.receive(None).is_ok_and(|more| more) {}
        }
        self.supervisor.wait().ok();
        self.end
    }

    /// Receives a report ([`Reports::receive`]). Returns false at the end of the connection.
    fn receive(&mut self, patience: Option<Duration>) -> io::Result<bool> {
        let report = self.reports.receive(patience)?;
        match report.as_deref().map(|line| line.split_once(' ').unwrap_or((line, ""))) {
            Some(("ended", end)) => self.end = EndStatus::decode(end),
            Some(("gone", _)) | None => self.gone = true,
            Some(_) => {}
        }
        Ok(report.is_some())
    }

    fn supervisor_pid(&self) -> Pid {
        Pid::from_child(&self.supervisor)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.stop_within(Duration::ZERO);
    }
}

/// The sockets that listen and belong to a process below `ancestor`.
fn listeners(ancestor: Pid) -> Vec<Socket> {
    let mut listening = sockets::listening();
    if listening.is_empty() {
        return listening;
    }
    let processes = processes::descendants(ancestor);
    let owned: Vec<_> = processes.into_iter().flat_map(processes::socket_inodes).collect();
    listening.retain(|socket| owned.contains(&socket.inode));
    listening
}

/// The clock of the subjects.
#[expect(clippy::disallowed_methods, reason = "the edge of a command reads the clock")]
fn now() -> Instant {
    Instant::now()
}
