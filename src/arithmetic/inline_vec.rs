//! A vector that needs no heap while it is short.

use core::mem;

/// Fills the slots that hold no item.
pub(super) trait Filler {
    const FILLER: Self;
}

/// Keeps up to `N` items inline, and more than that all on the heap, so that they are one slice in
/// any case.
#[derive(Debug)]
pub(super) struct InlineVec<T, const N: usize> {
    inline: [T; N],
    /// The number of items in `inline`: 0 if there are any in `heap`.
    inline_len: usize,
    heap: Vec<T>,
}

impl<T: Filler, const N: usize> InlineVec<T, N> {
    #[inline]
    pub(super) fn new() -> Self {
        Self { inline: [const { T::FILLER }; N], inline_len: 0, heap: Vec::new() }
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[T] {
        if self.heap.is_empty() {
            self.inline.get(..self.inline_len).unwrap_or_default()
        } else {
            &self.heap
        }
    }

    #[inline]
    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        if self.heap.is_empty() {
            self.inline.get_mut(..self.inline_len).unwrap_or_default()
        } else {
            &mut self.heap
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.inline_len + self.heap.len()
    }

    #[inline]
    pub(super) fn last(&self) -> Option<&T> {
        self.as_slice().last()
    }

    #[inline]
    pub(super) fn push(&mut self, item: T) {
        if self.heap.is_empty()
            && let Some(slot) = self.inline.get_mut(self.inline_len)
        {
            *slot = item;
            self.inline_len += 1;
        } else {
            self.push_to_heap(item);
        }
    }

    #[cold]
    fn push_to_heap(&mut self, item: T) {
        if self.heap.is_empty() {
            self.heap.reserve(4 * N);
            self.heap.extend(self.inline.iter_mut().map(|slot| mem::replace(slot, T::FILLER)));
            self.inline_len = 0;
        }
        self.heap.push(item);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        match self.inline_len.checked_sub(1) {
            Some(len) => {
                self.inline_len = len;
                self.inline.get_mut(len).map(|slot| mem::replace(slot, T::FILLER))
            }
            None => self.heap.pop(),
        }
    }

    /// Drops the last `count` items, or all if there are fewer.
    #[inline]
    pub(super) fn drop_last(&mut self, count: usize) {
        for _ in 0..count {
            self.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Filler for u32 {
        const FILLER: Self = 0;
    }

    #[test]
    fn it_moves_to_the_heap_and_stays_one_slice() {
        let mut items = InlineVec::<u32, 2>::new();
        for item in 0..5 {
            items.push(item);
            assert_eq!(items.as_slice(), (0..=item).collect::<Vec<_>>());
        }
        items.as_mut_slice()[4] = 9;
        assert_eq!(items.last(), Some(&9));
        items.drop_last(3);
        assert_eq!(
            (items.len(), items.pop(), items.pop(), items.pop()),
            (2, Some(1), Some(0), None)
        );
        items.push(7);
        assert_eq!(items.as_slice(), [7]);
    }
}
