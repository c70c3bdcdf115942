//! The limit on clients: how many are served at the same time, counted over all listeners of a
//! server.
//!
//! A [`Permit`] is one client's share of the limit. It travels with the client and is released when
//! it is dropped, so a client cannot leave without being counted out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::wakers::Wakers;
use crate::choice::choices;

choices! {
    /// The policy for a client that finds the server full.
    pub enum WhenFull {
        /// It reads one line that says so, and the connection is closed.
        Reply = "reply",
        /// Its connection is refused: until a client leaves, the server keeps its port and does not
        /// listen.
        Refuse = "refuse",
        /// Its connection is accepted and reset.
        Reset = "reset",
        /// It waits in the accept queue until there is a permit.
        Queue = "queue",
    }
}

impl WhenFull {
    /// True if a client may not be accepted before there is a permit for it.
    fn admits_before_accept(self) -> bool {
        matches!(self, Self::Refuse | Self::Queue)
    }
}

/// The size of a limiter, and its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The most clients served at the same time, at least 1.
    pub clients: usize,
    /// The most connections that say busy at the same time, at least 1. Each listener may exceed it
    /// by one.
    pub rejected: usize,
    /// The policy for a client beyond the limit.
    pub when_full: WhenFull,
}

/// The limit on clients, and the only count of them.
#[derive(Debug)]
pub struct Limiter {
    capacity: Capacity,
    /// Clients that are served.
    serving: Arc<Counter>,
    /// Clients that are being told that the server is full.
    rejecting: Arc<Counter>,
    /// See [`lock_accept`](Self::lock_accept).
    accept_lock: RwLock<()>,
}

impl Limiter {
    /// A limiter without clients. `wakers` end the waits of the listeners that it concerns.
    pub fn new(capacity: Capacity, wakers: Arc<Wakers>) -> Self {
        let Capacity { clients, rejected, when_full } = capacity;
        // A listener that waits for a permit has no event of its own.
        let listeners_wait = when_full.admits_before_accept();
        let counter = |limit, wakes, wakers| {
            Arc::new(Counter { limit, count: AtomicUsize::default(), wakes, wakers })
        };
        Self {
            capacity,
            serving: counter(clients, listeners_wait, Arc::clone(&wakers)),
            rejecting: counter(rejected, true, wakers),
            accept_lock: RwLock::default(),
        }
    }

    /// The number of clients that are served.
    pub fn serving(&self) -> usize {
        self.serving.get()
    }

    /// The number of clients that are being told that the server is full.
    pub fn rejecting(&self) -> usize {
        self.rejecting.get()
    }

    /// The size and the policy.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// True if as many clients are served as may be.
    pub fn is_full(&self) -> bool {
        self.serving.is_full()
    }

    /// True if one more client can be served, or told that it cannot.
    pub fn can_accept(&self) -> bool {
        !self.is_full()
            || match self.capacity.when_full {
                WhenFull::Reply => !self.rejecting.is_full(), // mutant: reject-without-limit
                WhenFull::Reset => true,
                WhenFull::Refuse | WhenFull::Queue => false,
            }
    }

    /// True if a client that connects now stays in the accept queue.
    pub fn must_wait(&self) -> bool {
        self.capacity.when_full == WhenFull::Queue && self.is_full()
    }

    /// A permit to be served, if the limit allows one more.
    pub fn try_acquire(&self) -> Option<Permit> {
        let Counter { limit, count, wakers, .. } = &*self.serving;
        let more = |count| (count < *limit).then_some(count + 1); // mutant: serve-one-too-many
        let before = count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        // Under `refuse` the other listeners must be suspended as soon as the last permit is taken.
        if before + 1 == *limit && self.capacity.when_full == WhenFull::Refuse {
            wakers.wake_all();
        }
        Some(Permit(Arc::clone(&self.serving)))
    }

    /// A permit to be told that the server is full; it does not count as served.
    pub fn rejection(&self) -> Permit {
        self.rejecting.count.fetch_add(1, Ordering::AcqRel);
        Permit(Arc::clone(&self.rejecting))
    }

    /// True for a permit to be served; false for one to be told that the server is full.
    pub fn serves(&self, permit: &Permit) -> bool {
        Arc::ptr_eq(&self.serving, &permit.0)
    }

    /// Locks accepting until the client is admitted. Listeners accept concurrently, unless a client
    /// may be accepted only with a permit: then no other listener may take the last one meanwhile.
    pub(super) fn lock_accept(&self) -> AcceptGuard<'_> {
        if self.capacity.when_full.admits_before_accept() {
            self.lock_accept_exclusive()
        } else {
            let guard = self.accept_lock.read().unwrap_or_else(PoisonError::into_inner);
            AcceptGuard::Shared { _guard: guard }
        }
    }

    /// Locks accepting for one listener alone: with the last permit, or with the last descriptor of
    /// the process, which another listener's accept(2) could otherwise take.
    pub(super) fn lock_accept_exclusive(&self) -> AcceptGuard<'_> {
        let guard = self.accept_lock.write().unwrap_or_else(PoisonError::into_inner);
        AcceptGuard::Exclusive { _guard: guard }
    }
}

/// The lock on accepting, held from accept(2) to the admission.
pub(super) enum AcceptGuard<'l> {
    Shared { _guard: RwLockReadGuard<'l, ()> },
    Exclusive { _guard: RwLockWriteGuard<'l, ()> },
}

/// A number of clients with a limit.
#[derive(Debug)]
struct Counter {
    limit: usize,
    count: AtomicUsize,
    /// True if the listeners are woken when the count falls below the limit.
    wakes: bool,
    wakers: Arc<Wakers>,
}

impl Counter {
    fn get(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    fn is_full(&self) -> bool {
        self.get() >= self.limit
    }
}

/// One client's share of a [`Limiter`], released when dropped. It is one pointer: every idle
/// connection holds one.
#[derive(Debug)]
pub struct Permit(Arc<Counter>);

impl Drop for Permit {
    fn drop(&mut self) {
        let Counter { limit, count, wakes, wakers } = &*self.0;
        let before = count.fetch_sub(1, Ordering::AcqRel); // mutant: keep-a-permit
        if before >= *limit && *wakes {
            wakers.wake_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(when_full: WhenFull) -> Limiter {
        let capacity = Capacity { clients: 2, rejected: 1, when_full };
        Limiter::new(capacity, Arc::default())
    }

    #[test]
    fn a_dropped_permit_makes_room_for_the_next_client() {
        let limiter = limiter(WhenFull::Queue);
        let (first, second) = (limiter.try_acquire(), limiter.try_acquire());
        assert!(first.is_some() && second.is_some() && limiter.try_acquire().is_none());
        assert!(limiter.is_full() && !limiter.can_accept());
        drop(first);
        assert_eq!((limiter.serving(), limiter.can_accept()), (1, true));
    }

    #[test]
    fn a_full_server_rejects_as_many_at_the_same_time_as_it_may() {
        let limiter = limiter(WhenFull::Reply);
        let _served = [limiter.try_acquire(), limiter.try_acquire()];
        assert!(limiter.can_accept());
        let rejected = limiter.rejection();
        assert!(!limiter.serves(&rejected) && !limiter.can_accept());
        drop(rejected);
        assert!(limiter.can_accept() && limiter.serving() == 2);
    }
}
