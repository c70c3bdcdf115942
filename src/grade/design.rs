//! The design of a server: what changes in it when five clients come, and what its threads wait in.
//!
//! The verdict comes from the change per client and not from counts: a Java server has 19 threads
//! before its first client, and a loop in Go has 7.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::Expect;
use super::snapshot::Snapshot;
use crate::number;
use crate::subject::processes::{Call, EpollTarget, ProcessState, Target, ThreadState};

/// Clients of an inspection.
pub(super) const CLIENTS: usize = 5;

/// The time in which switches are counted.
pub(super) const WATCHED: Duration = Duration::from_millis(300);

/// The voluntary switches in the time of an inspection from which on a server polls.
const POLLING: u64 = 15;

/// The processor time in it from which on a server polls without a pause.
const BUSY: Duration = Duration::from_millis(100);

/// The calls that receive from a socket, which is their first argument.
const RECEIVES: [&str; 6] = ["read", "readv", "recvfrom", "recvmsg", "recvmmsg", "recv"];

/// The calls that wait for several descriptors. Their first argument is none.
pub(super) const SELECTS: [&str; 4] = ["select", "pselect6", "poll", "ppoll"];

/// The calls that wait for an epoll instance.
const EPOLLS: [&str; 3] = ["epoll_wait", "epoll_pwait", "epoll_pwait2"];

/// The calls that wait for a time.
const SLEEPS: [&str; 2] = ["nanosleep", "clock_nanosleep"];

/// A classic design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Iterative,
    ThreadPerClient,
    Pool(usize),
    ProcessPerClient,
    Prefork(usize),
    Loop,
    Polling,
    Unknown,
}

/// The design of a server, and the evidence.
#[derive(Clone, Debug)]
pub(super) struct Design {
    pub(super) class: Class,
    /// Clients that were served at the same time; not limited, if all were.
    pub(super) served: usize,
    /// True if others were closed instead of being kept waiting: it has a limit on clients.
    pub(super) rejects: bool,
    /// Clients of the inspection that could connect.
    pub(super) clients: usize,
    /// The observation, in words.
    pub(super) evidence: String,
}

impl fmt::Display for Class {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Iterative => out.write_str("one client at a time"),
            Self::ThreadPerClient => out.write_str("a thread for each client"),
            Self::Pool(workers) => write!(out, "a pool of {workers} threads"),
            Self::ProcessPerClient => out.write_str("a process for each client"),
            Self::Prefork(workers) => write!(out, "{workers} processes started beforehand"),
            Self::Loop => out.write_str("a readiness loop"),
            Self::Polling => out.write_str("a loop that polls instead of waiting"),
            Self::Unknown => out.write_str("a design that cannot be seen from outside"),
        }
    }
}

impl Class {
    /// True if it is the design that is expected.
    pub(super) fn is(self, expected: Expect) -> bool {
        match expected {
            Expect::Any => true,
            Expect::Single => self == Self::Iterative,
            Expect::Thread => self == Self::ThreadPerClient,
            Expect::Pool => matches!(self, Self::Pool(_)),
            Expect::Process => self == Self::ProcessPerClient,
            Expect::Prefork => matches!(self, Self::Prefork(_)),
            Expect::Loop => self == Self::Loop,
        }
    }
}

/// All that the verdict is made of.
pub(super) struct View<'v> {
    /// The server before its first client.
    pub(super) before: &'v Snapshot,
    /// The server with its clients.
    pub(super) during: &'v Snapshot,
    /// The addresses of the clients that could connect.
    pub(super) clients: &'v [SocketAddr],
    /// The number of those that were served.
    pub(super) served: usize,
    /// The number of those that were closed instead.
    pub(super) rejected: usize,
    /// Voluntary switches in [`WATCHED`].
    pub(super) switches: u64,
    /// Processor time in it.
    pub(super) worked: Duration,
}

