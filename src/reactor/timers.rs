//! When each connection wants to be looked at again.
//!
//! A connection has at most one entry, and a deadline that moves away costs nothing: the entry
//! stays where it is, and when its time comes the connection says when it really wants to be looked
//! at. So a server that answers a million messages a second, each of which moves an idle deadline,
//! touches this set only when connections come, go, or want to be woken sooner.
//!
//! Every idle connection has an entry, so an entry must be small. They stand in a binary heap, in
//! one block without gaps, and the heap knows where each of them is: 28 bytes a connection, where
//! the nodes of a tree, half empty if they are filled in order, take twice as much.

use std::time::Instant;

/// The place of a connection that has no entry.
const ABSENT: u32 = u32::MAX;

/// A time, and the key of the connection.
type Entry = (Instant, u32);

/// The connections' wake-up times.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// No entry is earlier than the one at half its place, counted from 1: so the first is the
    /// earliest of all.
    heap: Vec<Entry>,
    /// For each key: where in the heap its entry is, or [`ABSENT`].
    heap_index: Vec<u32>,
}

impl Timers {
    /// Makes sure that the connection `key` wakes at `deadline` or before.
    #[inline]
    pub(super) fn arm(&mut self, key: usize, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        match self.place(key) {
            Some(place) if self.heap[place].0 <= deadline => {}
            place => self.insert(key, place, deadline),
        }
    }

    /// Removes the connection's entry.
    pub(super) fn disarm(&mut self, key: usize) {
        if let Some(place) = self.place(key) {
            self.remove(place);
        }
    }

    /// The next connection whose time has come; its entry is gone.
    pub(super) fn expired(&mut self, now: Instant) -> Option<usize> {
        let &(at, key) = self.heap.first()?;
        if at > now {
            return None;
        }
        self.remove(0);
        Some(key as usize)
    }

    /// The earliest time of all.
    #[inline]
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|&(at, _)| at)
    }

    /// How many entries there are: no more than connections.
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    #[inline]
    fn place(&self, key: usize) -> Option<usize> {
        let place = *self.heap_index.get(key)?;
        (place != ABSENT).then_some(place as usize)
    }

    /// Gives a connection an earlier time, or its first.
    fn insert(&mut self, key: usize, place: Option<usize>, at: Instant) {
        if self.heap_index.len() <= key {
            self.heap_index.resize(key + 1, ABSENT);
        }
        let key = u32::try_from(key).expect("there are fewer connections than descriptors");
        let place = place.unwrap_or_else(|| {
            self.heap.push((at, key));
            self.heap.len() - 1
        });
        self.rise(place, (at, key));
    }

    fn remove(&mut self, place: usize) {
        let (_, key) = self.heap.swap_remove(place);
        self.heap_index[key as usize] = ABSENT;
        // The one that was last stands here now, and may belong further up or further down.
        if let Some(&entry) = self.heap.get(place) {
            let place = self.rise(place, entry);
            self.sink(place, entry);
        }
    }

    /// Puts an entry where it belongs: here, or nearer to the front. Returns where that is.
    fn rise(&mut self, mut place: usize, entry: Entry) -> usize {
        while place > 0 {
            let before = (place - 1) / 2;
            if self.heap[before] <= entry {
                break;
            }
            self.put(place, self.heap[before]);
            place = before;
        }
        self.put(place, entry);
        place
    }

    /// Puts an entry where it belongs: here, or farther from the front.
    fn sink(&mut self, mut place: usize, entry: Entry) {
        loop {
            let behind = 2 * place + 1..(2 * place + 3).min(self.heap.len());
            let Some(earlier) = behind.min_by_key(|&at| self.heap[at]) else { break };
            if entry <= self.heap[earlier] {
                break;
            }
            self.put(place, self.heap[earlier]);
            place = earlier;
        }
        self.put(place, entry);
    }

    fn put(&mut self, place: usize, entry: Entry) {
        self.heap[place] = entry;
        self.heap_index[entry.1 as usize] =
            u32::try_from(place).expect("there are no more entries than keys");
    }
}

/// What one connection takes of the timers, in bytes.
#[cfg(test)]
pub(super) const SIZE: usize = size_of::<Entry>() + size_of::<u32>();

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::random::Random;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do to begin with")]
    fn entries_come_out_in_order_whatever_went_in_and_out_before() {
        let start = Instant::now();
        let mut random = Random::new(1);
        let mut timers = Timers::default();
        // What each connection has asked for, the plain way.
        let mut asked: BTreeMap<usize, Instant> = BTreeMap::new();
        let mut now = start;
        for _ in 0..20_000 {
            let key = random.below(50) as usize;
            let at = now + Duration::from_nanos(random.below(40).into());
            match random.below(8) {
                0 => {
                    timers.disarm(key);
                    asked.remove(&key);
                }
                1 => {
                    now += Duration::from_nanos(random.below(10).into());
                    while let Some(key) = timers.expired(now) {
                        let at = asked.remove(&key).expect("only an armed connection wakes");
                        assert!(at <= now && asked.values().all(|&other| at <= other));
                    }
                    assert!(asked.values().all(|&at| at > now), "none was forgotten");
                }
                _ => {
                    timers.arm(key, Some(at));
                    let armed = asked.entry(key).or_insert(at);
                    *armed = at.min(*armed);
                }
            }
            assert_eq!(timers.next(), asked.values().min().copied());
            assert_eq!(timers.len(), asked.len());
        }
    }
}
