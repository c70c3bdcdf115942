//! The limiter in a server: how many clients there may be and how many there are, counted over all
//! its wakers.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use mio::Waker;

use super::rate_limit::RateLimit;

/// What happens to a client that finds the server full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is told so, in one line, and the connection ends.
    Reply,
    /// Its connection is refused: nobody listens until there is limiter.
    Refuse,
    /// Its connection is accepted, and reset.
    Reset,
    /// It waits, unaccepted, until there is limiter. That is what a small backlog really does.
    Queue,
}

/// How many there may be, and what then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The most clients served at once, at least 1.
    pub clients: usize,
    /// The most clients that are being told at once that the server is full, at least 1.
    pub rejected: usize,
    /// What happens to one client more.
    pub when_full: WhenFull,
}

/// What the wakers of one server share, each in a thread of its own.
#[derive(Debug)]
pub struct Limiter {
    capacity: Capacity,
    /// Places that are taken, also by a door that is only about to accept: never more than there
    /// are.
    taken: AtomicUsize,
    /// Guests that are being served, never more than the places taken.
    served: AtomicUsize,
    /// Guests that are being told that the server is full. Every door may let in one too many.
    rejected: AtomicUsize,
    /// How many have come in all.
    count: AtomicU64,
    /// What wakes the threads of the wakers; none where there is only one.
    wakers: OnceLock<Vec<Waker>>,
    /// See [`Limiter::accept_shared`] and [`Limiter::accept_exclusive`].
    accepting: RwLock<()>,
    /// How often the log may tell of the machine's trouble, or of those who were turned away.
    pub log_allowance: RateLimit,
    /// How many of those it has not told of since it did last.
    suppressed: AtomicU64,
}

impl Limiter {
    /// An empty one.
    pub fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            taken: AtomicUsize::default(),
            served: AtomicUsize::default(),
            rejected: AtomicUsize::default(),
            count: AtomicU64::default(),
            wakers: OnceLock::new(),
            accepting: RwLock::default(),
            log_allowance: RateLimit::default(),
            suppressed: AtomicU64::default(),
        }
    }

    /// From now on a door hears of what the others do. To be called once.
    pub fn set_wakers(&self, wakers: Vec<Waker>) {
        self.wakers.set(wakers).expect("the wakers are connected once");
    }

    /// Wakes the threads of all wakers.
    pub fn wake_loops(&self) -> io::Result<()> {
        self.wakers.get().into_iter().flatten().try_for_each(Waker::wake)
    }

    /// How many clients are being served.
    pub fn served(&self) -> usize {
        self.served.load(Ordering::Acquire)
    }

    /// One more was turned away. Returns whether the log may tell of it; and if so, of how many it
    /// did not tell before.
    pub fn count_rejection(&self, now: Instant) -> Option<u64> {
        if self.log_allowance.allow(now) {
            return Some(self.suppressed.swap(0, Ordering::AcqRel));
        }
        self.suppressed.fetch_add(1, Ordering::AcqRel);
        None
    }

    /// What happens to one client more than there is limiter for.
    pub(super) fn when_full(&self) -> WhenFull {
        self.capacity.when_full
    }

    /// Whether a client must not be accepted before there is a place for it.
    pub(super) fn acquires_first(&self) -> bool {
        matches!(self.capacity.when_full, WhenFull::Refuse | WhenFull::Queue)
    }

    /// To be held while a door accepts.
    pub(super) fn accept_shared(&self) -> RwLockReadGuard<'_, ()> {
        self.accepting.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held while a door gives up its last descriptor and accepts with it, or another door
    /// might be given just that one.
    pub(super) fn accept_exclusive(&self) -> RwLockWriteGuard<'_, ()> {
        self.accepting.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether as many are being served as there may be.
    pub(super) fn is_full(&self) -> bool {
        self.served() >= self.capacity.clients
    }

    /// Whether something can be done for one client more.
    pub(super) fn has_permit(&self) -> bool {
        self.taken.load(Ordering::Acquire) < self.capacity.clients
            || match self.capacity.when_full {
                WhenFull::Reply => self.rejected.load(Ordering::Acquire) < self.capacity.rejected,
                WhenFull::Reset => true,
                WhenFull::Refuse | WhenFull::Queue => false,
            }
    }

    /// Takes a place, if there is one.
    pub(super) fn try_acquire(&self) -> bool {
        let more = |taken| (taken < self.capacity.clients).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// Gives back a place that was taken. Whoever waited for one must hear of it.
    pub(super) fn release(&self) {
        let taken = self.taken.fetch_sub(1, Ordering::AcqRel);
        if taken == self.capacity.clients && self.acquires_first() {
            self.wake_others();
        }
    }

    /// One more comes, counted from 1.
    pub(super) fn next_number(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A place that was taken is used. Where nobody may listen when all are, the others must hear
    /// of the last.
    pub(super) fn begin_to_serve(&self) {
        let served = self.served.fetch_add(1, Ordering::AcqRel) + 1;
        if served == self.capacity.clients && self.capacity.when_full == WhenFull::Refuse {
            self.wake_others();
        }
    }

    /// A guest that was served has gone.
    pub(super) fn end_to_serve(&self) {
        self.served.fetch_sub(1, Ordering::AcqRel);
        self.release();
    }

    pub(super) fn begin_to_reject(&self) {
        self.rejected.fetch_add(1, Ordering::AcqRel);
    }

    /// A guest that was told that the server is full has gone.
    pub(super) fn end_to_reject(&self) {
        let rejected = self.rejected.fetch_sub(1, Ordering::AcqRel);
        if rejected >= self.capacity.rejected {
            self.wake_others();
        }
    }

    fn wake_others(&self) {
        if let Err(error) = self.wake_loops() {
            log::error!("cannot wake the other loops: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(when_full: WhenFull) -> Limiter {
        Limiter::new(Capacity { clients: 2, rejected: 1, when_full })
    }

    #[test]
    fn a_place_is_taken_before_it_is_used_and_given_back_after() {
        let limiter = limiter(WhenFull::Queue);
        assert!(limiter.try_acquire() && limiter.try_acquire() && !limiter.try_acquire());
        assert!(!limiter.has_permit() && !limiter.is_full());
        limiter.begin_to_serve();
        limiter.begin_to_serve();
        assert!(limiter.is_full());
        limiter.end_to_serve();
        assert!(limiter.has_permit() && !limiter.is_full());
        assert_eq!((limiter.next_number(), limiter.next_number()), (1, 2));
    }

    #[test]
    fn a_full_room_still_turns_away_as_many_as_it_may() {
        let limiter = limiter(WhenFull::Reply);
        assert!(limiter.try_acquire() && limiter.try_acquire() && limiter.has_permit());
        limiter.begin_to_reject();
        assert!(!limiter.has_permit());
        limiter.end_to_reject();
        assert!(limiter.has_permit());
    }
}
