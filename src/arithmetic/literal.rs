//! Numbers as they are written: `42`, `0xFF`, `1_000`, `1.5e-3`, `2j`.

use dashu_int::IBig;

use super::identifier;
use super::lexer::Lexer;
use super::limits::DECIMAL_DIGITS;
use super::token::{LexError, Notation, Span, Token};

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
pub(super) fn number(lexer: &mut Lexer<'_>) -> Token {
    // The usual case: an integer that surely fits a machine word, with nothing special about it.
    let (mut value, mut length) = (0, 0);
    while length < SURELY_SMALL && lexer.peek(length).is_ascii_digit() {
        value = 10 * value + i64::from(lexer.peek(length) - b'0');
        length += 1;
    }
    let next = lexer.peek(length);
    let is_plain = !next.is_ascii_alphanumeric() && next != b'_' && next != b'.';
    if is_plain && (lexer.peek(0) != b'0' || length == 1) {
        lexer.at += length;
        return Token::Number(Literal::Int(value));
    }
    match any_number(lexer) {
        Ok(literal) => Token::Number(literal),
        Err(error) => Token::Error(error),
    }
}

fn any_number(lexer: &mut Lexer<'_>) -> Result<Literal, LexError> {
    let notation = match (lexer.peek(0), lexer.peek(1)) {
        (b'0', b'x' | b'X') => Notation::Hexadecimal,
        (b'0', b'o' | b'O') => Notation::Octal,
        (b'0', b'b' | b'B') => Notation::Binary,
        _ => return decimal(lexer),
    };
    lexer.at += 2;
    with_prefix(lexer, notation)?;
    ends(lexer, notation)?;
    integer(lexer, 2, notation)
}

/// The digits after `0x`, `0o` or `0b`, each group of them after at most one `_`.
fn with_prefix(lexer: &mut Lexer<'_>, notation: Notation) -> Result<(), LexError> {
    loop {
        if lexer.peek(0) == b'_' {
            lexer.at += 1;
        }
        let group = lexer.at;
        while char::from(lexer.peek(0)).is_digit(notation.radix()) {
            lexer.at += 1;
        }
        let next = lexer.peek(0);
        if next.is_ascii_digit() {
            return Err(LexError::Digit(char::from(next), notation));
        }
        if lexer.at == group {
            return Err(LexError::Number(notation));
        }
        if next != b'_' {
            return Ok(());
        }
    }
}

fn decimal(lexer: &mut Lexer<'_>) -> Result<Literal, LexError> {
    let starts_with_zero = lexer.peek(0) == b'0';
    let mut is_float = false;
    if lexer.peek(0) != b'.' {
        digits(lexer)?;
    }
    if lexer.peek(0) == b'.' {
        is_float = true;
        lexer.at += 1;
        if lexer.peek(0).is_ascii_digit() {
            digits(lexer)?;
        }
    }
    if matches!(lexer.peek(0), b'e' | b'E') {
        is_float |= exponent(lexer)?;
    }
    if matches!(lexer.peek(0), b'j' | b'J') {
        let value = float(lexer);
        lexer.at += 1;
        ends(lexer, Notation::Imaginary)?;
        return Ok(Literal::Imaginary(value));
    }
    if is_float {
        ends(lexer, Notation::Decimal)?;
        return Ok(Literal::Float(float(lexer)));
    }
    let written = &lexer.text[lexer.start..lexer.at];
    if starts_with_zero && written.iter().any(|digit| matches!(digit, b'1'..=b'9')) {
        // In front of `else` Python has looked for an exponent in vain, and then looks no further.
        if lexer.peek(0) == b'e' {
            return Ok(Literal::Float(float(lexer)));
        }
        return Err(LexError::LeadingZeros);
    }
    ends(lexer, Notation::Decimal)?;
    integer(lexer, 0, Notation::Decimal)
}

/// Decimal digits with single `_` between them; the next byte is one.
fn digits(lexer: &mut Lexer<'_>) -> Result<(), LexError> {
    loop {
        while lexer.peek(0).is_ascii_digit() {
            lexer.at += 1;
        }
        if lexer.peek(0) != b'_' {
            return Ok(());
        }
        lexer.at += 1;
        if !lexer.peek(0).is_ascii_digit() {
            return Err(LexError::Number(Notation::Decimal));
        }
    }
}

/// An exponent, or false if the `e` starts a keyword, as in `1else`.
fn exponent(lexer: &mut Lexer<'_>) -> Result<bool, LexError> {
    let sign = usize::from(matches!(lexer.peek(1), b'+' | b'-'));
    if lexer.peek(1 + sign).is_ascii_digit() {
        lexer.at += 1 + sign;
        digits(lexer)?;
        return Ok(true);
    }
    if sign == 1 {
        return Err(LexError::Number(Notation::Decimal));
    }
    ends(lexer, Notation::Decimal).map(|()| false)
}

/// After a number no word may follow, except a keyword that may stand there: `1if 1else 2`.
fn ends(lexer: &Lexer<'_>, notation: Notation) -> Result<(), LexError> {
    let next = lexer.peek(0);
    if !next.is_ascii_alphanumeric() && next != b'_' || keyword_follows(lexer) {
        return Ok(());
    }
    Err(LexError::Number(notation))
}

/// Of `if`, `in` and `is` Python looks at no more than these letters.
fn keyword_follows(lexer: &Lexer<'_>) -> bool {
    const WHOLE: [&[u8]; 5] = [b"and", b"else", b"for", b"not", b"or"];
    const BEGINNINGS: [&[u8]; 3] = [b"if", b"in", b"is"];
    let rest = &lexer.text[lexer.at..];
    BEGINNINGS.iter().any(|keyword| rest.starts_with(keyword))
        || WHOLE.iter().any(|keyword| {
            let after = rest.strip_prefix(*keyword).map(<[u8]>::first);
            after.is_some_and(|byte| !byte.is_some_and(|&byte| identifier::is_word_byte(byte)))
        })
}

/// The value of the last token's digits, which start `prefix` bytes after its start.
fn integer(lexer: &Lexer<'_>, prefix: usize, notation: Notation) -> Result<Literal, LexError> {
    let written = &lexer.text[lexer.start + prefix..lexer.at];
    let radix = notation.radix();
    let mut value = 0_i64;
    for &digit in written.iter().filter(|&&digit| digit != b'_') {
        let digit = char::from(digit).to_digit(radix).map_or(0, i64::from);
        let next = value.checked_mul(i64::from(radix)).and_then(|value| value.checked_add(digit));
        match next {
            Some(next) => value = next,
            None => return large(lexer, written, notation),
        }
    }
    Ok(Literal::Int(value))
}

fn large(lexer: &Lexer<'_>, written: &[u8], notation: Notation) -> Result<Literal, LexError> {
    let count = written.iter().filter(|&&digit| digit != b'_').count();
    if notation == Notation::Decimal && count > DECIMAL_DIGITS {
        return Err(LexError::Other);
    }
    Ok(Literal::Large(lexer.span()))
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

fn float(lexer: &Lexer<'_>) -> f64 {
    const WELL_FORMED: &str = "the lexer of floats is a part of Rust's";
    let written = lexer.span().of(lexer.text);
    if written.contains('_') {
        return written.replace('_', "").parse().expect(WELL_FORMED);
    }
    written.parse().expect(WELL_FORMED)
}
