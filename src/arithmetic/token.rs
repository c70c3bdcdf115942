//! Tokens: the lexer makes them of bytes, and the grammar reads them.

use crate::choice::choices;

/// A piece of the text: the bytes from `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    /// The piece itself; empty if it is not text.
    pub(super) fn of(self, text: &[u8]) -> &str {
        let piece = text.get(self.start as usize..self.end as usize).unwrap_or_default();
        core::str::from_utf8(piece).unwrap_or_default()
    }
}

/// The smallest unit of the language.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token {
    Number(Literal),
    Name(Span),
    Keyword(Keyword),
    /// A string literal of any kind. The language has none, but Python knows where it ends.
    String,
    Symbol(Symbol),
    /// The end of a line that has a token on it, outside of brackets.
    LineEnd,
    /// Against the lexical rules.
    Error(LexError),
    /// The indentation of a line that starts with a blank, outside of brackets.
    Indent,
    End,
}

/// A number: its value, or the span of the literal if it does not fit a machine word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Literal {
    Int(i64),
    Large(Span),
    Float(f64),
    Imaginary(f64),
}

/// A mistake within one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LexError {
    /// A character that is part of no token, or not at this place.
    Character(char),
    /// A number that is incomplete, or that is followed by a character that cannot follow it.
    Number(Notation),
    /// A decimal digit that is no digit of the number's notation.
    Digit(char, Notation),
    /// `007`
    LeadingZeros,
    /// A string literal that does not end on its line.
    UnterminatedString,
    /// A closing bracket while none is open.
    Unmatched(Bracket),
    /// More open brackets than [`OPEN_BRACKETS`](super::limits::OPEN_BRACKETS).
    TooManyBrackets,
    /// A mistake without a text of its own: bytes that are not UTF-8, a backslash that does not
    /// join two lines, an unterminated string of several lines, an integer of too many digits.
    Other,
}

choices! {
    /// The notation of a number.
    pub(super) enum Notation {
        Binary = "binary",
        Octal = "octal",
        Decimal = "decimal",
        Hexadecimal = "hexadecimal",
        Imaginary = "imaginary",
    }
}

impl Notation {
    pub(super) fn radix(self) -> u32 {
        match self {
            Self::Binary => 2,
            Self::Octal => 8,
            Self::Decimal | Self::Imaginary => 10,
            Self::Hexadecimal => 16,
        }
    }
}

/// Words that cannot be names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    False,
    None,
    True,
    And,
    Else,
    For,
    If,
    In,
    Is,
    Lambda,
    Not,
    Or,
    /// A word of statements or of functions, part of no expression that `eval` accepts.
    Other,
}

/// Operators and marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Plus,
    Minus,
    Star,
    Slash,
    DoubleSlash,
    Percent,
    At,
    DoubleStar,
    ShiftLeft,
    ShiftRight,
    Ampersand,
    Bar,
    Caret,
    Tilde,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    EqualEqual,
    NotEqual,
    Open(Bracket),
    Close(Bracket),
    Comma,
    Colon,
    Walrus,
    Dot,
    Ellipsis,
    Equal,
    /// A symbol that is part of no expression: `;`, `+=`, `->`, `<>`, `!`, `$`, `?`, a backquote.
    Other,
}

/// The three pairs of brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bracket {
    Round,
    Square,
    Curly,
}

impl Bracket {
    pub(super) fn opening(self) -> char {
        match self {
            Self::Round => '(',
            Self::Square => '[',
            Self::Curly => '{',
        }
    }

    pub(super) fn closing(self) -> char {
        match self {
            Self::Round => ')',
            Self::Square => ']',
            Self::Curly => '}',
        }
    }
}
