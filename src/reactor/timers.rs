//! The wake-up times of connections.
//!
//! A connection has at most one entry, and a deadline that moves away costs nothing: the entry is
//! not moved, and when its time comes the loop asks the connection for its deadline and arms the
//! timer again. So a server that answers a million messages a second, each of which moves an idle
//! deadline, changes this set only when connections open, close, or get an earlier deadline.
//!
//! Every idle connection has an entry, so an entry must be small. The entries are a binary heap in
//! one array, and a second array has the index of each key's entry: 28 bytes per connection. The
//! nodes of a B-tree, half full after insertions in order, would take twice as much.

use std::time::Instant;

/// The index of a connection that has no entry.
const ABSENT: u32 = u32::MAX;

/// A time, and the key of the connection.
type Entry = (Instant, u32);

/// The set of wake-up times.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// A binary min-heap: no entry is earlier than its parent, which is at `(index - 1) / 2`.
    heap: Vec<Entry>,
    /// The index in the heap of each key's entry, or [`ABSENT`].
    heap_index: Vec<u32>,
}

impl Timers {
    /// Makes sure that the connection `key` is woken at `deadline` or earlier.
    #[inline]
    pub(super) fn arm(&mut self, key: usize, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        match self.index(key) {
            Some(index) if self.heap[index].0 <= deadline => {} // mutant: keep-a-later-timer
            index => self.insert(key, index, deadline),
        }
    }

    /// Removes the connection's entry.
    pub(super) fn disarm(&mut self, key: usize) {
        if let Some(index) = self.index(key) {
            self.remove(index);
        }
    }

    /// Removes the earliest entry, if its time has come, and returns its key.
    pub(super) fn expired(&mut self, now: Instant) -> Option<usize> {
        let &(at, key) = self.heap.first()?;
        if at > now {
            return None;
        }
        self.remove(0);
        Some(key as usize)
    }

    /// The earliest time.
    #[inline]
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|&(at, _)| at)
    }

    /// The number of entries, at most one per connection.
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    #[inline]
    fn index(&self, key: usize) -> Option<usize> {
        let index = *self.heap_index.get(key)?;
        (index != ABSENT).then_some(index as usize)
    }

    /// Adds an entry, or makes the one at `index` earlier.
    fn insert(&mut self, key: usize, index: Option<usize>, at: Instant) {
        if self.heap_index.len() <= key {
            self.heap_index.resize(key + 1, ABSENT);
        }
        let key = u32::try_from(key).expect("there are fewer connections than descriptors");
        let index = index.unwrap_or_else(|| {
            self.heap.push((at, key));
            self.heap.len() - 1
        });
        self.sift_up(index, (at, key));
    }

    fn remove(&mut self, index: usize) {
        let (_, key) = self.heap.swap_remove(index);
        self.heap_index[key as usize] = ABSENT; // mutant: keep-a-fired-timer
        // The last entry is at this index now, and may be out of order in either direction.
        if let Some(&entry) = self.heap.get(index) {
            let index = self.sift_up(index, entry);
            self.sift_down(index, entry);
        }
    }

    /// Writes an entry to `index`, or above it to restore the order. Returns its final index.
    fn sift_up(&mut self, mut index: usize, entry: Entry) -> usize {
        while index > 0 {
            let parent = (index - 1) / 2;
            if self.heap[parent] <= entry {
                break;
            }
            self.put(index, self.heap[parent]);
            index = parent;
        }
        self.put(index, entry);
        index
    }

    /// Writes an entry to `index`, or below it to restore the order.
    fn sift_down(&mut self, mut index: usize, entry: Entry) {
        loop {
            let children = 2 * index + 1..(2 * index + 3).min(self.heap.len());
            let Some(earlier) = children.min_by_key(|&child| self.heap[child]) else { break };
            if entry <= self.heap[earlier] {
                break;
            }
            self.put(index, self.heap[earlier]);
            index = earlier;
        }
        self.put(index, entry);
    }

    fn put(&mut self, index: usize, entry: Entry) {
        self.heap[index] = entry;
        self.heap_index[entry.1 as usize] =
            u32::try_from(index).expect("there are no more entries than keys");
    }
}

/// The memory of the timers per connection, in bytes.
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
    fn timers_fire_in_order_after_any_insertions_and_removals() {
        let start = Instant::now();
        let mut random = Random::new(1);
        let mut timers = Timers::default();
        // A simple model of the same set.
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
                        let at = asked.remove(&key).expect("only an armed timer fires");
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
