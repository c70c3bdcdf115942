//! A stack that needs no heap while it is low.

use core::mem;

/// What stands in a place that is not used.
pub(super) trait Blank {
    const BLANK: Self;
}

/// Up to `N` items are kept in place; from then on all of them in a vector, so that they are always
/// one slice.
#[derive(Debug)]
pub(super) struct Pile<T, const N: usize> {
    low: [T; N],
    /// Items in `low`: 0 if there are any in `high`.
    low_len: usize,
    high: Vec<T>,
}

impl<T: Blank, const N: usize> Pile<T, N> {
    #[inline]
    pub(super) fn new() -> Self {
        Self { low: [const { T::BLANK }; N], low_len: 0, high: Vec::new() }
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[T] {
        if self.high.is_empty() {
            self.low.get(..self.low_len).unwrap_or_default()
        } else {
            &self.high
        }
    }

    #[inline]
    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        if self.high.is_empty() {
            self.low.get_mut(..self.low_len).unwrap_or_default()
        } else {
            &mut self.high
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.low_len + self.high.len()
    }

    #[inline]
    pub(super) fn last(&self) -> Option<&T> {
        self.as_slice().last()
    }

    #[inline]
    pub(super) fn push(&mut self, item: T) {
        if self.high.is_empty()
            && let Some(place) = self.low.get_mut(self.low_len)
        {
            *place = item;
            self.low_len += 1;
        } else {
            self.push_high(item);
        }
    }

    #[cold]
    fn push_high(&mut self, item: T) {
        if self.high.is_empty() {
            self.high.reserve(4 * N);
            self.high.extend(self.low.iter_mut().map(|place| mem::replace(place, T::BLANK)));
            self.low_len = 0;
        }
        self.high.push(item);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        match self.low_len.checked_sub(1) {
            Some(len) => {
                self.low_len = len;
                self.low.get_mut(len).map(|place| mem::replace(place, T::BLANK))
            }
            None => self.high.pop(),
        }
    }

    /// Drops the last `count` items.
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

    impl Blank for u32 {
        const BLANK: Self = 0;
    }

    #[test]
    fn it_grows_past_its_place_and_back_and_stays_one_slice() {
        let mut pile = Pile::<u32, 2>::new();
        for item in 0..5 {
            pile.push(item);
            assert_eq!(pile.as_slice(), (0..=item).collect::<Vec<_>>());
        }
        pile.as_mut_slice()[4] = 9;
        assert_eq!(pile.last(), Some(&9));
        pile.drop_last(3);
        assert_eq!((pile.len(), pile.pop(), pile.pop(), pile.pop()), (2, Some(1), Some(0), None));
        pile.push(7);
        assert_eq!(pile.as_slice(), [7]);
    }
}
