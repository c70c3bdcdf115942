//! The start of a subject: a free port, a supervisor, and the wait until it listens.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use super::processes::ProcessState;
use super::sockets::{self, Socket, reachable};
use super::supervisor::this_program;
use super::{EndStatus, Output, Reports, Spec, Subject, listeners, now};
use crate::duration;
use crate::error::{Exit, Failure};

/// The time between two looks at the sockets of a subject that does not listen yet.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// The time after which a subject is taken to mean the other port that it listens on.
const SETTLE_TIME: Duration = Duration::from_millis(300);

/// Attempts to start a subject: another program may take the port before it does.
const ATTEMPTS: usize = 3;

/// The lowest port that is tried if the kernel has none to give away.
const FIRST_PORT: u16 = 20_000;

/// The number of ports from there on with which the search begins, so that two of them rarely meet.
const FIRST_PORTS: u32 = 10_000;

/// The end of those ports: the kernel gives away the ones from here on.
const END_PORT: u16 = 32_768;

/// The reason why a subject does not listen, with its last output.
#[derive(Debug)]
pub enum NotListening {
    /// It has ended.
    Ended(EndStatus, Vec<String>),
    /// It listens on several ports, and not on the one that it was told.
    Elsewhere(Vec<u16>, Vec<String>),
    /// It listens nowhere, for this reason, if it can be seen.
    Silent(Option<&'static str>, Vec<String>),
    /// This program could not start it.
    System(Failure),
}

/// Starts a subject on `port`, or on a free one, and waits until it listens.
pub fn start(spec: &Spec, port: Option<u16>) -> Result<Subject, Failure> {
    let attempts = if port.is_some() || !spec.command.has_port() { 1 } else { ATTEMPTS };
    let mut attempt = 1;
    loop {
        let port = match port {
            Some(port) => port,
            None => free_port(&spec.host)?,
        };
        match try_start(spec, port) {
            Ok(subject) => return Ok(subject),
            // Another program may have bound the port.
            Err(NotListening::Ended(..)) if attempt < attempts => attempt += 1,
            Err(reason) => return Err(reason.failure(spec, port)),
        }
    }
}

impl NotListening {
    fn failure(self, spec: &Spec, port: u16) -> Failure {
        let patience = duration::format(spec.patience);
        let silence = format!("the server did not listen on port {port} within {patience}");
        let (text, lines) = match self {
            Self::Ended(end, lines) => {
                (format!("the server ended before it listened: {end}"), lines)
            }
            Self::Elsewhere(ports, lines) => (format!("{silence}; it listens on {ports:?}"), lines),
            Self::Silent(None, lines) => (silence, lines),
            Self::Silent(Some(reason), lines) => (format!("{silence}; {reason}"), lines),
            Self::System(failure) => return failure,
        };
        let details = lines.into_iter().map(|line| format!("| {line}")).collect();
        Failure::new(Exit::NotListening, text).with_details(details)
    }
}

/// A port on which nothing listens now.
fn free_port(host: &str) -> Result<u16, Failure> {
    let mut bind = TcpListener::bind((host, 0)).and_then(|listener| listener.local_addr());
    if bind.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse) {
        // Another load has left the ports that the kernel gives away in TIME_WAIT.
        let first = FIRST_PORT + u16::try_from(std::process::id() % FIRST_PORTS).unwrap_or(0);
        let free = |port| TcpListener::bind((host, port)).and_then(|it| it.local_addr()).ok();
        bind = (first..END_PORT).find_map(free).map_or(bind, Ok);
    }
    let cannot = |error: io::Error| Failure::cannot(format_args!("bind a port on {host}"), &error);
    bind.map(|address| address.port()).map_err(cannot)
}