impl View<'_> {
    /// The verdict.
    pub(super) fn design(&self) -> Design {
        let (class, seen) = self.class();
        let count = self.clients.len();
        let evidence = match (count, self.served) {
            (CLIENTS, CLIENTS) => format!("{count} clients: {seen}"),
            (CLIENTS, served) => format!("{count} clients, {served} served: {seen}"),
            (count, served) => {
                format!("{count} of {CLIENTS} clients could connect, {served} served: {seen}")
            }
        };
        let rejects = self.rejected > 0;
        Design { class, served: self.served, rejects, clients: count, evidence }
    }

    fn class(&self) -> (Class, String) {
        let accepted = self.during.accepted(self.clients);
        let receivers = self.receivers(&accepted);
        if self.served == 0 {
            return (Class::Unknown, "nobody was answered".to_owned());
        }
        if self.served == 1 {
            let waits = self.during.threads().find_map(|(_, thread)| thread.call.name());
            let waits = receivers.first().map(|it| it.call).or(waits).unwrap_or("a call");
            let queued = self.during.queued(self.clients);
            let others = if queued > 0 { "are not accepted" } else { "were rejected" };
            return (
                Class::Iterative,
                format!("one thread waits in {waits}, the other clients {others}"),
            );
        }
        if let Some(seen) = self.polls(&accepted) {
            return (Class::Polling, seen);
        }
        // A parent that keeps its copies of the sockets holds all of them; its children one each.
        let processes: HashSet<_> = receivers.iter().map(|it| it.pid).collect();
        if receivers.len() > 1 && processes.len() > 1 {
            return self.by_processes(&receivers, &processes);
        }
        if receivers.len() > 1 {
            return self.by_threads(&receivers);
        }
        self.by_loop(&accepted)
    }

    /// The threads that wait for one client each.
    fn receivers(&self, accepted: &HashSet<u64>) -> Vec<Receiver> {
        let old: HashSet<_> = self.before.threads().map(|(_, thread)| thread.tid).collect();
        let selects =
            |thread: &ThreadState| thread.call.name().is_some_and(|name| SELECTS.contains(&name));
        // A loop has waited so before its first client.
        let loops = self.before.threads().filter(|(_, thread)| selects(thread));
        let loops: HashSet<_> = loops.map(|(_, thread)| thread.tid).collect();
        let receiver = |(process, thread): (&ProcessState, &ThreadState)| {
            let Call::Waiting { name, arguments } = thread.call else { return None };
            let held = held_by(process, accepted);
            let mut socket = None;
            let waits_for_one = if RECEIVES.contains(&name) {
                let descriptor = process.descriptor(arguments[0])?;
                match descriptor.target {
                    Target::Socket(it) if accepted.contains(&it) => socket = Some(it),
                    _ => return None,
                }
                true
            } else {
                // poll(2) of one descriptor, for its timeout; or a process with one client.
                let one = matches!(name, "poll" | "ppoll") && arguments[1] == 1;
                let waits = SELECTS.contains(&name) || EPOLLS.contains(&name);
                // /proc does not say for which descriptors: as many threads as clients are served.
                let chosen = |it: &ThreadState| selects(it) && !loops.contains(&it.tid);
                let several = || {
                    let count = process.threads.iter().filter(|it| chosen(it)).count();
                    chosen(thread) && held > 0 && count >= self.served
                };
                (one && held > 0) || (waits && held == 1) || several()
            };
            let (pid, new) = (process.pid, !old.contains(&thread.tid));
            waits_for_one.then_some(Receiver { pid, call: name, socket, new })
        };
        self.during.threads().filter_map(receiver).collect()
    }

    fn by_processes(&self, receivers: &[Receiver], processes: &HashSet<i32>) -> (Class, String) {
        let (count, call) = (processes.len(), receivers[0].call);
        let old: HashSet<_> = self.before.live().map(|process| process.pid).collect();
        let new = processes.iter().filter(|pid| !old.contains(pid)).count();
        if self.served + self.rejected < self.clients.len() {
            let seen = format!("{count} processes, each in {call} on a client of its own");
            (Class::Prefork(self.served), seen)
        } else if new + 1 >= count {
            let seen = format!("{new} processes more, each in {call} on a client of its own");
            (Class::ProcessPerClient, seen)
        } else {
            let seen = format!("{count} processes that were there before, each in {call}");
            (Class::Prefork(self.served), seen)
        }
    }

    fn by_threads(&self, receivers: &[Receiver]) -> (Class, String) {
        let (count, call) = (receivers.len(), receivers[0].call);
        let new = receivers.iter().filter(|it| it.new).count();
        if self.served + self.rejected < self.clients.len() {
            let seen = format!("{count} threads, each in {call} on a client of its own");
            (Class::Pool(self.served), seen)
        } else if new + 1 >= count {
            let sockets: HashSet<_> = receivers.iter().filter_map(|it| it.socket).collect();
            let on = match sockets.len() {
                clients if clients > 0 && clients < count => {
                    format!("on the sockets of only {}", number::counted(clients, "client"))
                }
                _ => "on a client of its own".to_owned(),
            };
            (Class::ThreadPerClient, format!("{new} threads more, each in {call} {on}"))
        } else {
            let threads = self.before.threads().count();
            let seen =
                format!("{threads} threads were there before, {count} of them now in {call}");
            (Class::Pool(threads.saturating_sub(1).max(count)), seen)
        }
    }

    fn by_loop(&self, accepted: &HashSet<u64>) -> (Class, String) {
        for process in self.during.live() {
            if held_by(process, accepted) < 2 {
                continue;
            }
            let uring = process.descriptors.iter().any(|it| it.target == Target::IoUring);
            if uring {
                return (Class::Loop, "an io_uring instance for all of them".to_owned());
            }
            if let Some(seen) = epoll_of(process, accepted) {
                return (Class::Loop, seen);
            }
            let select = process.threads.iter().find_map(|thread| match thread.call {
                Call::Waiting { name, arguments } if SELECTS.contains(&name) => {
                    Some((name, arguments))
                }
                _ => None,
            });
            match select {
                Some((name @ ("poll" | "ppoll"), arguments)) => {
                    let watched = arguments[1];
                    let seen =
                        format!("one thread waits in {name} for {watched} descriptors at once");
                    return (Class::Loop, seen);
                }
                Some((name, arguments)) => {
                    let most = arguments[0].saturating_sub(1);
                    let seen = format!(
                        "one thread waits in {name} for descriptors up to {most}, all of them"
                    );
                    return (Class::Loop, seen);
                }
                None => {}
            }
        }
        let calls: Vec<_> = self.during.threads().filter_map(|(_, it)| it.call.name()).collect();
        let seen = format!("its threads wait in {}", calls.join(", "));
        (Class::Unknown, seen)
    }

    /// A server that looks for work again and again.
    fn polls(&self, accepted: &HashSet<u64>) -> Option<String> {
        let sleeps = self.during.threads().any(|(process, thread)| {
            held_by(process, accepted) > 1
                && match thread.call {
                    Call::Waiting { name, .. } => SLEEPS.contains(&name) || name == "select",
                    Call::Running => true,
                    Call::Unknown => false,
                }
        });
        let waits = self.by_loop(accepted).0 == Class::Loop;
        let rate = u128::from(self.switches) * 1000 / WATCHED.as_millis();
        let seen = if self.worked >= BUSY {
            "it looks again without a pause".to_owned()
        } else if self.switches >= POLLING {
            format!("it sleeps and looks again, {rate} times a second")
        } else {
            return None;
        };
        (sleeps && !waits).then_some(seen)
    }
}

