//! Numbers as they are written: `42`, `0xFF`, `1_000`, `1.5e-3`, `2j`.

use dashu_int::IBig;

use super::lexis::Lexis;
use super::limits::DECIMAL_DIGITS;
use super::token::{Mistake, Notation, Span, Token};
use super::words;

/// Decimal digits that are less than 2^63 whatever they are.
const SURELY_SMALL: usize = 18;

/// A number's value, or where its digits are if it is too large for a machine word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Literal {
    Int(i64),
    Large(Span),
    Float(f64),
    Imaginary(f64),
}

/// Reads a number; the next byte is a digit, or a point before a digit.
#[inline]
pub(super) fn number(lexis: &mut Lexis<'_>) -> Token {
    // The usual case: an integer that surely fits a machine word, with nothing special about it.
    let (mut value, mut length) = (0, 0);
    while length < SURELY_SMALL && lexis.peek(length).is_ascii_digit() {
        value = 10 * value + i64::from(lexis.peek(length) - b'0');
        length += 1;
    }
    let next = lexis.peek(length);
    let is_plain = !next.is_ascii_alphanumeric() && next != b'_' && next != b'.';
    if is_plain && (lexis.peek(0) != b'0' || length == 1) {
        lexis.at += length;
        return Token::Number(Literal::Int(value));
    }
    match any_number(lexis) {
        Ok(literal) => Token::Number(literal),
        Err(mistake) => Token::Mistake(mistake),
    }
}

fn any_number(lexis: &mut Lexis<'_>) -> Result<Literal, Mistake> {
    let notation = match (lexis.peek(0), lexis.peek(1)) {
        (b'0', b'x' | b'X') => Notation::Hexadecimal,
        (b'0', b'o' | b'O') => Notation::Octal,
        (b'0', b'b' | b'B') => Notation::Binary,
        _ => return decimal(lexis),
    };
    lexis.at += 2;
    with_prefix(lexis, notation)?;
    ends(lexis, notation)?;
    integer(lexis, 2, notation)
}

/// The digits after `0x`, `0o` or `0b`, each group of them after at most one `_`.
fn with_prefix(lexis: &mut Lexis<'_>, notation: Notation) -> Result<(), Mistake> {
    loop {
        if lexis.peek(0) == b'_' {
            lexis.at += 1;
        }
        let group = lexis.at;
        while char::from(lexis.peek(0)).is_digit(notation.radix()) {
            lexis.at += 1;
        }
        let next = lexis.peek(0);
        if next.is_ascii_digit() {
            return Err(Mistake::Digit(char::from(next), notation));
        }
        if lexis.at == group {
            return Err(Mistake::Number(notation));
        }
        if next != b'_' {
            return Ok(());
        }
    }
}

fn decimal(lexis: &mut Lexis<'_>) -> Result<Literal, Mistake> {
    let starts_with_zero = lexis.peek(0) == b'0';
    let mut is_float = false;
    if lexis.peek(0) != b'.' {
        digits(lexis)?;
    }
    if lexis.peek(0) == b'.' {
        is_float = true;
        lexis.at += 1;
        if lexis.peek(0).is_ascii_digit() {
            digits(lexis)?;
        }
    }
    if matches!(lexis.peek(0), b'e' | b'E') {
        is_float |= exponent(lexis)?;
    }
    if matches!(lexis.peek(0), b'j' | b'J') {
        let value = float(lexis);
        lexis.at += 1;
        ends(lexis, Notation::Imaginary)?;
        return Ok(Literal::Imaginary(value));
    }
    if is_float {
        ends(lexis, Notation::Decimal)?;
        return Ok(Literal::Float(float(lexis)));
    }
    let written = &lexis.text[lexis.start..lexis.at];
    if starts_with_zero && written.iter().any(|digit| matches!(digit, b'1'..=b'9')) {
        // In front of `else` Python has looked for an exponent in vain, and then looks no further.
        if lexis.peek(0) == b'e' {
            return Ok(Literal::Float(float(lexis)));
        }
        return Err(Mistake::LeadingZeros);
    }
    ends(lexis, Notation::Decimal)?;
    integer(lexis, 0, Notation::Decimal)
}

