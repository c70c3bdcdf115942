//! Numbers as they are written: `42`, `0xFF`, `1_000`, `1.5e-3`, `2j`.

use num_bigint::BigInt;

use super::error::Error;
use super::lexis::Lexis;
use super::limits::{DECIMAL_DIGITS, check_bits};
use super::token::Span;

/// A number's value, or where its digits are if it is too large for a machine word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Literal {
    Int(i64),
    Large(Span),
    Float(f64),
    Imaginary(f64),
}

/// What is written, which is also how Python names it in its complaints.
#[derive(Clone, Copy)]
enum Notation {
    Binary,
    Octal,
    Decimal,
    Hexadecimal,
    Imaginary,
}

impl Notation {
    fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Octal => "octal",
            Self::Decimal => "decimal",
            Self::Hexadecimal => "hexadecimal",
            Self::Imaginary => "imaginary",
        }
    }

    fn radix(self) -> u32 {
        match self {
            Self::Binary => 2,
            Self::Octal => 8,
            Self::Decimal | Self::Imaginary => 10,
            Self::Hexadecimal => 16,
        }
    }
}

/// Reads a number; the next byte is a digit, or a point before a digit.
pub(super) fn number(lexis: &mut Lexis<'_>) -> Result<Literal, Error> {
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
fn with_prefix(lexis: &mut Lexis<'_>, notation: Notation) -> Result<(), Error> {
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
            let (digit, name) = (char::from(next), notation.name());
            return Err(
                lexis.mistake(lexis.at, format!("invalid digit '{digit}' in {name} literal"))
            );
        }
        if lexis.at == group {
            return Err(malformed(lexis, notation));
        }
        if next != b'_' {
            return Ok(());
        }
    }
}

fn decimal(lexis: &mut Lexis<'_>) -> Result<Literal, Error> {
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
    let written = &lexis.text.as_bytes()[lexis.start..lexis.at];
    if starts_with_zero && written.iter().any(|digit| matches!(digit, b'1'..=b'9')) {
        let words = "leading zeros in decimal integer literals are not permitted; \
                     use an 0o prefix for octal integers";
        return Err(lexis.mistake(lexis.start, words));
    }
    ends(lexis, Notation::Decimal)?;
    integer(lexis, 0, Notation::Decimal)
}

/// Decimal digits with single `_` between them; the next byte is one.
fn digits(lexis: &mut Lexis<'_>) -> Result<(), Error> {
    loop {
        while lexis.peek(0).is_ascii_digit() {
            lexis.at += 1;
        }
        if lexis.peek(0) != b'_' {
            return Ok(());
        }
        lexis.at += 1;
        if !lexis.peek(0).is_ascii_digit() {
            return Err(malformed(lexis, Notation::Decimal));
        }
    }
}

/// An exponent, or false if the `e` starts a keyword, as in `1else`.
fn exponent(lexis: &mut Lexis<'_>) -> Result<bool, Error> {
    let sign = usize::from(matches!(lexis.peek(1), b'+' | b'-'));
    if lexis.peek(1 + sign).is_ascii_digit() {
        lexis.at += 1 + sign;
        digits(lexis)?;
        return Ok(true);
    }
    if sign == 1 {
        return Err(malformed(lexis, Notation::Decimal));
    }
    ends(lexis, Notation::Decimal).map(|()| false)
}

/// After a number no word may follow, except a keyword that may stand there: `1if 1else 2`.
fn ends(lexis: &Lexis<'_>, notation: Notation) -> Result<(), Error> {
    const KEYWORDS: [&[u8]; 8] = [b"and", b"else", b"for", b"if", b"in", b"is", b"not", b"or"];
    let next = lexis.peek(0);
    if !next.is_ascii_alphanumeric() && next != b'_' {
        return Ok(());
    }
    let rest = &lexis.text.as_bytes()[lexis.at..];
    if KEYWORDS.iter().any(|keyword| rest.starts_with(keyword)) {
        return Ok(());
    }
    Err(malformed(lexis, notation))
}

fn malformed(lexis: &Lexis<'_>, notation: Notation) -> Error {
    lexis.mistake(lexis.at, format!("invalid {} literal", notation.name()))
}

/// The value of the last token's digits, which start `prefix` bytes after its start.
fn integer(lexis: &Lexis<'_>, prefix: usize, notation: Notation) -> Result<Literal, Error> {
    let written = &lexis.text.as_bytes()[lexis.start + prefix..lexis.at];
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

#[cold]
fn large(lexis: &Lexis<'_>, written: &[u8], notation: Notation) -> Result<Literal, Error> {
    let count = written.iter().filter(|&&digit| digit != b'_').count();
    if matches!(notation, Notation::Decimal) && count > DECIMAL_DIGITS {
        return Err(lexis.mistake(
            lexis.start,
            format!(
                "Exceeds the limit ({DECIMAL_DIGITS} digits) for integer string conversion: \
                 value has {count} digits; use sys.set_int_max_str_digits() to increase the limit \
                 - Consider hexadecimal for huge integer literals to avoid decimal conversion \
                 limits."
            ),
        ));
    }
    Ok(Literal::Large(lexis.span()))
}

/// The value of an integer literal that did not fit a machine word.
pub(super) fn large_value(written: &str) -> Result<BigInt, Error> {
    let (digits, radix, bits_per_digit) = match written.as_bytes() {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16, 4),
        [b'0', b'o' | b'O', digits @ ..] => (digits, 8, 3),
        [b'0', b'b' | b'B', digits @ ..] => (digits, 2, 1),
        digits => (digits, 10, 0),
    };
    let digits: Vec<u8> =
        digits.iter().copied().filter(|&digit| digit != b'_').skip_while(|&d| d == b'0').collect();
    // A decimal literal is short enough already; of the others the first digit may have one bit.
    check_bits((digits.len().saturating_sub(1) * bits_per_digit) as u64)?;
    Ok(BigInt::parse_bytes(&digits, radix).expect("a literal's digits were read as such before"))
}

fn float(lexis: &Lexis<'_>) -> f64 {
    const WELL_FORMED: &str = "the lexis of floats is a part of Rust's";
    let written = &lexis.text[lexis.start..lexis.at];
    if written.contains('_') {
        return written.replace('_', "").parse().expect(WELL_FORMED);
    }
    written.parse().expect(WELL_FORMED)
}