/// Starts a subject on `port`, once, and waits until it listens: there, or on one other port, which
/// is then its own choice.
pub fn try_start(spec: &Spec, port: u16) -> Result<Subject, NotListening> {
    let failed = |error| NotListening::System(Failure::cannot("start the server", &error));
    let mut subject = spawn(spec, port).map_err(failed)?;
    let started = now();
    let mut other_since = None;
    loop {
        let ended = subject.ended();
        let waited = now().saturating_duration_since(started);
        let found = listeners(subject.supervisor_pid());
        if let Some(socket) = found.iter().find(|socket| socket.local.port() == port) {
            return Ok(listening(subject, socket, waited));
        }
        if let Some(end) = ended {
            return Err(NotListening::Ended(end, subject.last_output()));
        }
        // A server with a port of its own.
        let mut ports: Vec<_> = found.iter().map(|socket| socket.local.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        other_since = if ports.is_empty() { None } else { other_since.or(Some(waited)) };
        let settled = other_since.is_some_and(|since| waited >= since + SETTLE_TIME);
        if ports.len() == 1 && settled {
            return Ok(listening(subject, &found[0], waited));
        }
        if waited >= spec.patience {
            let lines = subject.last_output();
            return Err(match &ports[..] {
                [] => NotListening::Silent(silence(&subject, port), lines),
                _ => NotListening::Elsewhere(ports, lines),
            });
        }
        pause();
    }
}

/// The reason why a subject does not listen, if it can be seen.
fn silence(subject: &Subject, port: u16) -> Option<&'static str> {
    if sockets::listening().iter().any(|it| it.local.port() == port) {
        return Some("another program listens there");
    }
    let asks = subject.processes().iter().any(ProcessState::waits_for_stdin);
    asks.then_some("it waits for its standard input, where nobody types")
}

/// /proc has no events to wait for.
#[expect(clippy::disallowed_methods, reason = "a listener of another process is no event")]
fn pause() {
    thread::sleep(LOOK_INTERVAL);
}

fn listening(mut subject: Subject, socket: &Socket, startup: Duration) -> Subject {
    subject.address = reachable(socket.local);
    subject.backlog = socket.unsent;
    subject.startup = startup;
    subject
}

fn spawn(spec: &Spec, port: u16) -> io::Result<Subject> {
    let words = spec.command.fill(&spec.host, port);
    let environment = [("HOST", spec.host.clone().into()), ("PORT", port.to_string().into())];
    let mut subject = spawn_supervised(spec, &words, &environment, None)?;
    subject.address.set_port(port);
    subject.told = port;
    Ok(subject)
}

/// A pipe that no other program inherits.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}

/// Starts a program under a supervisor, with the settings of `spec`. Its stderr is kept, and its
/// stdout as well if it has no other place: in one pipe, where they stay in order.
pub(super) fn spawn_supervised(
    spec: &Spec,
    words: &[OsString],
    environment: &[(&str, OsString)],
    stdout: Option<OwnedFd>,
) -> io::Result<Subject> {
    let (ours, theirs) = UnixStream::pair()?;
    let (output_end, stderr) = pipe()?;
    let stdout = stdout.map_or_else(|| stderr.try_clone(), Ok)?;
    let mut command = this_program();
    command.args((spec.supervise_args)("supervise", spec.settings, words));
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(OwnedFd::from(theirs)).stdout(stdout).stderr(stderr);
    let supervisor = command.spawn()?;
    drop(command);
    let output = Output::default();
    output.keep(File::from(output_end))?;
    let mut subject = Subject {
        supervisor,
        reports: Reports::new(ours.try_clone()?),
        orders: ours,
        first: Pid::INIT,
        end: None,
        gone: false,
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        told: 0,
        startup: Duration::ZERO,
        backlog: 0,
        output,
        grace: spec.grace,
    };
    let line = subject.reports.receive(None)?.unwrap_or_default();
    let report = line.split_once(' ').unwrap_or_default();
    subject.first = match report {
        ("started", pid) => pid.parse().ok().and_then(Pid::from_raw),
        _ => None,
    }
    .ok_or_else(|| io::Error::other(report.1))?;
    Ok(subject)
}
