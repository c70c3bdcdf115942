//! From bytes to tokens: Python's lexical rules.
//!
//! Blanks are space, tab and form feed. A line's end within brackets is a blank as well; elsewhere
//! it ends the expression. Brackets are only counted here: the grammar pairs them.
//!
//! Source: the Python language reference, "Lexical analysis", and Python's `Parser/tokenizer.c`.

use super::cursor::Cursor;
use super::identifier;
use super::limits::OPEN_BRACKETS;
use super::literal;
use super::token::{Bracket, LexError, Symbol, Token};

/// Splits a text into tokens, one at a time.
pub(super) struct Lexer<'t> {
    cursor: Cursor<'t>,
    /// Brackets that are open.
    depth: usize,
    /// Only blanks have been read on this line.
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
        // The blanks dropped here are no indentation; those behind a form feed or a line's end are.
        let line_is_blank = !starts_token(cursor.peek(0));
        Self { cursor, depth: 0, line_is_blank }
    }

    /// The position behind the last token.
    pub(super) fn cursor(&self) -> &Cursor<'t> {
        &self.cursor
    }

    /// The number of open brackets.
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// The next token. At the end of the text it is [`Token::End`], however often it is asked for.
    #[inline]
    pub(super) fn next(&mut self) -> Token {
        // The usual case: at most one space before a token in the middle of a line.
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

    /// The next token, behind any blanks, comments and line ends; `spaced` if a space was read.
    #[cold]
    fn next_after_blanks(&mut self, spaced: bool) -> Token {
        // Lines joined by backslashes are indented if one of them is.
        let (mut line, mut joined) = (spaced, false);
        loop {
            line = self.skip_blanks(line);
            self.cursor.start = self.cursor.at;
            match self.cursor.peek(0) {
                b'#' if !self.skip_comment() => return Token::Error(LexError::Other),
                // A line with only a comment on it is not indented.
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

    /// Moves past blanks. Returns true if the line is then indented; `indented` is true if it was
    /// before. A form feed resets the indentation.
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

    /// Moves past a comment; returns true if it is text.
    fn skip_comment(&mut self) -> bool {
        let rest = self.cursor.text.get(self.cursor.at..).unwrap_or_default();
        self.cursor.at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        self.cursor.is_text()
    }

    /// Moves past a line's end: `\n`, `\r\n` or `\r`.
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

    /// The token that starts with `byte`, which is no letter, no digit and no round bracket.
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

/// Returns true for the first byte of a token: not of a blank, a line's end, a comment, a backslash
/// or the text's end.
#[inline]
fn starts_token(byte: u8) -> bool {
    byte > b' ' && byte != b'#' && byte != b'\\'
}

/// The longest symbol at the start of three bytes, and its length.
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