/// A thread that waits for one client.
struct Receiver {
    pid: i32,
    call: &'static str,
    /// The inode of the socket from which it receives, if it waits in a receive.
    socket: Option<u64>,
    /// True if it was not there before the clients.
    new: bool,
}

/// The number of clients whose sockets a process has.
fn held_by(process: &ProcessState, accepted: &HashSet<u64>) -> usize {
    let held: HashSet<_> = process.sockets().filter(|it| accepted.contains(it)).collect();
    held.len()
}

/// The epoll instances of a process, if they watch at least two of the accepted sockets.
fn epoll_of(process: &ProcessState, accepted: &HashSet<u64>) -> Option<String> {
    let watches = |target: &&EpollTarget| {
        let descriptor =
            u64::try_from(target.descriptor).ok().and_then(|it| process.descriptor(it));
        descriptor.is_some_and(
            |it| matches!(it.target, Target::Socket(inode) if accepted.contains(&inode)),
        )
    };
    let instances = process.descriptors.iter().filter_map(|it| match &it.target {
        Target::Epoll(targets) => Some(targets.iter().filter(watches).collect::<Vec<_>>()),
        _ => None,
    });
    let all: Vec<_> = instances.flatten().collect();
    if all.len() < 2 {
        return None;
    }
    let waiting =
        process.threads.iter().filter_map(|it| it.call.name()).filter(|it| EPOLLS.contains(it));
    let threads = match waiting.count() {
        0 | 1 => "one thread waits".to_owned(),
        count => format!("{count} threads wait"),
    };
    let edge = if all.iter().all(|it| it.edge_triggered) { ", edge-triggered" } else { "" };
    Some(format!("{threads} in epoll_wait for {} of them{edge}", all.len()))
}
