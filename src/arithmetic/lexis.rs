//! From bytes to tokens: Python's lexical rules, with Python's words for what breaks them.
//!
//! Blanks are space, tab and form feed. Inside brackets a line's end is a blank too; outside it
//! ends the expression. Brackets are paired here, as in Python, so that `(1 +]` is a mistake of the
//! lexis, which goes before any mistake of the grammar.

use super::error::Error;
use super::limits::OPEN_BRACKETS;
use super::literal;
use super::pile::Pile;
use super::token::{Bracket, Span, Symbol, Token};
use super::words;

/// Reads tokens off a text, one at a time.
pub(super) struct Lexis<'t> {
    pub(super) text: &'t str,
    /// Where the last token started.
    pub(super) start: usize,
    /// Where the last token ended and the next is looked for; at most the text's length.
    pub(super) at: usize,
    /// The open brackets, outermost first.
    open: Pile<Opened, 8>,
    /// Nothing but blanks was read on this line.
    line_is_blank: bool,
}

/// An open bracket: which, and the place where.
#[derive(Clone, Copy, Debug, Default)]
struct Opened(Option<Bracket>, u32);

impl<'t> Lexis<'t> {
    /// `eval` drops the spaces and tabs that a text starts with.
    pub(super) fn new(text: &'t str) -> Self {
        let blanks = text.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        Self { text, start: blanks, at: blanks, open: Pile::new(), line_is_blank: true }
    }

