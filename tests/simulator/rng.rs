//! The random choices of a run, all from its seed.

use std::time::Duration;

use socklab::random::Random;

use crate::plan::Split;

#[derive(Debug)]
pub struct Rng {
    random: Random,
}

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed) }
    }

    /// True with a probability of `per_mille` thousandths.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.random.below(1000) < per_mille
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.random.below(u32::try_from(bound).unwrap()) as usize
    }

    /// A duration from zero to `most`.
    pub fn within(&mut self, most: Duration) -> Duration {
        most * self.random.below(1001) / 1000
    }

    /// Between 1 and `most` arbitrary bytes.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        let count = 1 + self.below(most);
        let words = (0..count.div_ceil(8)).flat_map(|_| self.random.draw().to_le_bytes());
        words.take(count).collect()
    }

    /// One of the first `kinds` ways to split.
    pub fn split(&mut self, kinds: usize) -> Split {
        [Split::Whole, Split::Few, Split::Bytes][self.below(kinds)]
    }
}
