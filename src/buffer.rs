//! Queues of bytes, and the pool that their large blocks come from.
//!
//! A busy connection borrows memory, an idle one owns none. During a slice a connection's buffers
//! are blocks of [`BUFFER_SIZE`] bytes from the loop's [`Pool`]. At the end of the slice pending
//! bytes (a partial line, an unsent tail) move to a block of exactly their size, and the large
//! block goes back to the pool. The pool is last in, first out, so every connection uses the same
//! memory, which is warm in the cache.
//!
//! A thread or a process that waits in its receive holds the blocks meanwhile. Its pool begins with
//! small blocks ([`SMALL_BLOCK`]), which suffice for most clients; a receive that fills one makes
//! them large.

use std::mem;

/// The size of a borrowed block, and so the most that one receive can return, in bytes.
pub const BUFFER_SIZE: usize = 64 * 1024;

/// The size of a block of [`Pool::of_small_blocks`], in bytes.
pub const SMALL_BLOCK: usize = 1024;

/// The largest remainder that is copied out of a borrowed block at the end of a slice, in bytes.
/// A longer one keeps the block: copying it would cost more than another block does.
const COPY_LIMIT: usize = BUFFER_SIZE / 4;

/// The most connections of a pool that may each keep two blocks, which are 32 MiB. With more, a
/// connection that waits keeps only its pending bytes, and receives and computes less in advance.
const BLOCK_OWNERS: usize = 256;

/// The most bytes of one receive while the pool has more connections than [`BLOCK_OWNERS`].
const SHORT_RECEIVE: usize = BUFFER_SIZE / 4;

/// The most free blocks that a pool keeps; any others are returned to the allocator.
pub const POOL_SIZE: usize = 8;

/// A queue of bytes in one block of memory.
///
/// Invariant: `start <= end <= storage.len()`. The bytes from `start` to `end` are pending; those
/// from `end` on are free. In an empty buffer both are 0.
///
/// Every idle connection has two empty buffers, so the cursors are no wider than the largest block
/// needs.
#[derive(Debug, Default)]
pub struct Buffer {
    storage: Box<[u8]>,
    start: Cursor,
    end: Cursor,
}

/// An offset into a block, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor(u32);

impl Cursor {
    #[inline]
    pub(crate) fn to(offset: usize) -> Self {
        Self(u32::try_from(offset).expect("no block is that large"))
    }

    #[inline]
    pub(crate) fn at(self) -> usize {
        self.0 as usize
    }

    #[inline]
    fn advance(&mut self, n: usize) {
        *self = Self::to(self.at() + n);
    }
}

impl Buffer {
    /// The bytes written and not yet consumed, oldest first.
    #[inline]
    pub fn pending(&self) -> &[u8] {
        &self.storage[self.start.at()..self.end.at()]
    }

