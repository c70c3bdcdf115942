//! Bytes that are no text, mistakes of the lexer in words, and brackets that do not match.

use super::super::error::{Class, Error};
use super::super::limits::too_many_digits;
use super::super::token::{Bracket, LexError};

impl Bracket {
    /// The opening and the closing one.
    fn pair(self) -> (char, char) {
        match self {
            Self::Round => ('(', ')'),
            Self::Square => ('[', ']'),
            Self::Curly => ('{', '}'),
        }
    }
}

/// What is said of a mistake that ends on the line `last`.
pub(super) fn words(mistake: LexError, last: u32) -> String {
    match mistake {
        LexError::Character(character) => invalid_char_text(character),
        // Found out before, and told apart there.
        LexError::NoText => "invalid text".to_owned(),
        LexError::Continuation => {
            "unexpected character after line continuation character".to_owned()
        }
        LexError::EndAfterContinuation => "unexpected EOF while parsing".to_owned(),
        LexError::Number(notation) => format!("invalid {} literal", notation.name()),
        LexError::Digit(digit, notation) => {
            format!("invalid digit '{digit}' in {} literal", notation.name())
        }
        LexError::LeadingZeros => "leading zeros in decimal integer literals are not permitted; \
                                  use an 0o prefix for octal integers"
            .to_owned(),
        LexError::Digits(count) => format!(
            "{} - Consider hexadecimal for huge integer literals to avoid decimal conversion \
             limits.",
            too_many_digits(count as usize)
        ),
        LexError::Unterminated { triple } => {
            let kind = if triple { "triple-quoted string" } else { "string" };
            format!("unterminated {kind} literal (detected at line {last})")
        }
        LexError::Nesting => "too many nested parentheses".to_owned(),
    }
}

fn invalid_char_text(character: char) -> String {
    let number = u32::from(character);
    if is_printable(character) {
        format!("invalid character '{character}' (U+{number:04X})")
    } else {
        format!("invalid non-printable character U+{number:04X}")
    }
}

/// As `str.isprintable`, whose rule Rust's debug format shares, except for a combining mark at the
/// start of a string.
fn is_printable(character: char) -> bool {
    let mut bytes = [b'a'; 1 + 4];
    let length = 1 + character.encode_utf8(&mut bytes[1..]).len();
    core::str::from_utf8(&bytes[..length])
        .is_ok_and(|text| matches!(text.escape_debug().nth(1), Some(shown) if shown == character))
}

/// An open bracket, and the line it is on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    pub(super) bracket: Bracket,
    pub(super) line: u32,
}

impl Opened {
    /// What is said if it is left open.
    pub(super) fn never_closed(self) -> String {
        format!("'{}' was never closed", self.bracket.pair().0)
    }
}

/// What is wrong with a closing bracket on a line, after an opening one if there was one.
pub(super) fn mismatch(closing: Bracket, line: u32, opened: Option<Opened>) -> Option<String> {
    let (_, closing_mark) = closing.pair();
    let Some(opened) = opened else { return Some(format!("unmatched '{closing_mark}'")) };
    if opened.bracket == closing {
        return None;
    }
    let opening_mark = opened.bracket.pair().0;
    let place = if opened.line == line { "" } else { &format!(" on line {}", opened.line) };
    Some(format!(
        "closing parenthesis '{closing_mark}' does not match opening parenthesis \
         '{opening_mark}'{place}"
    ))
}

/// What is wrong with bytes that are no text.
pub(super) fn unreadable(text: &[u8]) -> Option<Error> {
    if memchr::memchr(0, text).is_some() {
        let words = "source code string cannot contain null bytes";
        return Some(Error::Fixed(Class::Syntax, words));
    }
    let error = core::str::from_utf8(text).err()?;
    let place = error.valid_up_to();
    let byte = text.get(place).copied().unwrap_or_default();
    let reason = match error.error_len() {
        None => "unexpected end of data",
        // What the first byte announces does not follow.
        Some(_) if matches!(byte, 0xc2..=0xf4) => "invalid continuation byte",
        Some(_) => "invalid start byte",
    };
    let words = format!(
        "(unicode error) 'utf-8' codec can't decode byte {byte:#04x} in position {place}: {reason}"
    );
    Some(Error::Syntax(words.into(), 1))
}
