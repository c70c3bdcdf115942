//! How many connections the process may have open: the limit on descriptors (getrlimit(2)).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not connections: the three standard ones, the listener, epoll, signals, a
/// waker, the log, with some to spare.
const OWN_DESCRIPTORS: u64 = 16;

/// The same of every loop beyond the first: its listener, its reserve and what that is made from,
/// epoll, a waker.
const LOOP_DESCRIPTORS: u64 = 5;

/// The limit that is taken when the system names none.
const UNLIMITED: u64 = 1 << 20;

/// The most clients that are told at once that the server is full; each needs a descriptor.
const MAX_REJECTED: usize = 256;

/// How the descriptors that a server may open are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdBudget {
    /// For clients that are served.
    pub clients: usize,
    /// For clients that are told at the door that the server is full.
    pub rejected: usize,
}

impl FdBudget {
    /// The best shares under this limit: a quarter, and no more than 256, for the door.
    fn of(limit: u64, loops: usize) -> Self {
        let own = OWN_DESCRIPTORS + LOOP_DESCRIPTORS * (loops as u64 - 1);
        let free = usize::try_from(limit.saturating_sub(own)).unwrap_or(usize::MAX);
        let rejected = (free / 4).clamp(1, MAX_REJECTED);
        Self { clients: free.saturating_sub(rejected).max(1), rejected }
    }
}

/// Raises the process's own limit as far as the system lets it, and shares it out, for a server of
/// so many loops, at least 1.
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
