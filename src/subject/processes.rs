//! Processes and their threads, as /proc shows them to their user: without ptrace(2) and without
//! root.

use std::collections::HashMap;
use std::fs;

use procfs::process::{FDTarget, Process, Syscall, Task, all_processes};
use rustix::process::Pid;
use syscalls::Sysno;

/// The flag of `EPOLLET` among the events of an epoll instance (`epoll_ctl(2)`).
const EDGE_TRIGGERED: u32 = 1 << 31;

/// The number of the standard input.
const STDIN: u64 = 0;

/// A process at one moment.
#[derive(Clone, Debug)]
pub struct ProcessState {
    /// Its number.
    pub pid: i32,
    /// True if it has ended and nobody has waited for it.
    pub zombie: bool,
    /// Its threads.
    pub threads: Vec<ThreadState>,
    /// Its descriptors.
    pub descriptors: Vec<Descriptor>,
}

/// A thread at one moment.
#[derive(Clone, Debug)]
pub struct ThreadState {
    /// Its number.
    pub tid: i32,
    /// The system call it is in.
    pub call: Call,
    /// Times that it gave up the processor to wait.
    pub voluntary_switches: u64,
}

/// The system call of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It runs, or has just been woken.
    Running,
    /// It waits in this call. The arguments are those of the processor's registers.
    Waiting {
        /// The name, as `recvfrom`.
        name: &'static str,
        /// The arguments.
        arguments: [u64; 6],
    },
    /// /proc does not say.
    Unknown,
}

impl Call {
    /// The name of the call that a thread waits in.
    pub fn name(self) -> Option<&'static str> {
        if let Self::Waiting { name, .. } = self { Some(name) } else { None }
    }
}

/// An open descriptor.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// Its number.
    pub number: i32,
    /// The object it refers to.
    pub target: Target,
}

/// The object of a descriptor, as far as a server's design shows in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A socket with this inode.
    Socket(u64),
    /// An epoll instance.
    Epoll(Vec<EpollTarget>),
    /// An `io_uring` instance.
    IoUring,
    /// Anything else.
    Other,
}

/// A descriptor that an epoll instance watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpollTarget {
    /// Its number.
    pub descriptor: i32,
    /// True if it was registered with `EPOLLET`.
    pub edge_triggered: bool,
}

impl ProcessState {
    /// The process with this number, as far as it can be read; none if it is gone.
    pub fn read(pid: Pid) -> Option<Self> {
        let process = open(pid)?;
        let stat = process.stat().ok()?;
        let tasks = process.tasks().into_iter().flatten().flatten();
        Some(Self {
            pid: process.pid(),
            zombie: stat.state == 'Z',
            threads: tasks.map(|task| ThreadState::read(&task)).collect(),
            descriptors: descriptors(&process),
        })
    }

    /// The inodes of its sockets.
    pub fn sockets(&self) -> impl Iterator<Item = u64> + '_ {
        self.descriptors.iter().filter_map(|descriptor| match descriptor.target {
            Target::Socket(inode) => Some(inode),
            _ => None,
        })
    }

    /// True if one of its threads waits for its standard input.
    pub fn waits_for_stdin(&self) -> bool {
        let waits = |call: Call| {
            matches!(call, Call::Waiting { name: "read", arguments }
                if arguments[0] == STDIN)
        };
        let is_no_socket = |it: &Descriptor| matches!(it.target, Target::Other);
        self.descriptor(STDIN).is_some_and(is_no_socket)
            && self.threads.iter().any(|thread| waits(thread.call))
    }

    /// The descriptor with this number.
    pub fn descriptor(&self, number: u64) -> Option<&Descriptor> {
        self.descriptors.iter().find(|it| u64::try_from(it.number) == Ok(number))
    }
}

impl ThreadState {
    fn read(task: &Task) -> Self {
        let call = match task.syscall() {
            // -1: it waits, but not in a system call.
            Ok(Syscall::Running | Syscall::Blocked { syscall_number: -1, .. }) => Call::Running,
            Ok(Syscall::Blocked { syscall_number, argument_registers, .. }) => {
                let number = usize::try_from(syscall_number).ok().and_then(Sysno::new);
                number.map_or(Call::Unknown, |number| Call::Waiting {
                    name: number.name(),
                    arguments: argument_registers,
                })
            }
            _ => Call::Unknown,
        };
        let status = task.status();
        let switches = status.ok().and_then(|status| status.voluntary_ctxt_switches);
        Self { tid: task.tid, call, voluntary_switches: switches.unwrap_or_default() }
    }
}

