//! The axes of a picture: their ticks and the labels of these.

use std::f64::consts::LOG10_2;
use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::load::figures::{short_time, tick_step, whole};
use crate::number::grouped;

/// The most ticks of a linear axis, about.
const TICKS: f64 = 10.0;

/// The decades of a logarithmic axis up to which it has ticks at 2 and 5 times a power of ten.
const FEW_DECADES: i32 = 2;

/// The decimal logarithms of 2 and 5.
const LOG_2_5: [f64; 2] = [LOG10_2, 1.0 - LOG10_2];

/// An axis of a panel.
pub(super) struct Axis {
    range: Range<f64>,
    ticks: Vec<f64>,
    label: fn(f64) -> String,
}

impl Axis {
    /// A linear axis of the time from 0 s on.
    pub(super) fn times(until: f64) -> Self {
        Self::even(until, if until < 1.0 { millis } else { seconds })
    }

    /// A linear axis of rates from 0 on.
    pub(super) fn rates(until: f64) -> Self {
        Self::even(until, |rate| grouped(whole(rate)))
    }

    /// A linear axis from 0 on, with a tick at every multiple of 1, 2 or 5 times a power of ten.
    fn even(until: f64, label: fn(f64) -> String) -> Self {
        let step = tick_step(until, TICKS);
        // A tick at the very end may be off by a rounding error.
        let count = u32::try_from(whole((until / step + 1e-9).floor())).unwrap_or(0);
        let ticks = (0..=count).map(|n| (f64::from(n) * step).min(until)).collect();
        Self { range: 0.0..until, ticks, label }
    }

    /// An axis of percentiles: 0 is 0 %, 1 is 90 %, 2 is 99 %.
    pub(super) fn nines(most: i32) -> Self {
        let ticks = (0..=most).map(f64::from).collect();
        Self { range: 0.0..f64::from(most), ticks, label: percentile }
    }

    /// A logarithmic axis of microseconds, from the power of ten below all values to the one above.
    pub(super) fn decades(values: &[f64]) -> Self {
        let holds = |power: &i32| {
            let power = f64::from(*power);
            values.iter().any(|log| (power..power + 1.0).contains(log))
        };
        let first = (-3..10).find(holds).unwrap_or(0);
        let last = (first..10).rev().find(holds).unwrap_or(0) + 1;
        let between: &[f64] = if last - first <= FEW_DECADES { &LOG_2_5 } else { &[] };
        let ticks = (first..last).map(f64::from).flat_map(|power| {
            [power].into_iter().chain(between.iter().map(move |log| power + log))
        });
        let ticks = ticks.chain([f64::from(last)]).collect();
        Self { range: f64::from(first)..f64::from(last), ticks, label: micros }
    }

    /// The highest value.
    pub(super) fn end(&self) -> f64 {
        self.range.end
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[expect(clippy::cast_possible_truncation, reason = "a pixel is a whole number")]
    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        low + (part * f64::from(high - low)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        (self.label)(*value)
    }
}

fn seconds(time: f64) -> String {
    format!("{} s", (time * 1000.0).round() / 1000.0)
}

fn millis(time: f64) -> String {
    format!("{} ms", (time * 1e6).round() / 1000.0)
}

/// A time by the logarithm of its microseconds.
fn micros(log: f64) -> String {
    short_time(10f64.powf(log))
}

/// 0 is 0 %, 1 is 90 %, 2 is 99 %.
fn percentile(nines: f64) -> String {
    let digits = usize::try_from(whole((nines - 2.0).max(0.0))).unwrap_or(0);
    format!("{:.digits$} %", 100.0 - 10f64.powf(2.0 - nines))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|tick| (axis.label)(*tick)).collect()
    }

    #[test]
    fn a_short_load_has_ticks_in_milliseconds() {
        let ticks = ["0 ms", "50 ms", "100 ms", "150 ms", "200 ms", "250 ms", "300 ms"];
        assert_eq!(labels(&Axis::times(0.3)), ticks);
        assert_eq!(labels(&Axis::times(0.0002)).last().unwrap(), "0.2 ms");
        assert_eq!(labels(&Axis::times(5.0)).first().unwrap(), "0 s");
        assert_eq!(labels(&Axis::times(5.0)).len(), 11);
    }

    #[test]
    fn an_axis_of_few_decades_has_ticks_between_them() {
        assert_eq!(labels(&Axis::decades(&[1.4, 1.9])), ["10 us", "20 us", "50 us", "100 us"]);
        assert_eq!(labels(&Axis::decades(&[1.4, 3.9])), ["10 us", "100 us", "1 ms", "10 ms"]);
    }
}
