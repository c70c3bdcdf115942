//! Exact intervals of medians, and what they say of a ratio.
//!
//! Nothing is assumed of the distribution of a measurement but that rounds are independent: each
//! lies below its median with probability 1/2, so the number of those below is binomial. The
//! interval from the k-th smallest of n to the k-th largest misses the median with probability
//! 2 P(B(n, 1/2) < k).
//!
//! Several intervals hold together if the probability to miss is split among them (Bonferroni). The
//! number of rounds is fixed beforehand: whoever looks after each round and stops at the first
//! difference finds one where there is none.

use serde::Serialize;

/// The probability that any of the intervals of a comparison misses.
pub(super) const MISS: f64 = 0.05;

/// The same for the intervals that are compared with the margin: each of their two ends may miss
/// with [`MISS`].
const MARGIN_MISS: f64 = 2.0 * MISS;

/// The fewest rounds with which one interval can hold at 95 %.
const FEWEST_ROUNDS: usize = 6;

/// The most rounds that are asked for.
const MOST_ROUNDS: f64 = 10_000.0;

/// A median and its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Interval {
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self { low: f(self.low), median: f(self.median), high: f(self.high) }
    }

    /// The greatest distance of an end from 1, as a ratio above 0.
    pub(super) fn width(&self) -> f64 {
        (self.high - 1.0).max(1.0 / self.low - 1.0)
    }
}

/// The verdict on a ratio to the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// The same within the margin.
    Same,
    /// Above 1.
    Higher,
    /// Below 1.
    Lower,
    /// Neither is certain.
    CannotTell,
}

/// A ratio to the baseline, and its verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Comparison {
    /// The ratio.
    pub(super) ratio: Interval,
    /// The verdict.
    pub(super) verdict: Verdict,
    /// The number of rounds that would bring a verdict, about, if there is none.
    pub(super) rounds_needed: Option<u64>,
}

/// The probability that the interval from the k-th smallest of n to the k-th largest misses.
fn miss(n: usize, k: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "rounds are few")]
    let below = |i: usize| (0..i).fold(1.0, |term, j| term * (n - j) as f64 / (j + 1) as f64);
    let half = 0.5f64.powi(i32::try_from(n).expect("rounds are few"));
    2.0 * (0..k).map(|i| below(i) * half).sum::<f64>()
}

/// The rank k of the shortest interval that misses with at most this probability.
fn rank(n: usize, most: f64) -> Option<usize> {
    (1..=n / 2).take_while(|&k| miss(n, k) <= most).last()
}

/// The fewest rounds with which `comparisons` intervals can hold together.
pub(super) fn fewest_rounds(comparisons: usize) -> usize {
    let most = MISS / share(comparisons);
    let mut fewest = FEWEST_ROUNDS;
    // The greatest interval misses half as often with each round more.
    while rank(fewest, most).is_none() {
        fewest += 1;
    }
    fewest
}

#[expect(clippy::cast_precision_loss, reason = "comparisons are few")]
fn share(comparisons: usize) -> f64 {
    comparisons.max(1) as f64
}

/// The median of values. None if there are none.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The median of values and its interval, which misses with at most this probability. None if they
/// are too few.
pub(super) fn interval(values: &[f64], most: f64) -> Option<Interval> {
    let k = rank(values.len(), most)?;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (low, high) = (sorted[k - 1], sorted[sorted.len() - k]);
    Some(Interval { low, median: median(&sorted)?, high })
}

/// Compares values with those of the baseline in the same rounds, as one of several `comparisons`.
/// None if the rounds are too few. All values are above 0.
pub(super) fn compare(
    values: &[f64],
    baseline: &[f64],
    margin: f64,
    comparisons: usize,
) -> Option<Comparison> {
    let logs: Vec<_> =
        values.iter().zip(baseline).map(|(value, base)| (value / base).ln()).collect();
    let ratio = interval(&logs, MISS / share(comparisons))?;
    let inner = interval(&logs, MARGIN_MISS / share(comparisons))?;
    let margin = margin.ln_1p();
    let verdict = if -margin <= inner.low && inner.high <= margin {
        Verdict::Same
    } else if ratio.low > 0.0 {
        Verdict::Higher
    } else if ratio.high < 0.0 {
        Verdict::Lower
    } else {
        Verdict::CannotTell
    };
    let undecided = verdict == Verdict::CannotTell;
    let rounds_needed = undecided.then(|| rounds_needed(logs.len(), ratio, inner, margin));
    Some(Comparison { ratio: ratio.map(f64::exp), verdict, rounds_needed: rounds_needed.flatten() })
}

