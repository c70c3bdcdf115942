//! Figures as a person reads them: numbers with their noun, times and rates with three digits,
//! the ticks of an axis.

use crate::number::grouped;

/// `1 request`, `1,000 requests`.
pub fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// A rate, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are not negative, and far below the largest integer"
)]
pub fn whole(n: f64) -> u64 {
    n.round() as u64
}

/// A time in microseconds, with three digits and the unit that suits it.
pub fn time(micros: f64) -> String {
    let (value, unit) = match micros {
        n if n < 1000.0 => (n, "us"),
        n if n < 1_000_000.0 => (n / 1000.0, "ms"),
        n => (n / 1_000_000.0, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// The same without zeros behind a whole number, as on an axis.
pub fn short_time(micros: f64) -> String {
    if micros == 0.0 {
        return "0".to_owned();
    }
    time(micros).replace(".00 ", " ").replace(".0 ", " ")
}

/// The distance of the ticks of an axis over `range`: 1, 2 or 5 times a power of ten, with at most
/// so many of them in it.
pub fn tick_step(range: f64, most: f64) -> f64 {
    let power = 10f64.powf((range / most).log10().floor());
    let mut steps = [1.0, 2.0, 5.0].map(|n| n * power).into_iter();
    steps.find(|step| step * most >= range).unwrap_or(10.0 * power)
}

/// A number in three digits, at least the whole ones.
pub fn three_digits(value: f64) -> String {
    match value {
        n if n < 9.995 => format!("{n:.2}"),
        n if n < 99.95 => format!("{n:.1}"),
        n => format!("{n:.0}"),
    }
}

/// Bytes per second, with three digits and the unit that suits them.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn bytes(n: u64, seconds: f64) -> String {
    let rate = if seconds > 0.0 { n as f64 / seconds } else { 0.0 };
    let (value, unit) = match rate {
        n if n < 1e3 => (n, "B"),
        n if n < 1e6 => (n / 1e3, "kB"),
        n if n < 1e9 => (n / 1e6, "MB"),
        n => (n / 1e9, "GB"),
    };
    format!("{} {unit}", three_digits(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_and_three_digits() {
        assert_eq!(
            [0.5, 9.996, 1499.0, 1e6].map(time),
            ["0.50 us", "10.0 us", "1.50 ms", "1.00 s"]
        );
        assert_eq!([0.0, 20.0, 1500.0].map(short_time), ["0", "20 us", "1.50 ms"]);
        assert_eq!(bytes(3_000_000, 2.0), "1.50 MB");
        assert_eq!(counted(1, "request"), "1 request");
    }
}
