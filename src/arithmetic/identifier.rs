//! Names and keywords.
//!
//! Python normalizes names to Unicode's form NFKC, in which a letter is the same in all widths and
//! styles (PEP 3131).

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

use super::cursor::{Cursor, is_word_byte};
use super::literal;
use super::token::{Keyword, LexError, Token};

/// Characters that may continue a name since Unicode 15.1. Python 3.11 follows Unicode 14.
const SINCE_UNICODE_15_1: [char; 4] = ['\u{200c}', '\u{200d}', '\u{30fb}', '\u{ff65}'];

/// Reads a name or a keyword, or a string with its prefix.
pub(super) fn word(cursor: &mut Cursor<'_>) -> Token {
    let rest = &cursor.text[cursor.at..];
    let length = rest.iter().take_while(|&&byte| is_word_byte(byte)).count();
    let word = &rest[..length];
    cursor.at += length;
    if matches!(cursor.peek(0), b'"' | b'\'') && literal::is_string_prefix(word) {
        return literal::string(cursor);
    }
    match invalid_char(word) {
        Some(error) => Token::Error(error),
        None => keyword(word).map_or_else(|| Token::Name(cursor.span()), Token::Keyword),
    }
}

/// A name as Python spells it.
pub(super) fn spelling(name: &str) -> Cow<'_, str> {
    if name.is_ascii() { Cow::Borrowed(name) } else { Cow::Owned(name.nfkc().collect()) }
}

fn keyword(word: &[u8]) -> Option<Keyword> {
    Some(match word {
        b"False" => Keyword::False,
        b"None" => Keyword::None,
        b"True" => Keyword::True,
        b"and" => Keyword::And,
        b"else" => Keyword::Else,
        b"for" => Keyword::For,
        b"if" => Keyword::If,
        b"in" => Keyword::In,
        b"is" => Keyword::Is,
        b"lambda" => Keyword::Lambda,
        b"not" => Keyword::Not,
        b"or" => Keyword::Or,
        b"as" | b"assert" | b"async" | b"await" | b"break" | b"class" | b"continue" | b"def"
        | b"del" | b"elif" | b"except" | b"finally" | b"from" | b"global" | b"import"
        | b"nonlocal" | b"pass" | b"raise" | b"return" | b"try" | b"while" | b"with" | b"yield" => {
            Keyword::Other
        }
        _ => return None,
    })
}

/// The error of a word with a character that no name has.
fn invalid_char(word: &[u8]) -> Option<LexError> {
    if word.is_ascii() {
        return None;
    }
    let Ok(word) = core::str::from_utf8(word) else { return Some(LexError::Other) };
    let fits = |(index, character)| match index {
        _ if character == '_' => true,
        0 => unicode_ident::is_xid_start(character),
        _ => unicode_ident::is_xid_continue(character) && !SINCE_UNICODE_15_1.contains(&character),
    };
    let invalid_char = word.char_indices().find(|&place| !fits(place));
    invalid_char.map(|(_, character)| LexError::Character(character))
}
