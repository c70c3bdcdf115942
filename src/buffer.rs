//! Bytes on their way from a producer to a consumer, and the pool that large buffers come from.
//!
//! A busy connection borrows, an idle one owns nothing: while a connection has its turn its buffers
//! are [`BUFFER_SIZE`] large and come from the loop's [`Pool`]; when the turn is over, what must
//! wait (a partial line, an unsent tail) moves to a block of just its size, and the large one goes
//! back. The pool is last in, first out, so the same memory, warm in the cache, serves every
//! connection.

use std::mem;

/// The size of a borrowed buffer, and so the most that one receive can bring, in bytes.
pub const BUFFER_SIZE: usize = 64 * 1024;

/// The largest remainder that is copied out of a borrowed buffer at the end of a turn, in bytes.
/// A longer one keeps the buffer: copying it would cost more than another buffer does.
const COPY_LIMIT: usize = BUFFER_SIZE / 4;

/// The free buffers that a pool keeps; more are given back to the system.
pub const POOL_SIZE: usize = 8;

const _: () = assert!(COPY_LIMIT < BUFFER_SIZE);

/// A queue of bytes in one block of memory.
///
/// `0 <= start <= end <= storage.len()`: the bytes from `start` to `end` are pending, those behind
/// `end` are room. An empty buffer has both at 0.
///
/// An idle connection has two of them, with nothing in them. So the cursors are as wide as the
/// largest block needs, and no wider.
#[derive(Debug, Default)]
pub struct Buffer {
    storage: Box<[u8]>,
    start: Cursor,
    end: Cursor,
}

/// A place in a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor(u32);

impl Cursor {
    #[inline]
    pub(crate) fn to(place: usize) -> Self {
        Self(u32::try_from(place).expect("no block is that large"))
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
    /// The bytes that were written and not yet consumed, oldest first.
    #[inline]
    pub fn pending(&self) -> &[u8] {
        &self.storage[self.start.at()..self.end.at()]
    }

    /// How many bytes are pending.
    #[inline]
    pub fn len(&self) -> usize {
        self.end.at() - self.start.at()
    }

    /// Whether nothing is pending.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start.at() == self.end.at()
    }

    /// How many bytes of memory the buffer holds.
    pub fn size(&self) -> usize {
        self.storage.len()
    }

    /// The free space behind the pending bytes, which move to the front for it. What is put there
    /// counts only once [`filled`](Self::filled) says so.
    pub fn room(&mut self) -> &mut [u8] {
        self.compact();
        &mut self.storage[self.end.at()..]
    }

    /// The first `n` bytes of [`room`](Self::room) are pending now.
    pub fn filled(&mut self, n: usize) {
        assert!(n <= self.storage.len() - self.end.at(), "more bytes than there was room for");
        self.end.advance(n);
    }

    /// Appends a copy of `bytes`; the block grows if it must.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) {
        if self.storage.len() - self.end.at() < bytes.len() {
            self.grow(bytes.len());
        }
        self.storage[self.end.at()..self.end.at() + bytes.len()].copy_from_slice(bytes);
        self.end.advance(bytes.len());
    }

    /// Moves the first `n` pending bytes of `from` behind the pending bytes of this buffer. All
    /// that one holds goes over to an empty other without being copied.
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
            Some(place) => {
                *place = byte;
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

    /// The first `n` pending bytes are done with.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.len(), "more bytes consumed than were pending");
        self.start.advance(n);
        if self.start.at() == self.end.at() {
            self.clear();
        }
    }

    /// Only the first `n` pending bytes stay.
    pub fn truncate(&mut self, n: usize) {
        self.end = Cursor::to(self.end.at().min(self.start.at() + n));
    }

    /// Writes over the pending bytes from the one at `at` on.
    pub fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        let at = self.start.at() + at;
        assert!(at + bytes.len() <= self.end.at(), "only what is pending can be written over");
        self.storage[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Nothing is pending any more.
    #[inline]
    pub fn clear(&mut self) {
        self.start = Cursor::default();
        self.end = Cursor::default();
    }

    /// Makes the block at least [`BUFFER_SIZE`] large, out of `pool`, for a turn of its connection.
    #[inline]
    pub fn borrow(&mut self, pool: &mut Pool) {
        if self.storage.len() < BUFFER_SIZE {
            let parked = mem::replace(&mut self.storage, pool.take());
            let (start, end) = (self.start.at(), self.end.at());
            self.clear();
            self.write(&parked[start..end]);
        }
    }

    /// Keeps what is pending, and only that; the large block goes back to `pool`.
    #[inline]
    pub fn park(&mut self, pool: &mut Pool) {
        if self.len() > COPY_LIMIT {
            return;
        }
        let parked = Box::from(self.pending());
        let borrowed = mem::replace(&mut self.storage, parked);
        self.start = Cursor::default();
        self.end = Cursor::to(self.storage.len());
        pool.give(borrowed);
    }

    fn compact(&mut self) {
        if self.start.at() > 0 {
            self.storage.copy_within(self.start.at()..self.end.at(), 0);
            self.end = Cursor::to(self.len());
            self.start = Cursor::default();
        }
    }

    /// Makes room for `more` bytes, at the front or in a larger block.
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

/// The free buffers of one loop or one thread.
#[derive(Debug, Default)]
pub struct Pool {
    /// Each is [`BUFFER_SIZE`] long; at most [`POOL_SIZE`] of them, the one used last on top.
    free: Vec<Box<[u8]>>,
}

impl Pool {
    /// How many bytes of memory the free buffers hold.
    pub fn size(&self) -> usize {
        self.free.len() * BUFFER_SIZE
    }

    #[inline]
    fn take(&mut self) -> Box<[u8]> {
        self.free.pop().unwrap_or_else(|| vec![0; BUFFER_SIZE].into_boxed_slice())
    }

    /// A block of another size, grown for one long reply, is not kept.
    #[inline]
    fn give(&mut self, block: Box<[u8]>) {
        if block.len() == BUFFER_SIZE && self.free.len() < POOL_SIZE {
            self.free.push(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_the_order_in_which_they_came() {
        let mut buffer = Buffer::default();
        buffer.write(b"abc");
        buffer.consume(2);
        buffer.write(b"defgh");
        assert_eq!(buffer.pending(), b"cdefgh");
    }

    #[test]
    fn pending_bytes_move_to_the_front_to_give_all_the_room_there_is() {
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
    fn all_that_a_buffer_holds_moves_into_an_empty_one_as_it_is() {
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
    fn a_parked_buffer_keeps_its_bytes_and_nothing_else() {
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
