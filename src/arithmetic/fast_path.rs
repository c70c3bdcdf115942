//! The short way, for what nearly every request is: a few small integers, `+ - * // %` and
//! brackets.
//!
//! It computes while it reads, in machine words, and gives up on the first thing that is not plain
//! (a name, a float, `/`, `**`, an overflow, a division by zero, a mistake). Giving up costs
//! nothing but the time so far: the whole of the language then starts over, and words the answer.
//! So whatever is answered here must be just what the long way would have answered.

#![expect(clippy::inline_always, reason = "a call for each digit would be half of the work")]

/// Brackets within brackets, and signs before signs, that are still plain.
const DEPTH: u32 = 16;

/// The value of a plain text.
#[inline]
pub(super) fn evaluate(text: &[u8]) -> Option<i64> {
    let mut reader = Reader { rest: text };
    let value = reader.sum(DEPTH)?;
    reader.rest.is_empty().then_some(value)
}

/// What is still to be read.
struct Reader<'t> {
    rest: &'t [u8],
}

impl Reader<'_> {
    /// The next byte, which stays; 0, which is nothing plain, at the end.
    #[inline(always)]
    fn byte(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    /// Reads the next byte.
    #[inline(always)]
    fn advance(&mut self) {
        if let [_, rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// The next byte that is not blank; those before it are read.
    #[inline(always)]
    fn peek(&mut self) -> u8 {
        // A form feed is one too, but in front of others it makes them an indentation.
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.byte()
    }

    /// `term {(+|-) term}`
    #[inline(always)]
    fn sum(&mut self, depth: u32) -> Option<i64> {
        // The first term is added to nothing, so that terms are read in one place of the code.
        let (mut value, mut operator) = (0_i64, b'+');
        loop {
            let (term, follower) = self.term(depth)?;
            value = match operator {
                b'+' => value.checked_add(term)?,
                _ => value.checked_sub(term)?,
            };
            if !matches!(follower, b'+' | b'-') {
                return Some(value);
            }
            operator = follower;
            self.advance();
        }
    }

    /// `factor {(*|//|%) factor}`, and the byte behind it, which is not blank and stays.
    #[inline(always)]
    fn term(&mut self, depth: u32) -> Option<(i64, u8)> {
        let mut value = self.factor(depth)?;
        loop {
            let operator = self.peek();
            if !matches!(operator, b'*' | b'/' | b'%') {
                return Some((value, operator));
            }
            self.advance();
            if operator == b'/' {
                if self.byte() != b'/' {
                    return None;
                }
                self.advance();
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
    #[inline(always)]
    fn factor(&mut self, depth: u32) -> Option<i64> {
        match self.peek() {
            b'0'..=b'9' => self.digits(),
            opening @ (b'(' | b'-' | b'+') => {
                self.advance();
                let (value, rest) = nested(self.rest, opening, depth.checked_sub(1)?)?;
                self.rest = rest;
                Some(value)
            }
            _ => None,
        }
    }

    /// A decimal integer, the first digit of which is next. Whether it is one, what follows shows:
    /// a letter, a dot, an underscore, or a digit behind a leading zero is no operator.
    #[inline(always)]
    fn digits(&mut self) -> Option<i64> {
        let first = self.byte();
        let mut value = i64::from(first - b'0');
        self.advance();
        if first != b'0' {
            while let digit @ b'0'..=b'9' = self.byte() {
                value = value.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
                self.advance();
            }
        }
        Some(value)
    }
}

/// What follows an opening bracket or a sign.
#[inline(never)]
fn nested(rest: &[u8], opening: u8, depth: u32) -> Option<(i64, &[u8])> {
    let mut reader = Reader { rest };
    let value = match opening {
        b'(' => {
            let value = reader.sum(depth)?;
            if reader.byte() != b')' {
                return None;
            }
            reader.advance();
            value
        }
        b'-' => reader.factor(depth)?.checked_neg()?,
        _ => reader.factor(depth)?,
    };
    Some((value, reader.rest))
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
        let deep = format!("{}1{}", "(".repeat(16), ")".repeat(16));
        assert_eq!(evaluate(deep.as_bytes()), Some(1));
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
        let deep = format!("{}1{}", "(".repeat(17), ")".repeat(17));
        for text in [
            deep.as_str(),
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
            "(-9223372036854775807-1)//-1",
            "(-9223372036854775807-1)%-1",
            "1\u{a0}+1",
            "1//",
            "\x0c 1",
        ] {
            assert_eq!(evaluate(text.as_bytes()), None, "{text}");
        }
    }
}
