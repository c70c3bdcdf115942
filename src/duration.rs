//! Durations: the longest one there is, and how one is printed.

use std::time::Duration;

/// Longer than anything lasts, about ten years: the longest time an option takes, and the limit
/// where there is none. Added to the time of today it is still an [`Instant`](std::time::Instant).
pub const UNLIMITED: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// `2 s`, `500 ms`, `250 us`: in the largest unit of which it is a whole number, and at least in
/// microseconds.
pub fn format(duration: Duration) -> String {
    let micros = duration.as_micros();
    if micros.is_multiple_of(1_000_000) {
        format!("{} s", micros / 1_000_000)
    } else if micros.is_multiple_of(1000) {
        format!("{} ms", micros / 1000)
    } else {
        format!("{micros} us")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_printed_in_the_largest_whole_unit() {
        assert_eq!(format(Duration::from_secs(2)), "2 s");
        assert_eq!(format(Duration::from_millis(500)), "500 ms");
        assert_eq!(format(Duration::from_millis(1500)), "1500 ms");
        assert_eq!(format(Duration::from_micros(250)), "250 us");
    }
}