    /// The number of pending bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.end.at() - self.start.at()
    }

    /// True if there is no room behind the pending bytes.
    #[inline]
    pub fn is_filled(&self) -> bool {
        self.end.at() == self.storage.len()
    }

    /// True if nothing is pending.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start.at() == self.end.at()
    }

    /// The size of the block, in bytes.
    pub fn size(&self) -> usize {
        self.storage.len()
    }

    /// The free space behind the pending bytes, which move to the front of the block. Bytes written
    /// there become pending with [`filled`](Self::filled).
    pub fn room(&mut self) -> &mut [u8] {
        self.compact();
        &mut self.storage[self.end.at()..]
    }

    /// Makes the first `n` bytes of [`room`](Self::room) pending.
    pub fn filled(&mut self, n: usize) {
        assert!(n <= self.storage.len() - self.end.at(), "more bytes than there was room for");
        self.end.advance(n);
    }

    /// Appends a copy of `bytes`. The block grows if it is too small.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) {
        if self.storage.len() - self.end.at() < bytes.len() {
            self.grow(bytes.len());
        }
        self.storage[self.end.at()..self.end.at() + bytes.len()].copy_from_slice(bytes);
        self.end.advance(bytes.len());
    }

    /// Moves the first `n` pending bytes of `from` to the end of this buffer. If that is all of
    /// `from`, and this buffer is empty, the blocks are swapped and nothing is copied.
    pub fn append(&mut self, from: &mut Buffer, n: usize) {
        if self.is_empty() && n == from.len() {
            mem::swap(self, from);
        } else {
            self.write(&from.pending()[..n]);
            from.consume(n);
        }
    }

    /// Appends one byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        match self.storage.get_mut(self.end.at()) {
            Some(free) => {
                *free = byte;
                self.end.0 += 1;
            }
            None => self.push_beyond(byte),
        }
    }

    #[cold]
    fn push_beyond(&mut self, byte: u8) {
        self.grow(1);
        self.storage[self.end.at()] = byte;
        self.end.advance(1);
    }

    /// Removes the first `n` pending bytes.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.len(), "more bytes consumed than were pending");
        self.start.advance(n);
        if self.start.at() == self.end.at() {
            self.clear();
        }
    }

    /// Removes all but the first `n` pending bytes.
    pub fn truncate(&mut self, n: usize) {
        if n == 0 {
            self.clear();
        } else {
            self.end = Cursor::to(self.end.at().min(self.start.at() + n));
        }
    }

    /// Overwrites pending bytes with `bytes`, from index `at` on.
    pub fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        let at = self.start.at() + at;
        assert!(at + bytes.len() <= self.end.at(), "only pending bytes can be overwritten");
        self.storage[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Removes all pending bytes.
    #[inline]
    pub fn clear(&mut self) {
        self.start = Cursor::default();
        self.end = Cursor::default();
    }

    /// Makes the block at least as large as those of `pool`, with one of them, for a slice of the
    /// connection.
    #[inline]
    pub fn borrow(&mut self, pool: &mut Pool) {
        if self.storage.len() < pool.block_size {
            let parked = mem::replace(&mut self.storage, pool.take());
            if !self.is_empty() {
                let pending = self.start.at()..self.end.at();
                self.clear();
                self.write(&parked[pending]); // mutant: lose-the-parked
            }
        }
    }

    /// Moves the pending bytes to a block of their size, unless they are many, and returns the
    /// large block to `pool`.
    #[inline]
    pub fn park(&mut self, pool: &mut Pool) {
        // mutant: park-nothing
        if self.len() > COPY_LIMIT && !pool.is_scarce() {
            return;
        }
        let parked = if self.is_empty() { Box::default() } else { Box::from(self.pending()) };
        let borrowed = mem::replace(&mut self.storage, parked);
        self.start = Cursor::default();
        self.end = Cursor::to(self.storage.len());
        pool.give(borrowed);
    }

    /// Moves the pending bytes to the front of the block.
    fn compact(&mut self) {
        if self.start.at() > 0 {
            self.storage.copy_within(self.start.at()..self.end.at(), 0);
            self.end = Cursor::to(self.len());
            self.start = Cursor::default();
        }
    }

    /// Makes room for `more` bytes, by compaction or in a larger block.
    #[cold]
    fn grow(&mut self, more: usize) {
        self.compact();
        let needed = self.end.at() + more;
        if needed > self.storage.len() {
            let mut larger = vec![0; needed.next_power_of_two()].into_boxed_slice();
            larger[..self.end.at()].copy_from_slice(&self.storage[..self.end.at()]);
            self.storage = larger;
        }
    }
}

/// The free blocks of one loop or one thread.
#[derive(Debug)]
pub struct Pool {
    /// At most [`POOL_SIZE`] blocks of `block_size` bytes, the last used at the end.
    free: Vec<Box<[u8]>>,
    /// The size of a block, in bytes: [`SMALL_BLOCK`] or [`BUFFER_SIZE`].
    block_size: usize,
    /// The number of connections that share the pool.
    connections: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self { free: Vec::new(), block_size: BUFFER_SIZE, connections: 0 }
    }
}

impl Pool {
    /// A pool for one connection that keeps its blocks while it waits: they are small until
    /// [`enlarge`](Self::enlarge).
    pub fn of_small_blocks() -> Self {
        Self { block_size: SMALL_BLOCK, ..Self::default() }
    }

    /// True if its blocks are small.
    #[inline]
    pub fn is_small(&self) -> bool {
        self.block_size < BUFFER_SIZE
    }

    /// Makes the blocks as large as those of other pools.
    pub fn enlarge(&mut self) {
        self.block_size = BUFFER_SIZE;
        self.free.clear();
    }

    /// Sets the number of connections that share the pool.
    pub fn set_connections(&mut self, connections: usize) {
        self.connections = connections;
    }

    /// True if the connections are too many for each to keep blocks.
    #[inline]
    pub fn is_scarce(&self) -> bool {
        self.connections > BLOCK_OWNERS
    }