/// Decimal digits with single `_` between them; the next byte is one.
fn digits(lexis: &mut Lexis<'_>) -> Result<(), Mistake> {
    loop {
        while lexis.peek(0).is_ascii_digit() {
            lexis.at += 1;
        }
        if lexis.peek(0) != b'_' {
            return Ok(());
        }
        lexis.at += 1;
        if !lexis.peek(0).is_ascii_digit() {
            return Err(Mistake::Number(Notation::Decimal));
        }
    }
}

/// An exponent, or false if the `e` starts a keyword, as in `1else`.
fn exponent(lexis: &mut Lexis<'_>) -> Result<bool, Mistake> {
    let sign = usize::from(matches!(lexis.peek(1), b'+' | b'-'));
    if lexis.peek(1 + sign).is_ascii_digit() {
        lexis.at += 1 + sign;
        digits(lexis)?;
        return Ok(true);
    }
    if sign == 1 {
        return Err(Mistake::Number(Notation::Decimal));
    }
    ends(lexis, Notation::Decimal).map(|()| false)
}

/// After a number no word may follow, except a keyword that may stand there: `1if 1else 2`.
fn ends(lexis: &Lexis<'_>, notation: Notation) -> Result<(), Mistake> {
    let next = lexis.peek(0);
    if !next.is_ascii_alphanumeric() && next != b'_' || keyword_follows(lexis) {
        return Ok(());
    }
    Err(Mistake::Number(notation))
}

/// Of `if`, `in` and `is` Python looks at no more than these letters.
fn keyword_follows(lexis: &Lexis<'_>) -> bool {
    const WHOLE: [&[u8]; 5] = [b"and", b"else", b"for", b"not", b"or"];
    const BEGINNINGS: [&[u8]; 3] = [b"if", b"in", b"is"];
    let rest = &lexis.text[lexis.at..];
    BEGINNINGS.iter().any(|keyword| rest.starts_with(keyword))
        || WHOLE.iter().any(|keyword| {
            let after = rest.strip_prefix(*keyword).map(<[u8]>::first);
            after.is_some_and(|byte| !byte.is_some_and(|&byte| words::is_word_byte(byte)))
        })
}

/// The value of the last token's digits, which start `prefix` bytes after its start.
fn integer(lexis: &Lexis<'_>, prefix: usize, notation: Notation) -> Result<Literal, Mistake> {
    let written = &lexis.text[lexis.start + prefix..lexis.at];
    let radix = notation.radix();
    let mut value = 0_i64;
    for &digit in written.iter().filter(|&&digit| digit != b'_') {
        let digit = char::from(digit).to_digit(radix).map_or(0, i64::from);
        let next = value.checked_mul(i64::from(radix)).and_then(|value| value.checked_add(digit));
        match next {
            Some(next) => value = next,
            None => return large(lexis, written, notation),
        }
    }
    Ok(Literal::Int(value))
}

fn large(lexis: &Lexis<'_>, written: &[u8], notation: Notation) -> Result<Literal, Mistake> {
    let count = written.iter().filter(|&&digit| digit != b'_').count();
    if notation == Notation::Decimal && count > DECIMAL_DIGITS {
        return Err(Mistake::Digits(u32::try_from(count).unwrap_or(u32::MAX)));
    }
    Ok(Literal::Large(lexis.span()))
}

/// The value of an integer literal that did not fit a machine word.
pub(super) fn large_value(written: &str) -> IBig {
    let (digits, radix) = match written.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&written[2..], 16),
        [b'0', b'o' | b'O', ..] => (&written[2..], 8),
        [b'0', b'b' | b'B', ..] => (&written[2..], 2),
        _ => (written, 10),
    };
    let digits = digits.replace('_', "");
    IBig::from_str_radix(&digits, radix).expect("a literal's digits were read as such before")
}

fn float(lexis: &Lexis<'_>) -> f64 {
    const WELL_FORMED: &str = "the lexis of floats is a part of Rust's";
    let written = lexis.span().of(lexis.text);
    if written.contains('_') {
        return written.replace('_', "").parse().expect(WELL_FORMED);
    }
    written.parse().expect(WELL_FORMED)
}
