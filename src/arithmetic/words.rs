//! Names, keywords and string literals.

use super::error::Error;
use super::lexis::Lexis;
use super::token::{Keyword, Token};

/// A name or a keyword, or the prefix of a string with the string.
pub(super) fn word(lexis: &mut Lexis<'_>) -> Result<Token, Error> {
    let rest = &lexis.text.as_bytes()[lexis.at..];
    let length = rest.iter().take_while(|&&byte| is_word_byte(byte)).count();
    let word = &rest[..length];
    if matches!(lexis.peek(length), b'"' | b'\'') && is_prefix(word) {
        lexis.at += length;
        return string(lexis);
    }
    lexis.at += length;
    if !word.is_ascii() {
        check_characters(lexis)?;
    }
    Ok(keyword(word).map_or_else(|| Token::Name(lexis.span()), Token::Keyword))
}

/// Bytes that a word may go on with: all of non-ASCII text, for a closer look later.
fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn is_prefix(word: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 8] = [b"r", b"u", b"b", b"f", b"br", b"rb", b"fr", b"rf"];
    PREFIXES.iter().any(|prefix| prefix.eq_ignore_ascii_case(word))
}

fn keyword(word: &[u8]) -> Option<Keyword> {
    Some(match word {
        b"False" => Keyword::False,
        b"None" => Keyword::None,
        b"True" => Keyword::True,
        b"and" => Keyword::And,
        b"async" => Keyword::Async,
        b"await" => Keyword::Await,
        b"else" => Keyword::Else,
        b"for" => Keyword::For,
        b"from" => Keyword::From,
        b"if" => Keyword::If,
        b"in" => Keyword::In,
        b"is" => Keyword::Is,
        b"lambda" => Keyword::Lambda,
        b"not" => Keyword::Not,
        b"or" => Keyword::Or,
        b"yield" => Keyword::Yield,
        b"as" | b"assert" | b"break" | b"class" | b"continue" | b"def" | b"del" | b"elif"
        | b"except" | b"finally" | b"global" | b"import" | b"nonlocal" | b"pass" | b"raise"
        | b"return" | b"try" | b"while" | b"with" => Keyword::Statement,
        _ => return None,
    })
}

/// The last token, which has characters beyond ASCII, must be made of letters, marks and digits.
fn check_characters(lexis: &Lexis<'_>) -> Result<(), Error> {
    let word = &lexis.text[lexis.start..lexis.at];
    let stranger = word.char_indices().find(|&(index, character)| {
        let fits =
            if index == 0 { unicode_ident::is_xid_start } else { unicode_ident::is_xid_continue };
        character != '_' && !fits(character)
    });
    let Some((index, character)) = stranger else { return Ok(()) };
    let number = u32::from(character);
    let words = if is_printable(character) {
        format!("invalid character '{character}' (U+{number:04X})")
    } else {
        format!("invalid non-printable character U+{number:04X}")
    };
    Err(lexis.mistake(lexis.start + index, words))
}

/// As `str.isprintable`, whose rule Rust's debug format shares, except for a combining mark at the
/// start of a string.
fn is_printable(character: char) -> bool {
    let mut bytes = [b'a'; 1 + 4];
    let length = 1 + character.encode_utf8(&mut bytes[1..]).len();
    core::str::from_utf8(&bytes[..length])
        .is_ok_and(|text| matches!(text.escape_debug().nth(1), Some(shown) if shown == character))
}

/// A string literal, from its quote on: only its end matters.
pub(super) fn string(lexis: &mut Lexis<'_>) -> Result<Token, Error> {
    let opened = lexis.at;
    let quote = lexis.peek(0);
    let triple = lexis.peek(1) == quote && lexis.peek(2) == quote;
    lexis.at += if triple { 3 } else { 1 };
    loop {
        let byte = lexis.peek(0);
        let ends = lexis.at >= lexis.text.len();
        if ends || (!triple && matches!(byte, b'\n' | b'\r')) {
            let kind = if triple { "triple-quoted string" } else { "string" };
            let last = lexis.line(lexis.at);
            let words = format!("unterminated {kind} literal (detected at line {last})");
            return Err(lexis.mistake(opened, words));
        }
        lexis.at += 1;
        if byte == b'\\' {
            let pair = lexis.peek(0) == b'\r' && lexis.peek(1) == b'\n';
            lexis.at = (lexis.at + if pair { 2 } else { 1 }).min(lexis.text.len());
        } else if byte == quote {
            if !triple {
                return Ok(Token::Text);
            }
            if lexis.peek(0) == quote && lexis.peek(1) == quote {
                lexis.at += 2;
                return Ok(Token::Text);
            }
        }
    }
}