    /// The most bytes of one receive.
    #[inline]
    pub fn receive_limit(&self) -> usize {
        if self.is_scarce() { SHORT_RECEIVE } else { BUFFER_SIZE }
    }

    /// The size of the free blocks together, in bytes.
    pub fn size(&self) -> usize {
        self.free.len() * self.block_size
    }

    #[inline]
    fn take(&mut self) -> Box<[u8]> {
        self.free.pop().unwrap_or_else(|| vec![0; self.block_size].into_boxed_slice())
    }

    /// Keeps `block`, unless it has another size because it grew for a long reply.
    #[inline]
    fn give(&mut self, block: Box<[u8]>) {
        if block.len() == self.block_size && self.free.len() < POOL_SIZE {
            self.free.push(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_in_the_order_in_which_they_were_written() {
        let mut buffer = Buffer::default();
        buffer.write(b"abc");
        buffer.consume(2);
        buffer.write(b"defgh");
        assert_eq!(buffer.pending(), b"cdefgh");
    }

    #[test]
    fn pending_bytes_move_to_the_front_so_that_all_free_space_is_behind_them() {
        let mut pool = Pool::default();
        let mut buffer = Buffer::default();
        buffer.borrow(&mut pool);
        buffer.write(b"abc");
        buffer.consume(2);
        assert_eq!(buffer.room().len(), BUFFER_SIZE - 1);
        buffer.room()[0] = b'x';
        buffer.filled(1);
        assert_eq!(buffer.pending(), b"cx");
    }

    #[test]
    fn a_buffer_without_pending_bytes_begins_at_the_front_again() {
        let remove: [fn(&mut Buffer); 3] =
            [|buffer| buffer.consume(1), |buffer| buffer.truncate(0), |buffer| buffer.clear()];
        for remove in remove {
            let mut buffer = Buffer::default();
            buffer.write(b"abc");
            buffer.consume(2);
            remove(&mut buffer);
            assert_eq!((buffer.start.at(), buffer.end.at()), (0, 0));
        }
    }

    #[test]
    fn a_whole_buffer_moves_into_an_empty_one_without_a_copy() {
        let (mut from, mut to) = (Buffer::default(), Buffer::default());
        from.write(b"abcdef");
        let bytes = from.pending().as_ptr();
        to.append(&mut from, 6);
        assert_eq!((from.pending(), to.pending()), (&b""[..], &b"abcdef"[..]));
        assert_eq!(to.pending().as_ptr(), bytes, "nothing was copied");

        from.write(b"ghij");
        to.append(&mut from, 2);
        assert_eq!((from.pending(), to.pending()), (&b"ij"[..], &b"abcdefgh"[..]));
    }

    #[test]
    fn a_parked_buffer_keeps_only_its_pending_bytes() {
        let mut pool = Pool::default();
        let mut buffer = Buffer::default();
        buffer.borrow(&mut pool);
        buffer.write(b"half a line");
        buffer.consume(5);
        buffer.park(&mut pool);
        assert_eq!((buffer.pending(), buffer.storage.len()), (&b"a line"[..], 6));
        assert_eq!(pool.free.len(), 1);

        buffer.borrow(&mut pool);
        assert_eq!((buffer.pending(), buffer.storage.len()), (&b"a line"[..], BUFFER_SIZE));
        assert!(pool.free.is_empty());

        buffer.clear();
        buffer.park(&mut pool);
        assert_eq!(buffer.storage.len(), 0);
    }

    #[test]
    fn a_long_remainder_keeps_the_borrowed_block() {
        let mut pool = Pool::default();
        let mut buffer = Buffer::default();
        buffer.borrow(&mut pool);
        buffer.write(&vec![7; COPY_LIMIT + 1]);
        buffer.park(&mut pool);
        assert_eq!(buffer.storage.len(), BUFFER_SIZE);
        assert!(pool.free.is_empty());
    }

    #[test]
    fn a_block_that_grew_does_not_stay_in_the_pool() {
        let mut pool = Pool::default();
        let mut buffer = Buffer::default();
        buffer.borrow(&mut pool);
        buffer.write(&vec![1; BUFFER_SIZE]);
        buffer.write(&[2; 10]);
        assert_eq!(buffer.len(), BUFFER_SIZE + 10);
        buffer.clear();
        buffer.park(&mut pool);
        assert!(pool.free.is_empty());
    }
}
