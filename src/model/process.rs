//! A process for each client: this program's own command `session`, started with the client's
//! socket as its stdin and stdout. The acceptor keeps nothing of the connection, only the child.
//!
//! Two pipes are shared by the acceptor and all its children. One is never written to: it ends when
//! the acceptor wants to stop or is no more, however it went, and then the children drain. A signal
//! could not say that: it would end a child that is not yet ready for it, and with the child the
//! requests of its client. That is also why the children are no part of the process group to which
//! a terminal sends Ctrl-C. Through the other pipe a child says why its connection ended, right
//! before it ends itself. What it has moved until then is counted only then.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::pipe;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::ServiceOptions;
use super::report::Report;
use crate::net::limited_listener::ClientId;
use crate::service::MAX_SLEEP;
use crate::session::{CloseReason, Traffic};

/// What is read of the children's reports at once, in bytes.
const REPORTS_SIZE: usize = 4096;

/// How long a process that was cut may take to end; one that sleeps for its service, which is no
/// more than [`MAX_SLEEP`], is not woken.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// How often such a process is looked at.
const REAP_INTERVAL: Duration = Duration::from_millis(5);

const _: () = assert!(KILL_GRACE.as_millis() > MAX_SLEEP.as_millis());

/// The processes that serve clients.
pub(super) struct Processes {
    program: PathBuf,
    /// What all of them are told on their command line.
    options: Vec<OsString>,
    /// By the client's number.
    children: HashMap<u64, Worker>,
    /// Those that have reported and are about to end.
    exiting: Vec<Child>,
    take_closed: Vec<(ClientId, CloseReason)>,
    /// As long as the write end is open, the children go on. They are given the read end.
    keepalive_pipe: Option<OwnedFd>,
    _until: OwnedFd,
    reports: File,
    /// What was read of a report that has not come whole.
    partial: Vec<u8>,
    /// The children are given this end.
    _report: OwnedFd,
    traffic: Arc<Traffic>,
}

/// A child, and whom it serves.
struct Worker {
    child: Child,
    guest: ClientId,
}

impl Processes {
    /// None yet. They will treat their clients so, and what they report is counted there.
    pub(super) fn new(service_options: &ServiceOptions, traffic: Arc<Traffic>) -> io::Result<Self> {
        let (until, keepalive_pipe) = pipe()?;
        let (reports, report) = pipe()?;
        for our_own in [keepalive_pipe.as_fd(), reports.as_fd()] {
            fcntl_setfd(our_own, FdFlags::CLOEXEC)?;
        }
        fcntl_setfl(&reports, fcntl_getfl(&reports)? | OFlags::NONBLOCK)?;
        let mut options = vec!["session".into()];
        options.extend(service_options.options());
        options.push(format!("--until=/dev/fd/{}", until.as_raw_fd()).into());
        options.push(format!("--report=/dev/fd/{}", report.as_raw_fd()).into());
        Ok(Self {
            program: env::current_exe()?,
            options,
            children: HashMap::new(),
            exiting: Vec::new(),
            take_closed: Vec::new(),
            keepalive_pipe: Some(keepalive_pipe),
            _until: until,
            reports: reports.into(),
            partial: Vec::new(),
            _report: report,
            traffic,
        })
    }

    /// Starts one more. If the machine has no process to give, the socket comes back.
    pub(super) fn start(
        &mut self,
        socket: mio::net::TcpStream,
        address: SocketAddr,
        guest: ClientId,
    ) -> Result<(), (mio::net::TcpStream, io::Error)> {
        let socket = TcpStream::from(socket);
        match self.spawn(&socket, address, guest.number) {
            Ok(child) => {
                self.children.insert(guest.number, Worker { child, guest });
                Ok(())
            }
            Err(error) => Err((mio::net::TcpStream::from_std(socket), error)),
        }
    }