/// The number of rounds after which one of the intervals would be decisive, if the median stays
/// where it is: the length of an interval falls with the root of their number.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate, of a small number"
)]
fn rounds_needed(rounds: usize, ratio: Interval, inner: Interval, margin: f64) -> Option<u64> {
    let needed = |interval: Interval, distance: f64| {
        let half = (interval.high - interval.low) / 2.0;
        rounds as f64 * (half / distance.max(f64::MIN_POSITIVE)).powi(2)
    };
    let different = needed(ratio, ratio.median.abs());
    let same = needed(inner, margin - ratio.median.abs());
    let least = different.min(same).max(rounds as f64 + 1.0);
    // Two digits are more than the estimate is good for.
    let unit = 10f64.powf((least.log10() - 1.0).floor()).max(1.0);
    (least <= MOST_ROUNDS).then(|| ((least / unit).ceil() * unit) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_of_one_comparison_are_those_of_the_sign_test() {
        for (rounds, k, level) in
            [(6, 1, 0.96875), (9, 2, 0.9609), (12, 3, 0.9614), (20, 6, 0.9586)]
        {
            assert_eq!(rank(rounds, MISS), Some(k), "{rounds} rounds");
            assert!((1.0 - miss(rounds, k) - level).abs() < 5e-5, "{rounds}: {}", miss(rounds, k));
        }
        assert_eq!(rank(5, MISS), None);
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "a sum of few digits is compared")]
    fn a_rank_misses_as_often_as_binomial_sums_say() {
        // Pascal's triangle in whole numbers.
        let mut row = vec![1_u64];
        for n in 1..=60_usize {
            row.push(0);
            row = (0..=n).map(|i| row[i] + if i > 0 { row[i - 1] } else { 0 }).collect();
            for k in 1..=n / 2 {
                let exact = 2.0 * row[..k].iter().sum::<u64>() as f64 / (1_u64 << n) as f64;
                assert!((miss(n, k) - exact).abs() <= 1e-12 * exact, "n {n}, k {k}");
            }
        }
        assert!((0.0..1e-290).contains(&miss(1000, 1)));
    }

    #[test]
    fn more_comparisons_need_more_rounds() {
        assert_eq!([1, 2, 4, 20, 100].map(fewest_rounds), [6, 7, 8, 10, 12]);
    }

    #[test]
    fn the_verdict_follows_from_the_intervals() {
        let baseline = [100.0; 12];
        let judge = |values: [f64; 12]| compare(&values, &baseline, 0.05, 1).unwrap();
        // Different beyond doubt, but within the margin: that wins.
        let near = judge([101.0; 12]);
        assert_eq!((near.verdict, near.rounds_needed), (Verdict::Same, None));
        assert_eq!(judge([110.0; 12]).verdict, Verdict::Higher);
        assert_eq!(judge([90.0; 12]).verdict, Verdict::Lower);
        let mut wide = [80.0; 12];
        wide[..6].fill(125.0);
        let wide = judge(wide);
        assert_eq!(wide.verdict, Verdict::CannotTell);
        assert!((wide.ratio.low - 0.8).abs() < 1e-9 && (wide.ratio.high - 1.25).abs() < 1e-9);
        assert!(wide.rounds_needed.is_some_and(|rounds| (100..1000).contains(&rounds)), "{wide:?}");
        assert!((wide.ratio.width() - 0.25).abs() < 1e-9);
        assert_eq!(compare(&[1.0; 5], &[1.0; 5], 0.05, 1), None);
    }
}
