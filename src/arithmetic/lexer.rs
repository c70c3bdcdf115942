//! From bytes to tokens: Python's lexical rules.
//!
//! Blanks are space, tab and form feed. Inside brackets a line's end is a blank too; outside it
//! ends the expression. Whether brackets match is the grammar's business; here they are counted.

use super::cursor::Cursor;
use super::identifier;
use super::limits::OPEN_BRACKETS;
use super::literal;
use super::token::{Bracket, LexError, Symbol, Token};

/// Reads tokens off a text, one at a time.
pub(super) struct Lexer<'t> {
    cursor: Cursor<'t>,
    /// Brackets that are open.
    depth: usize,
    /// Nothing but blanks was read on this line.
    line_is_blank: bool,
}

impl<'t> Lexer<'t> {
    /// `eval` drops the spaces and tabs that a text starts with.
    #[inline]
    pub(super) fn new(text: &'t [u8]) -> Self {
        let mut cursor = Cursor { text, start: 0, at: 0 };
        while matches!(cursor.peek(0), b' ' | b'\t') {
            cursor.at += 1;
        }
        // Only what follows other blanks can be indented.
        let line_is_blank = !starts_token(cursor.peek(0));
        Self { cursor, depth: 0, line_is_blank }
    }

    /// The position behind the last token.
    pub(super) fn cursor(&self) -> &Cursor<'t> {
        &self.cursor
    }

    /// How many brackets are open.
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// The next token; at the end of the text again and again [`Token::End`].
    #[inline]
    pub(super) fn next(&mut self) -> Token {
        // The usual case: no more than a space before a token in the middle of a line.
        let spaced = self.cursor.peek(0) == b' ';
        self.cursor.at += usize::from(spaced);
        let byte = self.cursor.peek(0);
        if self.line_is_blank || !starts_token(byte) {
            if byte == 0 && self.cursor.at >= self.cursor.text.len() && !self.line_is_blank {
                self.cursor.start = self.cursor.at;
                return Token::End;
            }
            return self.next_after_blanks(spaced);
        }
        self.token(byte)
    }

    /// The next token, after a space or not, and then anything.
    #[cold]
    fn next_after_blanks(&mut self, spaced: bool) -> Token {
        // Of lines that backslashes join, the first that is indented says so for all.
        let (mut line, mut joined) = (spaced, false);
        loop {
            line = self.skip_blanks(line);
            self.cursor.start = self.cursor.at;
            match self.cursor.peek(0) {
                b'#' if !self.skip_comment() => return Token::Error(LexError::Other),
                // A line with nothing else on it is not indented.
                b'#' => (line, joined) = (false, false),
                b'\n' | b'\r' => {
                    self.skip_line_end();
                    (line, joined) = (false, false);
                    let ends = !self.line_is_blank && self.depth == 0;
                    self.line_is_blank |= ends;
                    if ends {
                        return Token::LineEnd;
                    }
                }
                b'\\' => {
                    joined |= line;
                    if let Err(error) = self.continuation() {
                        return Token::Error(error);
                    }
                }
                byte => {
                    let indented = self.line_is_blank && (line || joined);
                    self.line_is_blank = false;
                    return match byte {
                        _ if indented => Token::Indent,
                        0 if self.cursor.at >= self.cursor.text.len() => Token::End,
                        _ => self.token(byte),
                    };
                }
            }
        }
    }

    /// Moves past blanks; says whether a line is indented then that was so before. A form feed
    /// starts over.
    fn skip_blanks(&mut self, mut indented: bool) -> bool {
        loop {
            match self.cursor.peek(0) {
                b' ' | b'\t' => indented = true,
                b'\x0c' => indented = false,
                _ => return indented,
            }
            self.cursor.at += 1;
        }
    }

    /// Moves past a comment, and returns whether it is text.
    fn skip_comment(&mut self) -> bool {
        let rest = self.cursor.text.get(self.cursor.at..).unwrap_or_default();
        self.cursor.at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        self.cursor.is_text()
    }

    /// Moves past a line's end, which is one of three: `\n`, `\r\n`, `\r`.
    fn skip_line_end(&mut self) {
        self.cursor.at +=
            if self.cursor.peek(0) == b'\r' && self.cursor.peek(1) == b'\n' { 2 } else { 1 };
    }

    /// Moves past a backslash, which joins its line to the next one.
    fn continuation(&mut self) -> Result<(), LexError> {
        self.cursor.at += 1;
        if !matches!(self.cursor.peek(0), b'\n' | b'\r') {
            return Err(LexError::Other);
        }
        self.skip_line_end();
        if self.cursor.at == self.cursor.text.len() { Err(LexError::Other) } else { Ok(()) }
    }

    /// The token that starts with `byte`.
    #[inline]
    fn token(&mut self, byte: u8) -> Token {
        self.cursor.start = self.cursor.at;
        match byte {
            b'0'..=b'9' => literal::number(&mut self.cursor),
            b'(' => self.open(Bracket::Round),
            b')' => self.close(Bracket::Round),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => identifier::word(&mut self.cursor),
            _ => self.symbol(byte),
        }
    }

    /// A token that starts with neither a letter nor a digit nor a round bracket.
    fn symbol(&mut self, byte: u8) -> Token {
        match byte {
            b'.' if self.cursor.peek(1).is_ascii_digit() => literal::number(&mut self.cursor),
            b'"' | b'\'' => literal::string(&mut self.cursor),
            b'[' => self.open(Bracket::Square),
            b'{' => self.open(Bracket::Curly),
            b']' => self.close(Bracket::Square),
            b'}' => self.close(Bracket::Curly),
            0..=b' ' | 0x7f => Token::Error(LexError::Character(char::from(byte))),
            _ => {
                let (symbol, length) = symbol(byte, self.cursor.peek(1), self.cursor.peek(2));
                self.cursor.at += length;
                Token::Symbol(symbol)
            }
        }
    }

    #[inline]
    fn open(&mut self, bracket: Bracket) -> Token {
        if self.depth >= OPEN_BRACKETS {
            return Token::Error(LexError::TooManyBrackets);
        }
        self.cursor.at += 1;
        self.depth += 1;
        Token::Symbol(Symbol::Open(bracket))
    }

    #[inline]
    fn close(&mut self, bracket: Bracket) -> Token {
        self.cursor.at += 1;
        let Some(depth) = self.depth.checked_sub(1) else {
            return Token::Error(LexError::Unmatched(bracket));
        };
        self.depth = depth;
        Token::Symbol(Symbol::Close(bracket))
    }
}

