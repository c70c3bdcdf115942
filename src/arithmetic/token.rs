//! The words of the language: what the lexis makes of bytes and the grammar reads.

use super::literal::Literal;

/// A piece of the text: from its first byte to before its last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// The smallest unit with a meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token {
    Number(Literal),
    Name(Span),
    Keyword(Keyword),
    /// A string literal of any kind: the language has none, but Python knows where it ends.
    Text,
    Symbol(Symbol),
    /// The end of a line that has something on it.
    LineEnd,
    /// A line, not in brackets, that starts with a blank.
    Indent,
    End,
}

/// The words that cannot be names. Those without a meaning in expressions are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    False,
    None,
    True,
    And,
    Async,
    Await,
    Else,
    For,
    From,
    If,
    In,
    Is,
    Lambda,
    Not,
    Or,
    Yield,
    Statement,
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
    /// The opening and the closing one.
    pub(super) fn pair(self) -> (char, char) {
        match self {
            Self::Round => ('(', ')'),
            Self::Square => ('[', ']'),
            Self::Curly => ('{', '}'),
        }
    }
}
