//! Numbers in the replies of a server, and the sums that a quiz asks.

use std::ops::Range;

/// The operators of a quiz. A slash is none: `3/10` is a count of questions.
const OPERATORS: [&str; 7] = ["+", "-", "*", "%", "x", "\u{d7}", "\u{2212}"];

/// The relative error that is still equal.
const TOLERANCE: f64 = 1e-6;

/// The sums in a text, each with its place and its value: `3+4`, `3 - 4`.
pub(super) fn sums(text: &[u8]) -> Vec<(Range<usize>, i64)> {
    let found = numbers(text);
    let pairs = found.windows(2).filter_map(|pair| {
        let [(left, a), (right, b)] = pair else { return None };
        let between = std::str::from_utf8(&text[left.end..right.start]).ok()?.trim();
        let operator = OPERATORS.into_iter().find(|&it| it == between)?;
        let (a, b) = (whole(*a)?, whole(*b)?);
        let value = match operator {
            "+" => a + b,
            "-" | "\u{2212}" => a - b,
            "%" => a.checked_rem_euclid(b)?,
            _ => a * b,
        };
        Some((left.start..right.end, value))
    });
    pairs.collect()
}

/// The integer that a number is.
fn whole(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "it is compared with the number")]
    let near = number as i32;
    equal(f64::from(near), number).then(|| near.into())
}

/// The numbers in a text, with their places.
pub(super) fn numbers(text: &[u8]) -> Vec<(Range<usize>, f64)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        // A minus behind a digit is an operator.
        let signed = at > 0
            && text[at - 1] == b'-'
            && !text[..at - 1].last().is_some_and(u8::is_ascii_alphanumeric);
        let start = at - usize::from(signed);
        let digits = |from: usize| {
            text[from.min(text.len())..].iter().take_while(|it| it.is_ascii_digit()).count()
        };
        at += digits(at);
        // Thousands may be apart: 2,856.
        while text.get(at) == Some(&b',') && digits(at + 1) == 3 {
            at += 4;
        }
        if text.get(at) == Some(&b'.') && text.get(at + 1).is_some_and(u8::is_ascii_digit) {
            at += 1 + digits(at + 1);
        }
        if let Some(b'e' | b'E') = text.get(at) {
            let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
            let power = digits(at + 1 + sign);
            at += if power > 0 { 1 + sign + power } else { 0 };
        }
        let number = std::str::from_utf8(&text[start..at]).ok();
        let number = number.and_then(|it| it.replace(',', "").parse().ok());
        found.extend(number.map(|number| (start..at, number)));
    }
    found
}

/// True if two numbers are the same but for their rounding.
pub(super) fn equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * b.abs().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_found_wherever_it_stands() {
        for (text, value) in [
            (" -> 3+4  ", 7),
            ("Correct! Score 1\n-> 3 - 4 = ?", -1),
            ("Question 2/10: what is 6 * 7?", 42),
            ("wrong, 3+4=7\n 7%4", 3),
            ("2 \u{d7} 9", 18),
        ] {
            let found = sums(text.as_bytes()).pop().map(|(_, value)| value);
            assert_eq!(found, Some(value), "{text}");
        }
        for text in ["10", "-2.5 You did great!", "Score: 5/10", "7 % 0", "10 questions: +1, -0.25"]
        {
            assert!(sums(text.as_bytes()).is_empty(), "{text}");
        }
    }
}