/// The folder of a process in /proc; none if it is gone.
pub(super) fn open(pid: Pid) -> Option<Process> {
    Process::new(pid.as_raw_nonzero().get()).ok()
}

fn descriptors(process: &Process) -> Vec<Descriptor> {
    let open = process.fd().into_iter().flatten().flatten();
    let read = |number, target| {
        let target = match target {
            FDTarget::Socket(inode) => Target::Socket(inode),
            FDTarget::AnonInode(name) if name.contains("eventpoll") => {
                let path = format!("/proc/{}/fdinfo/{number}", process.pid());
                // A descriptor that was closed meanwhile has no text.
                let info = fs::read_to_string(path).unwrap_or_default();
                Target::Epoll(info.lines().filter_map(epoll_target).collect())
            }
            FDTarget::AnonInode(name) if name.contains("io_uring") => Target::IoUring,
            _ => Target::Other,
        };
        Descriptor { number, target }
    };
    open.map(|info| read(info.fd, info.target)).collect()
}

/// A line of an epoll instance's `fdinfo`: `tfd: 5 events: 8000201d data: ...`, the events in
/// hexadecimal.
fn epoll_target(line: &str) -> Option<EpollTarget> {
    let mut words = line.strip_prefix("tfd:")?.split_whitespace();
    let descriptor = words.next()?.parse().ok()?;
    let events = words.skip_while(|word| *word != "events:").nth(1)?;
    let events = u32::from_str_radix(events, 16).ok()?;
    Some(EpollTarget { descriptor, edge_triggered: events & EDGE_TRIGGERED != 0 })
}

/// The processes below `ancestor`, those that are nearer to it first.
pub(super) fn descendants(ancestor: Pid) -> Vec<Pid> {
    let mut children = HashMap::<i32, Vec<i32>>::new();
    for process in all_processes().into_iter().flatten().flatten() {
        if let Ok(stat) = process.stat() {
            children.entry(stat.ppid).or_default().push(process.pid());
        }
    }
    let mut found = vec![ancestor.as_raw_nonzero().get()];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found.into_iter().skip(1).filter_map(Pid::from_raw).collect()
}

/// The inodes of a process' sockets.
pub(super) fn socket_inodes(pid: Pid) -> Vec<u64> {
    let descriptors = open(pid).and_then(|process| process.fd().ok());
    let descriptors = descriptors.into_iter().flatten().flatten();
    let inode = |target| if let FDTarget::Socket(inode) = target { Some(inode) } else { None };
    descriptors.filter_map(|descriptor| inode(descriptor.target)).collect()
}

/// The number of processes and threads of this user, as `RLIMIT_NPROC` counts them.
pub(super) fn count_of_user() -> u64 {
    let user = rustix::process::getuid().as_raw();
    let processes = all_processes().into_iter().flatten().flatten();
    let ours = processes.filter(|process| process.uid().is_ok_and(|owner| owner == user));
    let threads = ours.filter_map(|process| u64::try_from(process.stat().ok()?.num_threads).ok());
    threads.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_an_epoll_instance_names_a_descriptor_and_its_trigger() {
        let line = "tfd:        5 events: 8000201d data:                5  pos:0 ino:b sdev:8";
        let target = EpollTarget { descriptor: 5, edge_triggered: true };
        assert_eq!(epoll_target(line), Some(target));
        assert_eq!(epoll_target("pos:\t0"), None);
    }

    #[test]
    fn this_process_is_readable_with_its_threads_and_sockets() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let this = ProcessState::read(rustix::process::getpid()).expect("it runs");
        assert!(!this.zombie && !this.threads.is_empty());
        let address = listener.local_addr().expect("it is bound");
        let table = crate::subject::sockets::listening();
        let row = table.iter().find(|row| row.local == address).expect("it listens");
        assert!(this.sockets().any(|inode| inode == row.inode));
    }
}
