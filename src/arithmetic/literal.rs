//! Literals: numbers such as `42`, `0xFF`, `1_000`, `1.5e-3`, `2j`, and strings.

use dashu_int::IBig;

use super::cursor::{Cursor, is_word_byte};
use super::limits::DECIMAL_DIGITS;
use super::token::{LexError, Literal, Notation, Token};

/// Any integer of this many decimal digits is less than 2^63.
const SURELY_SMALL: usize = 18;

/// Reads a number. The next byte is a digit, or a point before a digit.
#[inline]
pub(super) fn number(cursor: &mut Cursor<'_>) -> Token {
    // The usual case: a decimal integer that surely fits a machine word.
    let (mut value, mut length) = (0, 0);
    while length < SURELY_SMALL && cursor.peek(length).is_ascii_digit() {
        value = 10 * value + i64::from(cursor.peek(length) - b'0');
        length += 1;
    }
    let next = cursor.peek(length);
    let is_plain = !next.is_ascii_alphanumeric() && next != b'_' && next != b'.';
    if is_plain && (cursor.peek(0) != b'0' || length == 1) {
        cursor.at += length;
        return Token::Number(Literal::Int(value));
    }
    match any_number(cursor) {
        Ok(literal) => Token::Number(literal),
        Err(error) => Token::Error(error),
    }
}

fn any_number(cursor: &mut Cursor<'_>) -> Result<Literal, LexError> {
    let notation = match (cursor.peek(0), cursor.peek(1)) {
        (b'0', b'x' | b'X') => Notation::Hexadecimal,
        (b'0', b'o' | b'O') => Notation::Octal,
        (b'0', b'b' | b'B') => Notation::Binary,
        _ => return decimal(cursor),
    };
    cursor.at += 2;
    with_prefix(cursor, notation)?;
    ends(cursor, notation)?;
    integer(cursor, 2, notation)
}

/// Reads the digits after `0x`, `0o` or `0b`, each group of them after at most one `_`.
fn with_prefix(cursor: &mut Cursor<'_>, notation: Notation) -> Result<(), LexError> {
    loop {
        if cursor.peek(0) == b'_' {
            cursor.at += 1;
        }
        let group = cursor.at;
        while char::from(cursor.peek(0)).is_digit(notation.radix()) {
            cursor.at += 1;
        }
        let next = cursor.peek(0);
        if next.is_ascii_digit() {
            return Err(LexError::Digit(char::from(next), notation));
        }
        if cursor.at == group {
            return Err(LexError::Number(notation));
        }
        if next != b'_' {
            return Ok(());
        }
    }
}

fn decimal(cursor: &mut Cursor<'_>) -> Result<Literal, LexError> {
    let starts_with_zero = cursor.peek(0) == b'0';
    let mut is_float = false;
    if cursor.peek(0) != b'.' {
        digits(cursor)?;
    }
    if cursor.peek(0) == b'.' {
        is_float = true;
        cursor.at += 1;
        if cursor.peek(0).is_ascii_digit() {
            digits(cursor)?;
        }
    }
    if matches!(cursor.peek(0), b'e' | b'E') {
        is_float |= exponent(cursor)?;
    }
    if matches!(cursor.peek(0), b'j' | b'J') {
        let value = float(cursor);
        cursor.at += 1;
        ends(cursor, Notation::Imaginary)?;
        return Ok(Literal::Imaginary(value));
    }
    if is_float {
        ends(cursor, Notation::Decimal)?;
        return Ok(Literal::Float(float(cursor)));
    }
    let written = &cursor.text[cursor.start..cursor.at];
    if starts_with_zero && written.iter().any(|digit| matches!(digit, b'1'..=b'9')) {
        // Before `else`, Python's tokenizer tries an exponent in vain, and then does not look for
        // leading zeros any more.
        if cursor.peek(0) == b'e' {
            return Ok(Literal::Float(float(cursor)));
        }
        return Err(LexError::LeadingZeros);
    }
    ends(cursor, Notation::Decimal)?;
    integer(cursor, 0, Notation::Decimal)
}

/// Reads decimal digits with single `_` between them. The next byte is a digit.
fn digits(cursor: &mut Cursor<'_>) -> Result<(), LexError> {
    loop {
        while cursor.peek(0).is_ascii_digit() {
            cursor.at += 1;
        }
        if cursor.peek(0) != b'_' {
            return Ok(());
        }
        cursor.at += 1;
        if !cursor.peek(0).is_ascii_digit() {
            return Err(LexError::Number(Notation::Decimal));
        }
    }
}

