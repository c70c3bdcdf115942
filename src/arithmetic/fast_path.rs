//! The fast path, for nearly all requests: a few small integers, `+ - * // %` and brackets.
//!
//! It computes in machine words while it reads, without bytecode. It gives up at the first thing it
//! does not have: a name, a float, `/`, `**`, an overflow, a division by zero, a mistake. The full
//! evaluation then starts over, so a value from here must be the one that it would return.

#![expect(clippy::inline_always, reason = "a call for each digit would double the time")]

/// The deepest nesting of brackets and signs that is still read here.
const DEPTH: u32 = 16;

/// The value of a text, if this path has all that is in it.
#[inline]
pub(super) fn evaluate(text: &[u8]) -> Option<i64> {
    let mut reader = Reader { rest: text };
    let value = reader.sum(DEPTH)?;
    reader.rest.is_empty().then_some(value)
}

/// The rest of a text.
struct Reader<'t> {
    rest: &'t [u8],
}

impl Reader<'_> {
    /// The next byte, without reading it; 0 at the end.
    #[inline(always)]
    fn byte(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    /// Moves past the next byte.
    #[inline(always)]
    fn advance(&mut self) {
        if let [_, rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Moves past blanks; returns the next byte, without reading it.
    #[inline(always)]
    fn peek(&mut self) -> u8 {
        // Not past a form feed: other blanks behind it may be an indentation.
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.byte()
    }

    /// `term {(+|-) term}`
    #[inline(always)]
    fn sum(&mut self, depth: u32) -> Option<i64> {
        // The first term is added to 0, so that `term` is inlined in one place only.
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

    /// `factor {(*|//|%) factor}`; also returns the next byte that is not blank, without reading
    /// it.
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
            // `**` ends here, because the second `*` starts no factor.
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

    /// A decimal integer, whose first digit is next. If it is only the start of another literal,
    /// then the next byte is one that the caller refuses: a letter, a point, an underscore, or a
    /// digit behind a leading zero.
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

/// The factor behind an opening bracket or a sign. Not inlined, because it recurses.
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

/// The quotient rounded down, as in Python.
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
    fn small_integers_are_computed() {
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
    fn anything_else_is_left_to_the_full_evaluation() {
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
