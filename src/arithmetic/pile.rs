//! A stack that needs no heap while it is low.

/// The first `N` items are kept in place, the others in a vector.
#[derive(Debug)]
pub(super) struct Pile<T, const N: usize> {
    low: [T; N],
    /// Empty while `len <= N`; holds items `N..len` otherwise.
    high: Vec<T>,
    len: usize,
}

impl<T: Default, const N: usize> Pile<T, N> {
    pub(super) fn new() -> Self {
        Self { low: core::array::from_fn(|_| T::default()), high: Vec::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn push(&mut self, item: T) {
        match self.low.get_mut(self.len) {
            Some(place) => *place = item,
            None => self.high.push(item),
        }
        self.len += 1;
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        match self.low.get_mut(self.len) {
            Some(place) => Some(core::mem::take(place)),
            None => self.high.pop(),
        }
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        if index >= self.len {
            return None;
        }
        self.low.get(index).or_else(|| self.high.get(index - N))
    }

    #[inline]
    pub(super) fn last(&self) -> Option<&T> {
        self.get(self.len.checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_past_its_place_and_back() {
        let mut pile = Pile::<u32, 2>::new();
        for item in 0..5 {
            pile.push(item);
        }
        assert_eq!(
            (pile.len(), pile.get(1), pile.get(4), pile.get(5)),
            (5, Some(&1), Some(&4), None)
        );
        assert_eq!(core::iter::from_fn(|| pile.pop()).collect::<Vec<_>>(), [4, 3, 2, 1, 0]);
        assert_eq!(pile.last(), None);
    }
}
