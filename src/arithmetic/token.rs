//! The words of the language: what the lexer makes of bytes and the grammar reads.

use super::named::named;

/// A piece of the text: from its first byte to before its last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    /// The piece itself, nothing if it is not text.
    pub(super) fn of(self, text: &[u8]) -> &str {
        let piece = text.get(self.start as usize..self.end as usize).unwrap_or_default();
        core::str::from_utf8(piece).unwrap_or_default()
    }
}

/// The smallest unit with a meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token {
    Number(Literal),
    Name(Span),
    Keyword(Keyword),
    /// A string literal of any kind. The language has none, but Python knows where it ends.
    String,
    Symbol(Symbol),
    /// The end of a line that has something on it.
    LineEnd,
    /// Against the lexical rules.
    Error(LexError),
    /// A line, not in brackets, that starts with a blank.
    Indent,
    End,
}

/// A number's value, or where its digits are if it is too large for a machine word.
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
    /// A character that no token has, here at least.
    Character(char),
    /// A number that breaks off, or that a character follows that cannot.
    Number(Notation),
    /// A decimal digit that its notation does not have.
    Digit(char, Notation),
    /// `007`
    LeadingZeros,
    /// A string literal that does not end on its line.
    UnterminatedString,
    /// A closing bracket while none is open.
    Unmatched(Bracket),
    /// More open brackets than are allowed.
    TooManyBrackets,
    /// A mistake without a text of its own: bytes that are not UTF-8, a backslash that does not
    /// join two lines, an unterminated string of several lines, an integer of too many digits.
    Other,
}

named! {
    /// How a number is written.
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

/// The words that cannot be names.
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
    /// Of statements, or of functions: part of no expression that `eval` takes.
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
    /// Part of no expression: `;`, `+=`, `->`, `<>`, `!`, `$`, `?`, a backquote.
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