/// Whether a byte is the first of a token: not of blanks, a line's end, a comment, a continuation
/// or the text's end.
#[inline]
fn starts_token(byte: u8) -> bool {
    byte > b' ' && byte != b'#' && byte != b'\\'
}

/// The longest symbol that three bytes start with, and its length.
fn symbol(first: u8, second: u8, third: u8) -> (Symbol, usize) {
    match (first, second) {
        (b'*' | b'/' | b'<' | b'>', _) if second == first => match (first, third) {
            (_, b'=') => (Symbol::Other, 3),
            (b'*', _) => (Symbol::DoubleStar, 2),
            (b'/', _) => (Symbol::DoubleSlash, 2),
            (b'<', _) => (Symbol::ShiftLeft, 2),
            _ => (Symbol::ShiftRight, 2),
        },
        (b'.', b'.') if third == b'.' => (Symbol::Ellipsis, 3),
        (_, b'=') => match first {
            b'<' => (Symbol::LessEqual, 2),
            b'>' => (Symbol::GreaterEqual, 2),
            b'=' => (Symbol::EqualEqual, 2),
            b'!' => (Symbol::NotEqual, 2),
            b':' => (Symbol::Walrus, 2),
            b'+' | b'-' | b'*' | b'/' | b'%' | b'@' | b'&' | b'|' | b'^' => (Symbol::Other, 2),
            _ => (single(first), 1),
        },
        (b'<' | b'-', b'>') => (Symbol::Other, 2),
        _ => (single(first), 1),
    }
}

#[inline]
fn single(byte: u8) -> Symbol {
    match byte {
        b'+' => Symbol::Plus,
        b'-' => Symbol::Minus,
        b'*' => Symbol::Star,
        b'/' => Symbol::Slash,
        b'%' => Symbol::Percent,
        b'@' => Symbol::At,
        b'&' => Symbol::Ampersand,
        b'|' => Symbol::Bar,
        b'^' => Symbol::Caret,
        b'~' => Symbol::Tilde,
        b'<' => Symbol::Less,
        b'>' => Symbol::Greater,
        b',' => Symbol::Comma,
        b':' => Symbol::Colon,
        b'.' => Symbol::Dot,
        b'=' => Symbol::Equal,
        _ => Symbol::Other,
    }
}
