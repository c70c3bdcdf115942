//! A server as it can be seen from outside: its processes, threads and sockets at one moment.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::pause;
use crate::subject::Subject;
use crate::subject::processes::{ProcessState, ThreadState};
use crate::subject::sockets::{self, Socket, State};

/// The time between two looks at a server that is to come to rest.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The most looks.
const LOOKS: usize = 25;

/// The looks that show the same when a server has been set up.
const EQUAL_LOOKS: usize = 5;

/// A server at one moment, with the clients that it has.
pub(super) struct Snapshot {
    processes: Vec<ProcessState>,
    pub(super) sockets: Vec<Socket>,
}

impl Snapshot {
    pub(super) fn of(subject: &Subject) -> Self {
        Self { processes: subject.processes(), sockets: sockets::table() }
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &ProcessState> {
        self.processes.iter().filter(|process| !process.zombie)
    }

    pub(super) fn threads(&self) -> impl Iterator<Item = (&ProcessState, &ThreadState)> {
        self.live().flat_map(|process| process.threads.iter().map(move |it| (process, it)))
    }

    /// The inodes of the server's sockets for these clients. A connection in the accept queue has
    /// none yet.
    pub(super) fn accepted(&self, clients: &[SocketAddr]) -> HashSet<u64> {
        let accepted = |it: &&Socket| it.inode != 0 && clients.contains(&it.remote);
        self.sockets.iter().filter(accepted).map(|socket| socket.inode).collect()
    }

    /// True if a thread waits for the standard input of its process.
    pub(super) fn waits_for_stdin(&self) -> bool {
        self.live().any(ProcessState::waits_for_stdin)
    }

    /// The clients that wait in the accept queue. A connection that the server has closed has no
    /// inode either, but another state.
    pub(super) fn queued(&self, clients: &[SocketAddr]) -> usize {
        let waits = |socket: &&Socket| {
            socket.inode == 0
                && socket.state == State::Established
                && clients.contains(&socket.remote)
        };
        self.sockets.iter().filter(waits).count()
    }

    /// The shape of the server, which two snapshots of a server at rest have in common.
    fn rest(&self) -> Vec<(i32, Option<&'static str>)> {
        self.threads().map(|(_, thread)| (thread.tid, thread.call.name())).collect()
    }
}

/// The server, when its threads wait.
pub(super) fn at_rest(subject: &Subject) -> Snapshot {
    settled(subject, 1)
}

/// The server when it has been set up: processes and threads that are started beforehand may come
/// after it listens.
pub(super) fn set_up(subject: &Subject) -> Snapshot {
    settled(subject, EQUAL_LOOKS)
}

/// The server, when so many looks one after another have shown the same.
fn settled(subject: &Subject, looks: usize) -> Snapshot {
    let (mut last, mut equal) = (Snapshot::of(subject), 0);
    for _ in 0..LOOKS {
        pause(LOOK_INTERVAL);
        let next = Snapshot::of(subject);
        equal = if next.rest() == last.rest() { equal + 1 } else { 0 };
        last = next;
        if equal >= looks {
            break;
        }
    }
    last
}

/// The voluntary switches and the processor time of a server in this time.
pub(super) fn activity(subject: &Subject, time: Duration) -> (u64, Duration) {
    let switches = || {
        let processes = subject.processes();
        let threads = processes.iter().flat_map(|process| &process.threads);
        threads.map(|thread| (thread.tid, thread.voluntary_switches)).collect::<HashMap<_, _>>()
    };
    let (before, cpu) = (switches(), subject.cpu_time());
    pause(time);
    let after = switches().into_iter();
    let grown = after.map(|(tid, now)| now.saturating_sub(*before.get(&tid).unwrap_or(&0))).sum();
    (grown, subject.cpu_time().saturating_sub(cpu))
}
