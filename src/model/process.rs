//! The models `process` and `prefork`: a process for each client, started for it or beforehand. It
//! is this program's own command `session`. A process of its own has the client's socket as stdin
//! and stdout; one that was started beforehand gets one client after another through a
//! [channel](super::handover). The loop keeps nothing of a connection but the child.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mio::Registry;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use signal_hook::consts::SIGCONT;

use super::config::Config;
use super::control_pipes::ControlPipes;
use super::handover;
use super::launcher::{Launcher, Worker};
use super::shared::Shared;
use super::stats::{Client, Stats};
use super::workers::{Arrival, KILL_GRACE, KILL_WAIT, Sessions, Workers};
use crate::error::{Failure, is_disconnect};
use crate::net::rate_limit::RateLimit;
use crate::reactor::Source;
use crate::session::{CloseReason, Traffic};
use crate::signal::Notice;

/// The time between two looks at processes that were cut.
const REAP_INTERVAL: Duration = Duration::from_millis(5);

/// The least time between two replacements of dead children: one that cannot live would otherwise
/// be replaced again and again. A client that finds none free meanwhile starts one.
const REPLACE_INTERVAL: Duration = Duration::from_millis(100);

/// The processes that serve clients.
pub(super) struct Processes {
    launcher: Launcher,
    /// The number of children that are kept for one client after another; 0 if each has one.
    kept: usize,
    /// Children without a client. They are kept.
    free: Vec<Worker>,
    /// By the client's number.
    serving: HashMap<u64, ServingWorker>,
    /// Children that have reported and are about to exit.
    exiting: Vec<Child>,
    pipes: ControlPipes,
    stats: Arc<Stats>,
    traffic: Arc<Traffic>,
    log_limit: Arc<RateLimit>,
    /// The time of the last replacement of dead children.
    replaced_at: Option<Instant>,
    /// Set once the server is to stop.
    stop_came: Arc<AtomicBool>,
    /// SIGCONT to this process.
    continued: Notice,
}

/// A child, and the client that it serves.
struct ServingWorker {
    worker: Worker,
    client: Client,
}

impl Processes {
    /// The processes of a loop: none yet.
    pub(super) fn of_loop(
        config: &Config,
        shared: &Shared,
        registry: &Registry,
        sessions: &Sessions,
    ) -> Result<Box<dyn Workers>, Failure> {
        Self::new(config, shared, registry, sessions).map(|processes| Box::new(processes) as _)
    }

    /// A process for each client that the server may have.
    pub(super) fn kept_by_loop(
        config: &Config,
        shared: &Shared,
        registry: &Registry,
        sessions: &Sessions,
    ) -> Result<Box<dyn Workers>, Failure> {
        let kept = shared.limiter.capacity().clients;
        let mut processes = Self { kept, ..Self::new(config, shared, registry, sessions)? };
        let registered = processes.pipes.register_reports(registry);
        let started = registered.and_then(|()| processes.refill());
        let what = format_args!("start {kept} processes");
        started.map_err(|error| Failure::cannot(what, &error))?;
        Ok(Box::new(processes))
    }

    fn new(
        config: &Config,
        shared: &Shared,
        registry: &Registry,
        sessions: &Sessions,
    ) -> Result<Self, Failure> {
        let pipes = ControlPipes::new();
        let processes = Self {
            launcher: Launcher::new(config)?,
            kept: 0,
            free: Vec::new(),
            serving: HashMap::new(),
            exiting: Vec::new(),
            pipes: pipes.map_err(|error| Failure::cannot("make pipes", &error))?,
            stats: Arc::clone(&shared.stats),
            traffic: Arc::clone(&sessions.context.traffic),
            log_limit: Arc::clone(&shared.log_limit),
            replaced_at: None,
            stop_came: Arc::clone(&shared.stop_came),
            continued: Notice::new(SIGCONT, registry, Source::Waker.token())?,
        };
        processes.reap_inherited();
        Ok(processes)
    }

    /// Starts processes until there are as many as are kept, or the server is to stop.
    fn refill(&mut self) -> io::Result<()> {
        let stops = || self.stop_came.load(Ordering::Acquire);
        while !stops() && !self.pipes.is_ended() && self.free.len() + self.serving.len() < self.kept
        {
            self.free.push(self.launcher.kept(&self.pipes)?);
        }
        Ok(())
    }

