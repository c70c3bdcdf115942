//! Names, keywords and string literals.
//!
//! Python spells names in Unicode's normal form KC, in which a letter is the same whatever its
//! width or style.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

use super::bytecode::Op;
use super::lexer::Lexer;
use super::token::{Keyword, LexError, Span, Token};
use super::value::Function;

/// Characters that words go on with by a newer Unicode than Python 3.11's.
const SINCE_UNICODE_15_1: [char; 4] = ['\u{200c}', '\u{200d}', '\u{30fb}', '\u{ff65}'];

/// A name or a keyword, or the prefix of a string with the string.
pub(super) fn word(lexer: &mut Lexer<'_>) -> Token {
    let rest = &lexer.text[lexer.at..];
    let length = rest.iter().take_while(|&&byte| is_word_byte(byte)).count();
    let word = &rest[..length];
    lexer.at += length;
    if matches!(lexer.peek(0), b'"' | b'\'') && is_prefix(word) {
        return string(lexer);
    }
    match invalid_char(word) {
        Some(error) => Token::Error(error),
        None => keyword(word).map_or_else(|| Token::Name(lexer.span()), Token::Keyword),
    }
}

/// What a name means.
pub(super) fn resolve(name: Span, text: &[u8]) -> Op {
    Function::named(&spelling(name.of(text))).map_or(Op::Name(name), Op::Function)
}

/// How Python spells a name.
pub(super) fn spelling(name: &str) -> Cow<'_, str> {
    if name.is_ascii() { Cow::Borrowed(name) } else { Cow::Owned(name.nfkc().collect()) }
}

/// Bytes that a word may go on with: all of non-ASCII text, for a closer look later.
pub(super) fn is_word_byte(byte: u8) -> bool {
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

/// What a word has that is neither a letter nor a mark nor a digit.
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

/// A string literal, from its quote on: only its end matters.
pub(super) fn string(lexer: &mut Lexer<'_>) -> Token {
    let quote = lexer.peek(0);
    let triple = lexer.peek(1) == quote && lexer.peek(2) == quote;
    lexer.at += if triple { 3 } else { 1 };
    loop {
        let byte = lexer.peek(0);
        let ends = lexer.at >= lexer.text.len();
        if ends || (!triple && matches!(byte, b'\n' | b'\r')) {
            let error = if triple { LexError::Other } else { LexError::UnterminatedString };
            return Token::Error(error);
        }
        lexer.at += 1;
        if byte == b'\\' {
            let pair = lexer.peek(0) == b'\r' && lexer.peek(1) == b'\n';
            lexer.at = (lexer.at + if pair { 2 } else { 1 }).min(lexer.text.len());
        } else if byte == quote && (!triple || lexer.peek(0) == quote && lexer.peek(1) == quote) {
            lexer.at += if triple { 2 } else { 0 };
            return if lexer.is_text() { Token::String } else { Token::Error(LexError::Other) };
        }
    }
}
