//! The short way, for what nearly every request is: a few small integers, `+ - * // %` and
//! brackets.
//!
//! It computes while it reads, in machine words, and gives up on the first thing that is not plain
//! (a name, a float, `/`, `**`, an overflow, a division by zero, a mistake). Giving up costs
//! nothing but the time so far: the whole of the language then starts over, and words the answer.
//! So whatever is answered here must be just what the long way would have answered.

/// Brackets within brackets, and signs before signs, that are still plain.
const DEPTH: u32 = 16;

/// The value of a plain text.
#[inline]
pub(super) fn evaluate(text: &[u8]) -> Option<i64> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.sum(DEPTH)?;
    (reader.at == text.len()).then_some(value)
}

/// `at`, the next byte to be read, is never beyond the text.
struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    /// The next byte that is not blank; 0, which is nothing plain, at the end.
    #[inline]
    fn peek(&mut self) -> u8 {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\x0c') {
                return byte;
            }
            self.at += 1;
        }
        0
    }

    /// `term {(+|-) term}`
    #[inline]
    fn sum(&mut self, depth: u32) -> Option<i64> {
        let mut value = self.term(depth)?;
        loop {
            let operator = self.peek();
            if !matches!(operator, b'+' | b'-') {
                return Some(value);
            }
            self.at += 1;
            let right = self.term(depth)?;
            value = match operator {
                b'+' => value.checked_add(right)?,
                _ => value.checked_sub(right)?,
            };
        }
    }

    /// `factor {(*|//|%) factor}`
    #[inline]
    fn term(&mut self, depth: u32) -> Option<i64> {
        let mut value = self.factor(depth)?;
        loop {
            let operator = self.peek();
            if !matches!(operator, b'*' | b'/' | b'%') {
                return Some(value);
            }
            self.at += 1;
            if operator == b'/' {
                if self.text.get(self.at) != Some(&b'/') {
                    return None;
                }
                self.at += 1;
            }
            // A second `*` is no factor, so `**` ends here.
            let right = self.factor(depth)?;
            value = match operator {
                b'*' => value.checked_mul(right)?,
                b'/' => floor_quotient(value, right)?,
                _ => value.checked_sub(floor_quotient(value, right)?.checked_mul(right)?)?,
            };
        }
    }

    /// `digits`, `(sum)`, or a sign and a factor
    #[inline]
    fn factor(&mut self, depth: u32) -> Option<i64> {
        match self.peek() {
            b'0'..=b'9' => self.digits(),
            opening @ (b'(' | b'-' | b'+') => {
                self.at += 1;
                self.nested(opening, depth.checked_sub(1)?)
            }
            _ => None,
        }
    }

    /// What follows an opening bracket or a sign.
    fn nested(&mut self, opening: u8, depth: u32) -> Option<i64> {
        match opening {
            b'(' => {
                let value = self.sum(depth)?;
                if self.peek() != b')' {
                    return None;
                }
                self.at += 1;
                Some(value)
            }
            b'-' => self.factor(depth)?.checked_neg(),
            _ => self.factor(depth),
        }
    }

    /// A decimal integer. What follows its digits tells whether it is one: a letter, a dot or an
    /// underscore is for the long way, like a leading zero.
    #[inline]
    fn digits(&mut self) -> Option<i64> {
        let start = self.at;
        let mut value: i64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            value = value.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
            self.at += 1;
        }
        let is_alone = self.text[start] != b'0' || self.at == start + 1;
        let ends = !matches!(self.text.get(self.at), Some(b'.' | b'_' | b'A'..=b'Z' | b'a'..=b'z'));
        (is_alone && ends).then_some(value)
    }
}

/// The quotient rounded down, as Python has it.
#[inline]
fn floor_quotient(value: i64, divisor: i64) -> Option<i64> {
    let quotient = value.checked_div(divisor)?;
    let is_above = value % divisor != 0 && (value < 0) != (divisor < 0);
    Some(quotient - i64::from(is_above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_texts_are_answered() {
        for (text, value) in [
            ("1 + 2", 3),
            (" 10-5-2\t", 3),
            ("2*(3+4)*-5", -70),
            ("-7//2", -4),
            ("7//-2", -4),
            ("-7%2", 1),
            ("7%-2", -1),
            ("--+5", 5),
            ("0", 0),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775807-1", i64::MIN),
            ("((((1))))", 1),
        ] {
            assert_eq!(evaluate(text.as_bytes()), Some(value), "{text}");
        }
    }

    #[test]
    fn anything_else_is_left_to_the_long_way() {
        for text in [
            "",
            " ",
            "1/2",
            "2**3",
            "-2**2",
            "1.5",
            "1e5",
            "1_000",
            "007",
            "00",
            "0x10",
            "1j",
            "x",
            "1if 1else 2",
            "1 2",
            "2(3)",
            "()",
            "(1",
            "1)",
            "1,2",
            "1//0",
            "1%0",
            "1 +",
            "*2",
            "9223372036854775808",
            "9223372036854775807+1",
            "-9223372036854775807-2",
            "1<2",
            "1#",
            "4000000000*4000000000",
            "1\n",
            "1\0",
            "1+\u{0661}",
            "((((((((((((((((((1))))))))))))))))))",
            "(-9223372036854775807-1)//-1",
            "(-9223372036854775807-1)%-1",
            "1\u{a0}+1",
            "1//",
        ] {
            assert_eq!(evaluate(text.as_bytes()), None, "{text}");
        }
    }
}
