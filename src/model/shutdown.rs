//! What the loops of one server have in common. All models but `sharded` have one loop, which is
//! then a group of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::stats::Stats;
use crate::net::limiter::Limiter;

/// How far a server has come with its stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ShutdownStage {
    Serving,
    /// Told to stop: every loop accepts those who wait at its own door.
    Emptying,
    /// All have done so, and now close their doors. Not before: the kernel hands a new connection
    /// to any of the listeners, and resets those that wait at the one that closes.
    Closing,
    /// Nobody waits any longer.
    Over,
}

/// The loops of a server.
#[derive(Debug)]
pub(super) struct LoopGroup {
    /// How many loops there are.
    size: usize,
    pub(super) room: Arc<Limiter>,
    pub(super) stats: Stats,
    /// How often the server was told to stop; twice is as good as more often.
    stops: AtomicUsize,
    /// How many loops have found nobody at their doors since.
    backlog_drained: AtomicUsize,
    /// How many loops have ended.
    ended: AtomicUsize,
}

impl LoopGroup {
    pub(super) fn new(size: usize, room: Arc<Limiter>, stats: Stats) -> Self {
        let none = AtomicUsize::default;
        Self { size, room, stats, stops: none(), backlog_drained: none(), ended: none() }
    }

    pub(super) fn stage(&self) -> ShutdownStage {
        match self.stops.load(Ordering::Acquire) {
            0 => ShutdownStage::Serving,
            1 if self.backlog_drained.load(Ordering::Acquire) < self.size => {
                ShutdownStage::Emptying
            }
            1 => ShutdownStage::Closing,
            _ => ShutdownStage::Over,
        }
    }

    /// Tells all loops to stop or, once they stop, to do so at once.
    pub(super) fn stop(&self) {
        self.stops.fetch_add(1, Ordering::AcqRel);
        self.wake_all();
    }

    /// A loop has accepted whoever waited at its door. To be said once.
    pub(super) fn backlog_drained(&self) {
        if self.backlog_drained.fetch_add(1, Ordering::AcqRel) + 1 == self.size {
            self.wake_all();
        }
    }

    /// A loop has ended. To be said once, and not by the one that hears the signals.
    pub(super) fn ended(&self) {
        if self.ended.fetch_add(1, Ordering::AcqRel) + 2 == self.size {
            self.wake_all();
        }
    }

    /// Whether only one loop has not ended.
    pub(super) fn is_last(&self) -> bool {
        self.ended.load(Ordering::Acquire) + 1 >= self.size
    }

    /// No loop goes on without the others.
    pub(super) fn fail(&self) {
        self.stop();
        self.stop();
    }

    fn wake_all(&self) {
        if let Err(error) = self.room.wake_loops() {
            log::error!("cannot wake the other loops: {error}");
        }
    }
}

/// Held by a loop as long as it runs: if it panics, the others hear of it.
pub(super) struct PanicGuard<'a>(pub(super) &'a LoopGroup);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::limiter::{Capacity, WhenFull};

    fn group(size: usize) -> LoopGroup {
        let capacity = Capacity { clients: 1, rejected: 1, when_full: WhenFull::Reply };
        LoopGroup::new(size, Arc::new(Limiter::new(capacity)), Stats::new(Vec::new()))
    }

    #[test]
    fn no_door_closes_before_all_have_been_emptied() {
        let group = group(2);
        assert_eq!(group.stage(), ShutdownStage::Serving);
        group.stop();
        group.backlog_drained();
        assert_eq!(group.stage(), ShutdownStage::Emptying);
        group.backlog_drained();
        assert_eq!(group.stage(), ShutdownStage::Closing);
        group.stop();
        assert_eq!(group.stage(), ShutdownStage::Over);
    }

    #[test]
    fn the_last_loop_knows_that_it_is_alone() {
        assert!(group(1).is_last());
        let group = group(2);
        assert!(!group.is_last());
        group.ended();
        assert!(group.is_last());
    }

    #[test]
    fn a_loop_that_fails_or_panics_ends_them_all() {
        let failing = group(2);
        failing.fail();
        assert_eq!(failing.stage(), ShutdownStage::Over);
        let panicking = group(2);
        let thread = thread::scope(|scope| {
            let body = || {
                let _guard = PanicGuard(&panicking);
                panic!("a fault that this test plants");
            };
            thread::Builder::new().spawn_scoped(scope, body).unwrap().join()
        });
        assert!(thread.is_err());
        assert_eq!(panicking.stage(), ShutdownStage::Over);
    }
}