    /// Passes a client to a free process.
    fn hand_over(
        &mut self,
        socket: &TcpStream,
        address: SocketAddr,
        number: u64,
    ) -> io::Result<Worker> {
        loop {
            let (worker, is_new) = match self.free.pop() {
                Some(worker) => (worker, false),
                // One has exited, and no other was started then.
                None => (self.launcher.kept(&self.pipes)?, true),
            };
            let channel = worker.channel.as_ref().expect("a process that is kept has one");
            match handover::send(channel, number, address, socket) {
                Ok(()) => return Ok(worker),
                // It has exited, and the loop has not yet seen its SIGCHLD.
                Err(error) if is_disconnect(&error) && !is_new => self.exiting.push(worker.child),
                Err(error) => {
                    self.free.push(worker);
                    return Err(error);
                }
            }
        }
    }

    fn own_children(&self) -> impl Iterator<Item = &Child> {
        let serving = self.serving.values().map(|serving| &serving.worker);
        serving.chain(&self.free).map(|worker| &worker.child).chain(&self.exiting)
    }

    /// Waits for dead children that are none of ours: execve(2) keeps the children of a process.
    fn reap_inherited(&self) {
        let ours: HashSet<_> = self.own_children().map(Child::id).collect();
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
        let Some(ServingWorker { worker, .. }) = self.serving.get_mut(&number) else { return };
        let status = match worker.child.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        // It may have reported after the last look.
        self.reap();
        if let Some(ServingWorker { client, .. }) = self.serving.remove(&number) {
            log::error!("the process of client {number} exited without a report: {status}");
            self.stats.left(client, CloseReason::Broken);
        }
    }

    /// Continues all children after a halt of this process. One that was just starting may have
    /// been halted with it, and no longer be in its process group when that was continued.
    fn continue_children(&self) {
        for child in self.own_children() {
            // One that cannot be signalled has exited.
            kill_process(Pid::from_child(child), Signal::CONT).ok();
        }
    }

    /// Removes the children that have exited without a client, and starts others for all that have
    /// exited.
    fn replace_dead(&mut self) {
        let free = self.free.len();
        self.free.retain_mut(|worker| is_running(&mut worker.child));
        let dead = free - self.free.len();
        let now = clock();
        let is_early = self.replaced_at.is_some_and(|at| now < at + REPLACE_INTERVAL);
        if self.pipes.is_ended() || is_early {
            return;
        }
        self.replaced_at = Some(now);
        if dead > 0 {
            log::warn!("processes without a client have exited: {dead}");
        }
        if let Err(error) = self.refill() {
            self.log_limit.warn(format_args!("cannot start another process"), &error, now);
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
        let number = client.number;
        let worker = match self.kept {
            0 => self.launcher.of_client(&self.pipes, &socket, address, number),
            _ => self.hand_over(&socket, address, number),
        };
        match worker {
            Ok(worker) => {
                self.serving.insert(number, ServingWorker { worker, client });
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
            self.replace_dead();
            self.reap_inherited();
        }
    }

    fn reap(&mut self) {
        if self.continued.take() {
            self.continue_children();
        }
        for report in self.pipes.reports() {
            if let Some(ServingWorker { worker, client }) = self.serving.remove(&report.client) {
                match worker.channel {
                    Some(_) if !self.pipes.is_ended() => self.free.push(worker),
                    _ => self.exiting.push(worker.child),
                }
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
    /// was stopped (SIGSTOP) gets the signal when it goes on. What is left then is killed.
    fn cut(&mut self) {
        self.pipes.end_keepalive();
        self.reap();
        self.exiting.extend(self.free.drain(..).map(|worker| worker.child));
        for ServingWorker { worker: Worker { child, .. }, .. } in self.serving.values() {
            // One that cannot be signalled has exited.
            for signal in [Signal::HUP, Signal::CONT] {
                kill_process(Pid::from_child(child), signal).ok();
            }
        }
        let until = clock() + KILL_GRACE;
        while clock() < until {
            self.exiting.retain_mut(is_running);
            let mut serving = self.serving.values_mut().map(|serving| &mut serving.worker.child);
            let serving = serving.any(is_running);
            if self.exiting.is_empty() && !serving {
                break;
            }
            thread::park_timeout(REAP_INTERVAL);
            self.reap();
        }
        // One may have reported just before it was seen to have exited.
        self.reap();
        for (_, ServingWorker { worker, client }) in self.serving.drain() {
            self.stats.left(client, CloseReason::Forced);
            self.exiting.push(worker.child);
        }
        for child in &mut self.exiting {
            child.kill().ok();
        }
        let until = clock() + KILL_WAIT;
        while clock() < until {
            self.exiting.retain_mut(is_running);
            if self.exiting.is_empty() {
                break;
            }
            thread::park_timeout(REAP_INTERVAL);
        }
    }
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
