//! Chance, all of it from one seed.

use std::time::Duration;

use socklab::random::Random;

use crate::plan::Cut;

#[derive(Debug)]
pub struct Dice {
    random: Random,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed) }
    }

    /// Whether it happens, of a thousand times so often.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.random.below(1000) < per_mille
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.random.below(u32::try_from(bound).unwrap()) as usize
    }

    /// A time from nothing up to `most`.
    pub fn within(&mut self, most: Duration) -> Duration {
        most * self.random.below(1001) / 1000
    }

    /// Any bytes, fewer than `most`, and any number of them.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        let count = 1 + self.below(most);
        let words = (0..count.div_ceil(8)).flat_map(|_| self.random.draw().to_le_bytes());
        words.take(count).collect()
    }

    /// One of the first `kinds` ways to cut.
    pub fn cut(&mut self, kinds: usize) -> Cut {
        [Cut::Whole, Cut::Few, Cut::Bytes][self.below(kinds)]
    }
}
