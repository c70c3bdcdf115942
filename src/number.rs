//! Numbers as people read them.

/// Decimal digits in groups of three: `1,234,567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes: `1 byte`, `2 bytes`.
pub fn bytes(n: usize) -> String {
    counted(n, "byte")
}

/// A number of things whose plural ends in s.
pub fn counted(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups_of_three() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn one_byte_is_in_the_singular() {
        assert_eq!([0, 1, 2, 100].map(bytes), ["0 bytes", "1 byte", "2 bytes", "100 bytes"]);
    }
}