/// Reads an exponent. Returns false if the `e` starts a keyword, as in `1else`.
fn exponent(cursor: &mut Cursor<'_>) -> Result<bool, LexError> {
    let sign = usize::from(matches!(cursor.peek(1), b'+' | b'-'));
    if cursor.peek(1 + sign).is_ascii_digit() {
        cursor.at += 1 + sign;
        digits(cursor)?;
        return Ok(true);
    }
    if sign == 1 {
        return Err(LexError::Number(Notation::Decimal));
    }
    ends(cursor, Notation::Decimal).map(|()| false)
}

/// Refuses a word directly behind a number, except a keyword that may stand there: `1if 1else 2`.
fn ends(cursor: &Cursor<'_>, notation: Notation) -> Result<(), LexError> {
    let next = cursor.peek(0);
    if !next.is_ascii_alphanumeric() && next != b'_' || keyword_follows(cursor) {
        return Ok(());
    }
    Err(LexError::Number(notation))
}

/// Returns true if a keyword follows. Of `if`, `in` and `is`, Python looks only at these letters.
fn keyword_follows(cursor: &Cursor<'_>) -> bool {
    const WHOLE: [&[u8]; 5] = [b"and", b"else", b"for", b"not", b"or"];
    const BEGINNINGS: [&[u8]; 3] = [b"if", b"in", b"is"];
    let rest = &cursor.text[cursor.at..];
    BEGINNINGS.iter().any(|keyword| rest.starts_with(keyword))
        || WHOLE.iter().any(|keyword| {
            let after = rest.strip_prefix(*keyword).map(<[u8]>::first);
            after.is_some_and(|byte| !byte.is_some_and(|&byte| is_word_byte(byte)))
        })
}

/// The value of the last token, whose digits start `prefix` bytes behind its start.
fn integer(cursor: &Cursor<'_>, prefix: usize, notation: Notation) -> Result<Literal, LexError> {
    let written = &cursor.text[cursor.start + prefix..cursor.at];
    let radix = notation.radix();
    let mut value = 0_i64;
    for &digit in written.iter().filter(|&&digit| digit != b'_') {
        let digit = char::from(digit).to_digit(radix).map_or(0, i64::from);
        let next = value.checked_mul(i64::from(radix)).and_then(|value| value.checked_add(digit));
        match next {
            Some(next) => value = next,
            None => return large(cursor, written, notation),
        }
    }
    Ok(Literal::Int(value))
}

fn large(cursor: &Cursor<'_>, written: &[u8], notation: Notation) -> Result<Literal, LexError> {
    let count = written.iter().filter(|&&digit| digit != b'_').count();
    if notation == Notation::Decimal && count > DECIMAL_DIGITS {
        return Err(LexError::Other);
    }
    Ok(Literal::Large(cursor.span()))
}

/// The value of an integer literal that does not fit a machine word.
pub(super) fn large_value(written: &str) -> IBig {
    let (digits, radix) = match written.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&written[2..], 16),
        [b'0', b'o' | b'O', ..] => (&written[2..], 8),
        [b'0', b'b' | b'B', ..] => (&written[2..], 2),
        _ => (written, 10),
    };
    let digits = digits.replace('_', "");
    IBig::from_str_radix(&digits, radix).expect("the lexer has checked the digits")
}

fn float(cursor: &Cursor<'_>) -> f64 {
    const WELL_FORMED: &str = "Rust reads every float that Python does, but for `_`";
    let written = cursor.span().of(cursor.text);
    if written.contains('_') {
        return written.replace('_', "").parse().expect(WELL_FORMED);
    }
    written.parse().expect(WELL_FORMED)
}

/// Reads a string literal, from its quote on. Only its end matters: the language has no strings.
pub(super) fn string(cursor: &mut Cursor<'_>) -> Token {
    let quote = cursor.peek(0);
    let triple = cursor.peek(1) == quote && cursor.peek(2) == quote;
    cursor.at += if triple { 3 } else { 1 };
    loop {
        let byte = cursor.peek(0);
        let ends = cursor.at >= cursor.text.len();
        if ends || (!triple && matches!(byte, b'\n' | b'\r')) {
            let error = if triple { LexError::Other } else { LexError::UnterminatedString };
            return Token::Error(error);
        }
        cursor.at += 1;
        if byte == b'\\' {
            let pair = cursor.peek(0) == b'\r' && cursor.peek(1) == b'\n';
            cursor.at = (cursor.at + if pair { 2 } else { 1 }).min(cursor.text.len());
        } else if byte == quote && (!triple || cursor.peek(0) == quote && cursor.peek(1) == quote) {
            cursor.at += if triple { 2 } else { 0 };
            return if cursor.is_text() { Token::String } else { Token::Error(LexError::Other) };
        }
    }
}

/// Returns true for a word that may stand before the quote of a string.
pub(super) fn is_string_prefix(word: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 8] = [b"r", b"u", b"b", b"f", b"br", b"rb", b"fr", b"rf"];
    PREFIXES.iter().any(|prefix| prefix.eq_ignore_ascii_case(word))
}
