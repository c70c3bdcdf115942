//! The room in a server: how many clients there may be and how many there are, counted over all
//! its doors.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use mio::Waker;

use super::pace::Pace;

/// What happens to a client that finds the server full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is told so, in one line, and the connection ends.
    Reply,
    /// Its connection is refused: nobody listens until there is room.
    Refuse,
    /// Its connection is accepted, and reset.
    Reset,
    /// It waits, unaccepted, until there is room. That is what a small backlog really does.
    Queue,
}

/// How many there may be, and what then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The most clients served at once, at least 1.
    pub clients: usize,
    /// The most clients that are being told at once that the server is full, at least 1.
    pub turned_away: usize,
    /// What happens to one client more.
    pub when_full: WhenFull,
}

/// What the doors of one server share, each in a thread of its own.
#[derive(Debug)]
pub struct Room {
    capacity: Capacity,
    /// Places that are taken, also by a door that is only about to accept: never more than there
    /// are.
    taken: AtomicUsize,
    /// Guests that are being served, never more than the places taken.
    served: AtomicUsize,
    /// Guests that are being told that the server is full. Every door may let in one too many.
    turned_away: AtomicUsize,
    /// How many have come in all.
    count: AtomicU64,
    /// What wakes the threads of the doors; none where there is only one.
    doors: OnceLock<Vec<Waker>>,
    /// See [`Room::beside_others`] and [`Room::alone`].
    accepting: RwLock<()>,
    /// How often the log may tell of the machine's trouble, or of those who were turned away.
    pub pace: Pace,
    /// How many of those it has not told of since it did last.
    untold: AtomicU64,
}

impl Room {
    /// An empty one.
    pub fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            taken: AtomicUsize::default(),
            served: AtomicUsize::default(),
            turned_away: AtomicUsize::default(),
            count: AtomicU64::default(),
            doors: OnceLock::new(),
            accepting: RwLock::default(),
            pace: Pace::default(),
            untold: AtomicU64::default(),
        }
    }

    /// From now on a door hears of what the others do. To be called once.
    pub fn connect(&self, doors: Vec<Waker>) {
        self.doors.set(doors).expect("the doors are connected once");
    }

    /// Wakes the threads of all doors.
    pub fn wake_all(&self) -> io::Result<()> {
        self.doors.get().into_iter().flatten().try_for_each(Waker::wake)
    }

    /// How many clients are being served.
    pub fn served(&self) -> usize {
        self.served.load(Ordering::Acquire)
    }

    /// One more was turned away. Returns whether the log may tell of it; and if so, of how many it
    /// did not tell before.
    pub fn turned_one_away(&self, now: Instant) -> Option<u64> {
        if self.pace.step(now) {
            return Some(self.untold.swap(0, Ordering::AcqRel));
        }
        self.untold.fetch_add(1, Ordering::AcqRel);
        None
    }

    /// What happens to one client more than there is room for.
    pub(super) fn when_full(&self) -> WhenFull {
        self.capacity.when_full
    }

    /// Whether a client must not be accepted before there is a place for it.
    pub(super) fn is_strict(&self) -> bool {
        matches!(self.capacity.when_full, WhenFull::Refuse | WhenFull::Queue)
    }

    /// To be held while a door accepts.
    pub(super) fn beside_others(&self) -> RwLockReadGuard<'_, ()> {
        self.accepting.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held while a door gives up its last descriptor and accepts with it, or another door
    /// might be given just that one.
    pub(super) fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.accepting.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether as many are being served as there may be.
    pub(super) fn is_full(&self) -> bool {
        self.served() >= self.capacity.clients
    }

    /// Whether something can be done for one client more.
    pub(super) fn has_place(&self) -> bool {
        self.taken.load(Ordering::Acquire) < self.capacity.clients
            || match self.capacity.when_full {
                WhenFull::Reply => {
                    self.turned_away.load(Ordering::Acquire) < self.capacity.turned_away
                }
                WhenFull::Reset => true,
                WhenFull::Refuse | WhenFull::Queue => false,
            }
    }

    /// Takes a place, if there is one.
    pub(super) fn take(&self) -> bool {
        let more = |taken| (taken < self.capacity.clients).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// Gives back a place that was taken. Whoever waited for one must hear of it.
    pub(super) fn give_back(&self) {
        let taken = self.taken.fetch_sub(1, Ordering::AcqRel);
        if taken == self.capacity.clients && self.is_strict() {
            self.tell_the_others();
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
            self.tell_the_others();
        }
    }

    /// A guest that was served has gone.
    pub(super) fn end_to_serve(&self) {
        self.served.fetch_sub(1, Ordering::AcqRel);
        self.give_back();
    }

    pub(super) fn begin_to_turn_away(&self) {
        self.turned_away.fetch_add(1, Ordering::AcqRel);
    }

    /// A guest that was told that the server is full has gone.
    pub(super) fn end_to_turn_away(&self) {
        let turned_away = self.turned_away.fetch_sub(1, Ordering::AcqRel);
        if turned_away >= self.capacity.turned_away {
            self.tell_the_others();
        }
    }

    fn tell_the_others(&self) {
        if let Err(error) = self.wake_all() {
            log::error!("cannot wake the other loops: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(when_full: WhenFull) -> Room {
        Room::new(Capacity { clients: 2, turned_away: 1, when_full })
    }

    #[test]
    fn a_place_is_taken_before_it_is_used_and_given_back_after() {
        let room = room(WhenFull::Queue);
        assert!(room.take() && room.take() && !room.take());
        assert!(!room.has_place() && !room.is_full());
        room.begin_to_serve();
        room.begin_to_serve();
        assert!(room.is_full());
        room.end_to_serve();
        assert!(room.has_place() && !room.is_full());
        assert_eq!((room.next_number(), room.next_number()), (1, 2));
    }

    #[test]
    fn a_full_room_still_turns_away_as_many_as_it_may() {
        let room = room(WhenFull::Reply);
        assert!(room.take() && room.take() && room.has_place());
        room.begin_to_turn_away();
        assert!(!room.has_place());
        room.end_to_turn_away();
        assert!(room.has_place());
    }
}
