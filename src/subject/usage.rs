//! The resources that a subject has used, with all its processes.

use std::time::Duration;

use nix::time::ClockId;
use procfs::process::Status;
use rustix::process::Pid;

use super::processes::{self, descendants};

/// The resources of all processes of a subject, at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Its processes.
    pub processes: u64,
    /// Its threads.
    pub threads: u64,
    /// The most resident memory of each process so far, in bytes, and summed: what processes share
    /// is in it several times.
    pub peak_memory: u64,
    /// Times that its threads gave up a processor, or were taken from it. Threads that have ended
    /// are not in it.
    pub switches: u64,
}

impl Usage {
    /// The usage of all processes below `ancestor`.
    pub(super) fn read(ancestor: Pid) -> Self {
        let mut sum = Self::default();
        for process in descendants(ancestor).into_iter().filter_map(processes::open) {
            // It may have ended meanwhile.
            let Ok(status) = process.status() else { continue };
            sum.processes += 1;
            sum.threads += status.threads;
            sum.peak_memory += status.vmhwm.unwrap_or_default() * 1024;
            let tasks = process.tasks().into_iter().flatten().flatten();
            let switches = tasks.filter_map(|task| task.status().ok()).map(|it| switches(&it));
            sum.switches += switches.sum::<u64>();
        }
        sum
    }
}

fn switches(status: &Status) -> u64 {
    let both = [status.voluntary_ctxt_switches, status.nonvoluntary_ctxt_switches];
    both.into_iter().flatten().sum()
}

/// The processor time of all processes below `ancestor`: to the nanosecond for those that run, and
/// in ticks of 10 ms for the sum of children that they have waited for.
pub(super) fn cpu_time(ancestor: Pid) -> Duration {
    let mut ticks = 0;
    let mut own = Duration::ZERO;
    for pid in descendants(ancestor) {
        let Some(stat) = processes::open(pid).and_then(|it| it.stat().ok()) else { continue };
        ticks += u64::try_from(stat.cutime + stat.cstime).unwrap_or_default();
        let clock = ClockId::pid_cpu_clock_id(nix::unistd::Pid::from_raw(stat.pid));
        // A process that has just ended has no clock.
        own += clock.and_then(ClockId::now).map_or(Duration::ZERO, Duration::from);
    }
    own + Duration::from_millis(ticks * 1000 / procfs::ticks_per_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn the_usage_of_a_child_is_seen_from_its_parent() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("it is installed");
        let usage = Usage::read(rustix::process::getpid());
        let cpu_time = cpu_time(rustix::process::getpid());
        drop(child.stdin.take());
        child.wait().expect("it ends with its input");
        // Other tests may have children as well.
        assert!(usage.processes >= 1 && usage.threads >= usage.processes, "{usage:?}");
        assert!(usage.peak_memory > 0, "{usage:?}");
        assert!(cpu_time > Duration::ZERO);
    }
}
