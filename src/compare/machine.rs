//! The cores of this machine: those of the servers and those of the load, and other work on them.

use std::time::{Duration, Instant};

use procfs::{CpuTime, CurrentSI, KernelStats};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::compare::now;

/// The cores that this program may use, divided.
#[derive(Clone, Debug)]
pub(super) struct Cores {
    /// Those of the servers.
    servers: Vec<usize>,
    /// Those of the load; none, if there are not enough for both, and nothing is pinned.
    load: Vec<usize>,
}

impl Cores {
    /// Gives the last cores to the `threads` of the load, and the others to the servers.
    pub(super) fn divide(threads: usize) -> Self {
        let every: Vec<_> = match sched_getaffinity(None) {
            Ok(set) => (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect(),
            Err(_) => Vec::new(),
        };
        Self::divide_list(every, threads)
    }

    fn divide_list(mut every: Vec<usize>, threads: usize) -> Self {
        let load = match every.len().checked_sub(threads) {
            Some(rest) if rest > 0 => every.split_off(rest),
            _ => Vec::new(),
        };
        Self { servers: every, load }
    }

    /// The number of cores.
    pub(super) fn count(&self) -> usize {
        self.servers.len() + self.load.len()
    }

    /// True if servers and load have cores of their own.
    pub(super) fn are_divided(&self) -> bool {
        !self.load.is_empty()
    }

    /// Puts this thread, and what it starts from now on, where the servers run.
    pub(super) fn enter_servers(&self) {
        if self.are_divided() {
            pin(&self.servers);
        }
    }

    /// Puts this thread, and what it starts from now on, where the load runs.
    pub(super) fn enter_load(&self) {
        if self.are_divided() {
            pin(&self.load);
        }
    }

    fn all(&self) -> impl Iterator<Item = usize> + '_ {
        self.servers.iter().chain(&self.load).copied()
    }
}

fn pin(cores: &[usize]) {
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    if let Err(error) = sched_setaffinity(None, &set) {
        log::warn!("cannot choose the cores of this thread: {error}");
    }
}

/// The time that all cores have been busy for somebody, at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Busy {
    at: Instant,
    /// Time that was idle, or spent on interrupts, which nobody in particular has asked for.
    nobody: Duration,
    /// Time that the hypervisor has given to other machines.
    stolen: Duration,
    cores: u32,
}

impl Busy {
    /// Reads it from /proc/stat. None where that is missing.
    pub(super) fn read(cores: &Cores) -> Option<Self> {
        let stat = KernelStats::current().ok()?;
        let of_core = |core| stat.cpu_time.get(core);
        let times: Vec<&CpuTime> = cores.all().filter_map(of_core).collect();
        let sum =
            |pick: fn(&CpuTime) -> Option<Duration>| times.iter().copied().filter_map(pick).sum();
        let nobody = [
            sum(|time| Some(time.idle_duration())),
            sum(CpuTime::iowait_duration),
            sum(CpuTime::irq_duration),
            sum(CpuTime::softirq_duration),
        ];
        Some(Self {
            at: now(),
            nobody: nobody.iter().sum(),
            stolen: sum(CpuTime::steal_duration),
            cores: u32::try_from(times.len()).ok().filter(|&count| count > 0)?,
        })
    }

    /// The part of all cores that other work took since `before`, while we and the server used
    /// `ours`. If that is not known, only what the hypervisor gave to others.
    pub(super) fn other_work(&self, before: &Self, ours: Option<Duration>) -> f64 {
        let all = (self.at - before.at) * self.cores;
        let other = match ours {
            Some(ours) => all.saturating_sub(self.nobody.saturating_sub(before.nobody) + ours),
            None => self.stolen.saturating_sub(before.stolen),
        };
        if all.is_zero() { 0.0 } else { other.as_secs_f64() / all.as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_load_have_cores_of_their_own_if_there_are_enough() {
        let divide = |count, threads| {
            let Cores { servers, load } = Cores::divide_list((0..count).collect(), threads);
            (servers.len(), load.len())
        };
        assert_eq!(
            [divide(2, 1), divide(8, 2), divide(1, 1), divide(2, 2)],
            [(1, 1), (6, 2), (1, 0), (2, 0)]
        );
    }

    #[test]
    fn what_neither_server_nor_load_used_is_other_work() {
        let ms = Duration::from_millis;
        let before = Busy { at: now(), nobody: ms(1000), stolen: ms(0), cores: 2 };
        let after = Busy { at: before.at + ms(300), nobody: ms(1150), stolen: ms(30), cores: 2 };
        // 600 ms in all, 150 idle.
        assert!((after.other_work(&before, Some(ms(390))) - 0.1).abs() < 1e-9);
        assert!(after.other_work(&before, Some(ms(500))).abs() < 1e-9);
        assert!((after.other_work(&before, None) - 0.05).abs() < 1e-9);
    }
}