    /// How many brackets are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// The byte at `at + ahead`, or 0 after the end; a text has no zero bytes.
    #[inline]
    pub(super) fn peek(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    /// The last token as a span.
    pub(super) fn span(&self) -> Span {
        // TEXT_BYTES is far below 2^32.
        #[expect(clippy::cast_possible_truncation, reason = "a text is shorter than TEXT_BYTES")]
        Span { start: self.start as u32, end: self.at as u32 }
    }

    /// A mistake at the place `at`.
    pub(super) fn mistake(&self, at: usize, words: impl Into<Box<str>>) -> Error {
        Error::Syntax(words.into(), self.line(at))
    }

    /// The number of the line that the byte `at` is on.
    pub(super) fn line(&self, at: usize) -> u32 {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        let ends = before.iter().enumerate().filter(|&(index, &byte)| match byte {
            b'\n' => true,
            b'\r' => self.text.as_bytes().get(index + 1) != Some(&b'\n'),
            _ => false,
        });
        u32::try_from(ends.count()).map_or(u32::MAX, |count| count + 1)
    }

    /// The next token; at the end of the text again and again [`Token::End`].
    pub(super) fn next(&mut self) -> Result<Token, Error> {
        loop {
            let column = self.skip_blanks();
            self.start = self.at;
            let byte = self.peek(0);
            if self.line_is_blank && column > 0 && !matches!(byte, 0 | b'#' | b'\n' | b'\r') {
                self.line_is_blank = false;
                return Ok(Token::Indent);
            }
            match byte {
                b'#' => self.skip_comment(),
                b'\n' | b'\r' => {
                    self.end_line();
                    let blank = self.line_is_blank;
                    if self.depth() == 0 {
                        self.line_is_blank = true;
                        if !blank {
                            return Ok(Token::LineEnd);
                        }
                    }
                }
                b'\\' => self.continuation()?,
                _ => {
                    self.line_is_blank = false;
                    return self.token(byte);
                }
            }
        }
    }

    /// Moves past blanks; returns how many there were since the line's start or a form feed.
    fn skip_blanks(&mut self) -> usize {
        let mut from = self.at;
        loop {
            match self.peek(0) {
                b' ' | b'\t' => self.at += 1,
                b'\x0c' => {
                    self.at += 1;
                    from = self.at;
                }
                _ => return self.at - from,
            }
        }
    }

    fn skip_comment(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
    }

    /// Moves past a line's end, which is one of three: `\n`, `\r\n`, `\r`.
    fn end_line(&mut self) {
        self.at += if self.peek(0) == b'\r' && self.peek(1) == b'\n' { 2 } else { 1 };
    }

    /// A backslash joins its line to the next one.
    fn continuation(&mut self) -> Result<(), Error> {
        self.at += 1;
        if !matches!(self.peek(0), b'\n' | b'\r') {
            let words = "unexpected character after line continuation character";
            return Err(self.mistake(self.at, words));
        }
        self.end_line();
        self.line_is_blank = false;
        if self.at == self.text.len() {
            return Err(self.mistake(self.start, "unexpected EOF while parsing"));
        }
        Ok(())
    }

    /// The token that starts with `byte`, which is not a blank.
    fn token(&mut self, byte: u8) -> Result<Token, Error> {
        match byte {
            b'0'..=b'9' => literal::number(self).map(Token::Number),
            b'.' if self.peek(1).is_ascii_digit() => literal::number(self).map(Token::Number),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => words::word(self),
            b'"' | b'\'' => words::string(self),
            b'(' => self.open(Bracket::Round),
            b'[' => self.open(Bracket::Square),
            b'{' => self.open(Bracket::Curly),
            b')' => self.close(Bracket::Round),
            b']' => self.close(Bracket::Square),
            b'}' => self.close(Bracket::Curly),
            0 if self.at >= self.text.len() => self.end(),
            0..b' ' | 0x7f => {
                Err(self.mistake(self.at, format!("invalid non-printable character U+{byte:04X}")))
            }
            _ => Ok(Token::Symbol(self.symbol(byte))),
        }
    }

    fn symbol(&mut self, byte: u8) -> Symbol {
        let (second, third) = (self.peek(1), self.peek(2));
        let (symbol, length) = match (byte, second, third) {
            (b'*', b'*', b'=') | (b'/', b'/', b'=') | (b'<', b'<', b'=') | (b'>', b'>', b'=') => {
                (Symbol::Other, 3)
            }
            (b'.', b'.', b'.') => (Symbol::Ellipsis, 3),
            (b'*', b'*', _) => (Symbol::DoubleStar, 2),
            (b'/', b'/', _) => (Symbol::DoubleSlash, 2),
            (b'<', b'<', _) => (Symbol::ShiftLeft, 2),
            (b'>', b'>', _) => (Symbol::ShiftRight, 2),
            (b'<', b'=', _) => (Symbol::LessEqual, 2),
            (b'>', b'=', _) => (Symbol::GreaterEqual, 2),
            (b'=', b'=', _) => (Symbol::EqualEqual, 2),
            (b'!', b'=', _) => (Symbol::NotEqual, 2),
            (b':', b'=', _) => (Symbol::Walrus, 2),
            (b'+' | b'-' | b'*' | b'/' | b'%' | b'@' | b'&' | b'|' | b'^', b'=', _)
            | (b'<' | b'-', b'>', _) => (Symbol::Other, 2),
            _ => (single(byte), 1),
        };
        self.at += length;
        symbol
    }

    fn open(&mut self, bracket: Bracket) -> Result<Token, Error> {
        if self.depth() >= OPEN_BRACKETS {
            return Err(self.mistake(self.at, "too many nested parentheses"));
        }
        self.open.push(Opened(Some(bracket), self.span().start));
        self.at += 1;
        Ok(Token::Symbol(Symbol::Open(bracket)))
    }

    fn close(&mut self, bracket: Bracket) -> Result<Token, Error> {
        let closing = bracket.pair().1;
        let Some(Opened(Some(opened), place)) = self.open.pop() else {
            return Err(self.mistake(self.at, format!("unmatched '{closing}'")));
        };
        if opened != bracket {
            let opening = opened.pair().0;
            let line = self.line(place as usize);
            let place = if line == self.line(self.at) { "" } else { &format!(" on line {line}") };
            let words = format!(
                "closing parenthesis '{closing}' does not match opening parenthesis \
                 '{opening}'{place}"
            );
            return Err(self.mistake(self.at, words));
        }
        self.at += 1;
        Ok(Token::Symbol(Symbol::Close(bracket)))
    }

    /// The end of the text, which must not come inside brackets.
    fn end(&self) -> Result<Token, Error> {
        match self.open.last() {
            Some(&Opened(Some(bracket), place)) => {
                let opening = bracket.pair().0;
                Err(self.mistake(place as usize, format!("'{opening}' was never closed")))
            }
            _ => Ok(Token::End),
        }
    }
}

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
