//! The shutdown of a server: one stage for all its loops, and a barrier between two stages.
//!
//! All models but `sharded` have one loop, for which every barrier is open at once. Several loops
//! must close their listeners together: the kernel hands a new connection to any of the listeners
//! at an address, and resets the queue of the one that closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::workers::{KILL_GRACE, KILL_WAIT};
use crate::net::wakers::Wakers;

/// The longest wait for records at the end of the drain time, and at the end of a connection with a
/// process of its own. A process that is cut is killed after [`KILL_GRACE`], whatever it waits for.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

/// The longest wait for records after a second request.
const FORCED_PATIENCE: Duration = Duration::from_millis(100);

/// The longest waits of a server after a second request, together.
pub const FORCED_WAITS: Duration =
    KILL_GRACE.saturating_add(KILL_WAIT).saturating_add(FORCED_PATIENCE);

// The server exceeds its drain time by less than a second.
const _: () = assert!(KILL_GRACE.as_millis() + KILL_WAIT.as_millis() + PATIENCE.as_millis() < 1000);

/// A stage of a server's life, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Clients are accepted and served.
    Serving,
    /// Each loop accepts the clients in its own accept queue.
    Emptying,
    /// The listeners are closed, and the clients that are left are served to their end.
    Closing,
    /// Clients that are still left are cut off.
    Over,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Serving, Self::Emptying, Self::Closing, Self::Over];

    fn next(self) -> Self {
        Self::ALL[(self as usize + 1).min(Self::Over as usize)]
    }
}

/// The stage of a server, shared by its loops.
#[derive(Debug)]
pub(super) struct Shutdown {
    /// The number of loops.
    loops: usize,
    /// True after a second request.
    forced: AtomicBool,
    /// The stage, by its position in [`Stage::ALL`]. It only grows.
    stage: AtomicUsize,
    /// The number of loops that have done the work of each stage.
    arrived: [AtomicUsize; Stage::ALL.len()],
    wakers: Arc<Wakers>,
}

impl Shutdown {
    /// A server of this many loops that serves.
    pub(super) fn new(loops: usize, wakers: Arc<Wakers>) -> Self {
        let (forced, stage) = (AtomicBool::default(), AtomicUsize::default());
        Self { loops, forced, stage, arrived: Default::default(), wakers }
    }

    /// The stage.
    pub(super) fn stage(&self) -> Stage {
        Stage::ALL[self.stage.load(Ordering::Acquire)]
    }

    /// Begins the shutdown. The second request ends it without waiting any longer.
    pub(super) fn request(&self) {
        let begun = self.raise(Stage::Serving, Stage::Emptying);
        if !begun {
            self.forced.store(true, Ordering::Release);
            self.fail();
        }
    }

    /// The longest wait for records that are still to be written when all loops have ended.
    pub(super) fn patience(&self) -> Duration {
        if self.forced.load(Ordering::Acquire) { FORCED_PATIENCE } else { PATIENCE }
    }

    /// Ends all loops: one of them cannot go on.
    pub(super) fn fail(&self) {
        self.stage.store(Stage::Over as usize, Ordering::Release);
        self.wakers.wake_all();
    }

    /// Reports that a loop has done the work of `stage`, once for each loop and stage. The next
    /// stage begins when all loops have.
    pub(super) fn arrive(&self, stage: Stage) {
        let arrived = self.arrived[stage as usize].fetch_add(1, Ordering::AcqRel) + 1;
        if arrived == self.loops {
            self.raise(stage, stage.next());
        }
    }

    /// Goes from one stage to another, unless the server has come further meanwhile.
    fn raise(&self, from: Stage, to: Stage) -> bool {
        let (from, to) = (from as usize, to as usize);
        let order = Ordering::AcqRel;
        let raised = self.stage.compare_exchange(from, to, order, Ordering::Acquire).is_ok();
        if raised {
            self.wakers.wake_all();
        }
        raised
    }
}

/// A guard held by a loop while it runs: if the loop panics, the others end as well.
pub(super) struct PanicGuard<'a>(pub(super) &'a Shutdown);

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

    fn shutdown(loops: usize) -> Shutdown {
        Shutdown::new(loops, Arc::default())
    }

    #[test]
    fn no_stage_begins_before_every_loop_has_done_the_work_of_the_last() {
        let shutdown = shutdown(2);
        assert_eq!(shutdown.stage(), Stage::Serving);
        shutdown.request();
        for (stage, next) in [(Stage::Emptying, Stage::Closing), (Stage::Closing, Stage::Over)] {
            assert_eq!(shutdown.stage(), stage);
            shutdown.arrive(stage);
            assert_eq!(shutdown.stage(), stage);
            shutdown.arrive(stage);
            assert_eq!(shutdown.stage(), next);
        }
    }

    #[test]
    fn a_second_request_ends_the_shutdown_whatever_its_stage() {
        let shutdown = shutdown(2);
        shutdown.request();
        shutdown.arrive(Stage::Emptying);
        shutdown.request();
        assert_eq!(shutdown.stage(), Stage::Over);
        shutdown.arrive(Stage::Emptying);
        assert_eq!(shutdown.stage(), Stage::Over);
    }

    #[test]
    fn a_loop_that_panics_ends_them_all() {
        let shutdown = shutdown(2);
        let thread = thread::scope(|scope| {
            let body = || {
                let _guard = PanicGuard(&shutdown);
                panic!("a fault that this test plants");
            };
            thread::Builder::new().spawn_scoped(scope, body).unwrap().join()
        });
        assert!(thread.is_err());
        assert_eq!(shutdown.stage(), Stage::Over);
    }
}
