//! The limit on open descriptors (`RLIMIT_NOFILE`, getrlimit(2)), and its share for connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors of the process that are not connections: the standard three, one listener, its spare
/// descriptor, epoll, signals, a waker, the log, the event of the compute thread, and some
/// more.
const OWN_DESCRIPTORS: u64 = 16;

/// Descriptors of each loop beyond the first: its listener, the spare descriptor and the file
/// behind it, epoll, a waker, the event of the compute thread.
const LOOP_DESCRIPTORS: u64 = 6;

/// The limit that is assumed where the system has none.
const UNLIMITED: u64 = 1 << 20;

/// The most connections that say busy at the same time; each needs a descriptor. The next client
/// waits in the accept queue until one of them has closed: at most 2 s if its peer does nothing.
const MAX_REJECTED: usize = 256;

/// Descriptors for connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdBudget {
    /// Connections that are served.
    pub clients: usize,
    /// Connections that say that the server is full: a quarter, at most 256.
    pub rejected: usize,
}

impl FdBudget {
    fn of(limit: u64, loops: usize) -> Self {
        let own = OWN_DESCRIPTORS + LOOP_DESCRIPTORS * (loops as u64 - 1);
        let free = usize::try_from(limit.saturating_sub(own)).unwrap_or(usize::MAX);
        let rejected = (free / 4).clamp(1, MAX_REJECTED);
        Self { clients: free.saturating_sub(rejected).max(1), rejected }
    }
}

/// Raises the process's soft limit to its hard limit, and divides it for a server of `loops` loops,
/// at least 1.
pub fn raise_nofile_limit(loops: usize) -> FdBudget {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    FdBudget::of(limit.unwrap_or(UNLIMITED), loops)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_fits_into_its_limit_and_has_a_descriptor_for_each_use() {
        for limit in (0..5000).chain([20_000, 1 << 20, u64::MAX]) {
            for loops in [1, 2, 64] {
                let FdBudget { clients, rejected } = FdBudget::of(limit, loops);
                assert!(clients >= 1 && (1..=MAX_REJECTED).contains(&rejected));
                let own = OWN_DESCRIPTORS + LOOP_DESCRIPTORS * (loops as u64 - 1);
                // Below that, the server starts all the same, and runs out of descriptors.
                if limit >= own + 2 {
                    assert!((clients + rejected) as u64 + own <= limit, "{limit}, {loops} loops");
                }
            }
        }
    }
}
