//! Seeded random numbers: the same seed gives the same numbers, on every machine and in every
//! version.
//!
//! The generator is `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number
//! generators, 2014), a hash of a counter. It is good enough for a game and for tests, and not
//! cryptographically secure.

/// The increment of the counter: 2^64 divided by the golden ratio, made odd.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random numbers, determined by its seed.
#[derive(Clone, Debug)]
pub struct Random {
    counter: u64,
}

impl Random {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { counter: seed }
    }

    /// The next number, uniform over all 2^64.
    pub fn draw(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(STRIDE);
        let mut bits = self.counter;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number in `0..bound`, uniformly distributed. `bound` must not be 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        assert!(bound > 0, "no number is below 0");
        let bound = u64::from(bound);
        // Numbers from here on are drawn again: they would make small remainders more likely.
        let fair = u64::MAX - u64::MAX % bound;
        loop {
            let drawn = self.draw();
            if drawn < fair {
                return u32::try_from(drawn % bound).expect("a remainder is below its divisor");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_published_numbers_of_the_algorithm() {
        let mut random = Random::new(1_234_567);
        let drawn: Vec<u64> = (0..5).map(|_| random.draw()).collect();
        let known = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(drawn, known);
    }

    #[test]
    fn every_number_below_the_bound_is_drawn_about_equally_often() {
        let mut random = Random::new(7);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[random.below(10) as usize] += 1;
        }
        // 10,000 each, give or take 5 standard deviations of 95.
        assert!(counts.iter().all(|count| (9_525..=10_475).contains(count)), "{counts:?}");
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn neighbouring_seeds_have_nothing_in_common() {
        let first = |seed| Random::new(seed).draw();
        for seed in 0..100 {
            let different = (first(seed) ^ first(seed + 1)).count_ones();
            assert!((10..=54).contains(&different), "seed {seed}: {different} bits differ");
        }
    }
}