    fn spawn(&self, socket: &TcpStream, address: SocketAddr, number: u64) -> io::Result<Child> {
        let (input, output) = (OwnedFd::from(socket.try_clone()?), socket.try_clone()?);
        let mut command = Command::new(&self.program);
        command.args(&self.options).arg(format!("--client={number}"));
        // The names that UCSPI has for them (https://cr.yp.to/proto/ucspi.txt).
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

    /// A child may have ended, or many: one signal can stand for them all. Those that reported are
    /// looked at one by one; only if another is dead, too, all of them are.
    pub(super) fn reap(&mut self) {
        self.read_reports();
        self.exiting.retain_mut(is_running);
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if matches!(waitid(WaitId::All, look), Ok(Some(_))) {
            for number in self.children.keys().copied().collect::<Vec<_>>() {
                self.collect(number);
            }
        }
    }

    /// Those that have left since this was asked last, and why. Their processes may still be about
    /// to end.
    pub(super) fn take_closed(
        &mut self,
    ) -> impl Iterator<Item = (ClientId, CloseReason)> + use<'_> {
        self.read_reports();
        self.take_closed.drain(..)
    }

    /// From now on an empty socket is the end of input.
    pub(super) fn drain(&mut self) {
        self.keepalive_pipe = None;
    }

    /// Ends every process at once, and leaves none behind. They have a moment to let go of their
    /// sessions, in which a service records what it must.
    pub(super) fn cut(&mut self) -> Vec<(ClientId, CloseReason)> {
        self.read_reports();
        for Worker { child, .. } in self.children.values() {
            // One that cannot be told has ended.
            kill_process(Pid::from_child(child), Signal::HUP).ok();
        }
        for _ in 0..KILL_GRACE.as_millis() / REAP_INTERVAL.as_millis() {
            self.exiting.retain_mut(is_running);
            let cut = self.children.values_mut().any(|worker| is_running(&mut worker.child));
            if self.exiting.is_empty() && !cut {
                break;
            }
            thread::park_timeout(REAP_INTERVAL);
            self.read_reports();
        }
        // One may have reported just before it was found to have ended.
        self.read_reports();
        // The others had no time to say anything, or did not take it.
        for (_, Worker { child, guest }) in self.children.drain() {
            self.take_closed.push((guest, CloseReason::Forced));
            self.exiting.push(child);
        }
        for mut child in self.exiting.drain(..) {
            child.kill().ok();
            child.wait().ok();
        }
        mem::take(&mut self.take_closed)
    }

    /// Notes the end of a child that has not reported, if it has come.
    fn collect(&mut self, number: u64) {
        let Some(Worker { child, .. }) = self.children.get_mut(&number) else { return };
        let status = match child.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        // It may have reported just after we looked.
        self.read_reports();
        if let Some(Worker { guest, .. }) = self.children.remove(&number) {
            log::error!("the process of client {number} said nothing and ended: {status}");
            self.take_closed.push((guest, CloseReason::Broken));
        }
    }

    fn read_reports(&mut self) {
        let mut room = [0; REPORTS_SIZE];
        // The pipe does not end: we have its other end ourselves. Any error means that it is empty.
        while let Ok(n) = self.reports.read(&mut room) {
            self.partial.extend_from_slice(&room[..n]);
        }
        let whole = memchr::memrchr(b'\n', &self.partial).map_or(0, |end| end + 1);
        let whole: Vec<u8> = self.partial.drain(..whole).collect();
        for report in String::from_utf8_lossy(&whole).lines().filter_map(Report::parse) {
            if let Some(Worker { child, guest }) = self.children.remove(&report.client) {
                self.exiting.push(child);
                self.take_closed.push((guest, report.ending));
                self.traffic.add(report.messages, report.received, report.sent);
            }
        }
    }
}

fn is_running(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}

/// What our own log takes of a session: the children's logs take the same.
fn log_level() -> String {
    let wanted = |level: &log::Level| log::log_enabled!(target: "socklab::session", *level);
    let level = log::Level::iter().filter(wanted).last();
    level.map_or("off", |level| level.as_str()).to_owned()
}
