//! The error of a text that does not fit the grammar.
//!
//! The first token that does not fit decides, and nothing behind it is read:
//!
//! - A token that breaks a lexical rule, or the end within brackets, has Python's text.
//! - A token that, in its place, begins or continues an expression of Python's that this language
//!   does not have makes the text an `unsupported expression`.
//! - Any other token is `invalid syntax`. Python often says more here, because it guesses what was
//!   meant.
//!
//! The class is Python's: `SyntaxError`, or `IndentationError` for a line that starts with a blank.

use super::cursor::Cursor;
use super::error::{Class, Error};
use super::lexer::Lexer;
use super::pending::Pending;
use super::token::{Bracket, Keyword, LexError, Symbol, Token};
use crate::choice::Choice;

/// The error of a text whose last token is the one that does not fit.
#[cold]
pub(super) fn of(misfit: Token, lexer: &Lexer<'_>, pending: &[Pending]) -> Error {
    let cursor = lexer.cursor();
    // Python decodes a text before it reads any of it.
    if memchr::memchr(0, cursor.text).is_some() {
        return Error::Fixed(Class::Syntax, "source code string cannot contain null bytes");
    }
    if core::str::from_utf8(cursor.text).is_err() {
        return Error::Syntax(INVALID.into(), 1);
    }
    let line = cursor.line_at(cursor.start);
    match misfit {
        Token::Error(error) => Error::Syntax(lexical(error, cursor.line_at(cursor.at)), line),
        Token::Indent => {
            let message = format!("unexpected indent (<string>, line {line})");
            Error::Formatted(Class::Indentation, message.into())
        }
        Token::End => end(cursor, pending),
        _ if is_foreign(misfit, lexer.depth() > 0) => Error::unsupported(),
        _ => Error::Syntax(INVALID.into(), line),
    }
}

const INVALID: &str = "invalid syntax";

/// Returns true if Python has an expression that a token begins or continues here, and this
/// language does not have it.
fn is_foreign(misfit: Token, in_brackets: bool) -> bool {
    match misfit {
        Token::String
        | Token::Keyword(Keyword::Lambda)
        | Token::Symbol(Symbol::Open(Bracket::Curly)) => true,
        // A comprehension, unpacking, a named expression, a slice.
        Token::Keyword(Keyword::For)
        | Token::Symbol(Symbol::Star | Symbol::DoubleStar | Symbol::Walrus | Symbol::Colon) => {
            in_brackets
        }
        _ => false,
    }
}

/// The error of a text that is incomplete.
fn end(cursor: &Cursor<'_>, pending: &[Pending]) -> Error {
    let innermost = pending.iter().rev().find_map(|pending| match pending {
        Pending::Open { enclosure, at, .. } => Some((enclosure.bracket()?, *at as usize)),
        _ => None,
    });
    if let Some((bracket, at)) = innermost {
        let message = format!("'{}' was never closed", bracket.opening());
        return Error::Syntax(message.into(), cursor.line_at(at));
    }
    let is_empty = cursor.text.iter().all(|byte| matches!(byte, b' ' | b'\t'));
    Error::Syntax(INVALID.into(), if is_empty { 0 } else { cursor.line_at(cursor.start) })
}

/// The text for a mistake within a token that ends on line `last`.
fn lexical(error: LexError, last: u32) -> Box<str> {
    let message = match error {
        LexError::Character(character) if is_printable(character) => {
            format!("invalid character '{character}' (U+{:04X})", u32::from(character))
        }
        LexError::Number(notation) => format!("invalid {} literal", notation.name()),
        LexError::Digit(digit, notation) => {
            format!("invalid digit '{digit}' in {} literal", notation.name())
        }
        LexError::LeadingZeros => "leading zeros in decimal integer literals are not permitted; \
                                   use an 0o prefix for octal integers"
            .to_owned(),
        LexError::UnterminatedString => {
            format!("unterminated string literal (detected at line {last})")
        }
        LexError::Unmatched(bracket) => format!("unmatched '{}'", bracket.closing()),
        LexError::TooManyBrackets => "too many nested parentheses".to_owned(),
        LexError::Character(_) | LexError::Other => INVALID.to_owned(),
    };
    message.into()
}

/// Python's `str.isprintable`. Rust's debug format has the same rule, except for a combining mark
/// at the start of a string.
fn is_printable(character: char) -> bool {
    let mut bytes = [b'a'; 1 + 4];
    let length = 1 + character.encode_utf8(&mut bytes[1..]).len();
    core::str::from_utf8(&bytes[..length])
        .is_ok_and(|text| matches!(text.escape_debug().nth(1), Some(shown) if shown == character))
}
