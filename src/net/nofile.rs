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
    fn a_large_limit_goes_to_the_clients() {
        assert_eq!(FdBudget::of(20_000, 1), FdBudget { clients: 19_728, rejected: 256 });
    }

    #[test]
    fn a_small_limit_still_leaves_room_to_say_busy() {
        assert_eq!(FdBudget::of(64, 1), FdBudget { clients: 36, rejected: 12 });
        assert_eq!(FdBudget::of(3, 1), FdBudget { clients: 1, rejected: 1 });
    }
}
