//! Permits for heavy work, which limit the threads that compute at the same time.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

/// The number of threads that do heavy work at the same time, for each core. With one, a core would
/// be idle while the next thread is woken.
pub const PERMITS_PER_CORE: usize = 2;

/// A fixed number of permits. They are given in the order in which they are asked for: a thread
/// that returns one and asks again comes behind those that wait.
#[derive(Debug)]
pub struct Permits {
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
    outcome: AtomicU8,
}

/// The thread still waits.
const WAITING: u8 = 0;
/// It has a permit.
const GRANTED: u8 = 1;
/// It will have none.
const CLOSED: u8 = 2;

impl Waiter {
    fn finish(&self, outcome: u8) {
        self.outcome.store(outcome, Ordering::Release);
        self.thread.unpark();
    }
}

impl Permits {
    /// This number of permits.
    pub fn new(count: usize) -> Self {
        let state = State { free: count, waiting: VecDeque::new(), is_closed: false };
        Self { state: Mutex::new(state) }
    }

    /// As many as the machine can use.
    pub fn for_this_machine() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::new(PERMITS_PER_CORE * cores)
    }

    /// Waits for a permit. None if the permits are closed.
    pub fn acquire(&self) -> Option<Permit<'_>> {
        let waiter = {
            let mut state = self.state();
            if state.is_closed {
                return None;
            }
            if state.free > 0 {
                state.free -= 1;
                return Some(Permit(self));
            }
            let outcome = AtomicU8::new(WAITING);
            let waiter = Arc::new(Waiter { thread: thread::current(), outcome });
            state.waiting.push_back(Arc::clone(&waiter));
            waiter
        };
        loop {
            match waiter.outcome.load(Ordering::Acquire) {
                // It may return without a reason, and then the outcome is the same.
                WAITING => thread::park(),
                GRANTED => return Some(Permit(self)),
                _ => return None,
            }
        }
    }

    /// Gives no more permits, and ends every wait for one.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        for waiter in state.waiting.drain(..) {
            waiter.finish(CLOSED);
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
pub struct Permit<'p>(&'p Permits);

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Permit")
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        match state.waiting.pop_front() {
            Some(waiter) => waiter.finish(GRANTED),
            None => state.free += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Waits until as many threads wait.
    fn await_waiting(permits: &Permits, count: usize) {
        while permits.waiting() < count {
            thread::yield_now();
        }
    }

    #[test]
    fn no_more_threads_have_a_permit_than_there_are_permits() {
        let permits = Permits::new(3);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let permit = permits.acquire().unwrap();
                        let count = now.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(count, Ordering::SeqCst);
                        thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                        drop(permit);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 3);
        assert_eq!(permits.state().free, 3);
    }

    #[test]
    fn the_thread_that_has_waited_longest_comes_first() {
        let permits = Permits::new(1);
        let order = Mutex::new(Vec::new());
        let mut permit = permits.acquire();
        thread::scope(|scope| {
            for n in 0..5 {
                let (permits, order) = (&permits, &order);
                scope.spawn(move || {
                    let permit = permits.acquire();
                    order.lock().unwrap().push(n);
                    drop(permit);
                });
                await_waiting(permits, n + 1);
            }
            // It asks again before any of the others can run, and comes last.
            drop(permit.take());
            let last = permits.acquire();
            assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
            drop(last);
        });
    }

    #[test]
    fn a_panic_releases_the_permit() {
        let permits = Permits::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _permit = permits.acquire().unwrap();
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert!(permits.acquire().is_some());
    }

    #[test]
    fn a_close_ends_every_wait() {
        let permits = Permits::new(1);
        let permit = permits.acquire().unwrap();
        thread::scope(|scope| {
            let waiting: Vec<_> =
                (0..5).map(|_| scope.spawn(|| permits.acquire().is_none())).collect();
            await_waiting(&permits, 5);
            permits.close();
            for thread in waiting {
                assert!(thread.join().unwrap());
            }
        });
        drop(permit);
        assert!(permits.acquire().is_none());
    }
}
