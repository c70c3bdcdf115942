//! Slots for heavy work, which limit the threads that compute at the same time.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};

/// The number of threads that do heavy work at the same time, for each core. With one, a core would
/// be idle while the next thread is woken.
pub const SLOTS_PER_CORE: usize = 2;

/// A fixed number of slots. They are given in the order in which they are asked for: a thread
/// that returns one and asks again comes behind those that wait.
#[derive(Debug)]
pub struct Slots {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// The threads that wait, the first to be served in front.
    waiting: VecDeque<Arc<Waiter>>,
    is_closed: bool,
}

/// A thread that waits.
#[derive(Debug)]
struct Waiter {
    thread: Thread,
    outcome: OnceLock<Outcome>,
}

/// The end of a wait.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// The thread has a slot.
    Granted,
    /// It will have none.
    Closed,
}

impl Waiter {
    /// Ends the wait of a waiter that has left the queue, so this is its only outcome.
    fn finish(&self, outcome: Outcome) {
        self.outcome.get_or_init(|| outcome);
        self.thread.unpark();
    }
}

impl Slots {
    /// This number of slots.
    pub fn new(count: usize) -> Self {
        let state = State { free: count, waiting: VecDeque::new(), is_closed: false };
        Self { state: Mutex::new(state) }
    }

    /// As many as the machine can use.
    pub fn for_this_machine() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::new(SLOTS_PER_CORE * cores)
    }

    /// Waits for a slot. None if the slots are closed.
    pub fn acquire(&self) -> Option<Slot<'_>> {
        let waiter = {
            let mut state = self.state();
            if state.is_closed {
                return None;
            }
            if state.free > 0 {
                state.free -= 1;
                return Some(Slot(self));
            }
            let outcome = OnceLock::new();
            let waiter = Arc::new(Waiter { thread: thread::current(), outcome });
            state.waiting.push_back(Arc::clone(&waiter));
            waiter
        };
        loop {
            match waiter.outcome.get() {
                // It may return without a reason, and then there is no outcome yet.
                None => thread::park(),
                Some(Outcome::Granted) => return Some(Slot(self)),
                Some(Outcome::Closed) => return None,
            }
        }
    }

    /// Gives no more slots, and ends every wait for one.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        for waiter in state.waiting.drain(..) {
            waiter.finish(Outcome::Closed);
        }
    }

    /// The number of threads that wait.
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to do heavy work. Dropping it, also by a panic, passes it on to the thread that has
/// waited longest.
pub struct Slot<'p>(&'p Slots);

impl fmt::Debug for Slot<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Slot")
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        match state.waiting.pop_front() {
            Some(waiter) => waiter.finish(Outcome::Granted),
            None => state.free += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Waits until as many threads wait.
    fn await_waiting(slots: &Slots, count: usize) {
        while slots.waiting() < count {
            thread::yield_now();
        }
    }

    #[test]
    fn no_more_threads_have_a_slot_than_there_are() {
        let slots = Slots::new(3);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let slot = slots.acquire().unwrap();
                        let count = now.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(count, Ordering::SeqCst);
                        thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                        drop(slot);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 3);
        assert_eq!(slots.state().free, 3);
    }

    #[test]
    fn the_thread_that_has_waited_longest_comes_first() {
        let slots = Slots::new(1);
        let order = Mutex::new(Vec::new());
        let mut slot = slots.acquire();
        thread::scope(|scope| {
            for n in 0..5 {
                let (slots, order) = (&slots, &order);
                scope.spawn(move || {
                    let slot = slots.acquire();
                    order.lock().unwrap().push(n);
                    drop(slot);
                });
                await_waiting(slots, n + 1);
            }
            // It asks again before any of the others can run, and comes last.
            drop(slot.take());
            let last = slots.acquire();
            assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
            drop(last);
        });
    }

    #[test]
    fn a_panic_releases_the_slot() {
        let slots = Slots::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _slot = slots.acquire().unwrap();
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert!(slots.acquire().is_some());
    }

    #[test]
    fn a_close_ends_every_wait() {
        let slots = Slots::new(1);
        let slot = slots.acquire().unwrap();
        thread::scope(|scope| {
            let waiting: Vec<_> =
                (0..5).map(|_| scope.spawn(|| slots.acquire().is_none())).collect();
            await_waiting(&slots, 5);
            slots.close();
            for thread in waiting {
                assert!(thread.join().unwrap());
            }
        });
        drop(slot);
        assert!(slots.acquire().is_none());
    }
}
