//! What a text becomes: a list of steps for a machine with a stack of values.
//!
//! Operands come before their operator, so the list is in the order in which Python evaluates. The
//! one exception, `b if c else d`, whose condition comes second in the text and first in time, and
//! the operators that skip a side are jumps. Every jump but one goes forward, and that one, back to
//! `b`, is followed by a jump past itself, so no step runs twice.

use super::pile::Pile;
use super::token::Span;

/// One step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Step {
    /// Nothing: an expression starts here, and becomes a jump if it has a condition.
    #[default]
    Start,
    Int(i64),
    /// An integer literal, to be read from the text.
    Large(Span),
    Float(f64),
    Name(Span),
    Unary(Unary),
    Binary(Binary),
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Plus,
    Minus,
    Invert,
}

impl Unary {
    /// How complaints about operands name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plus => "unary +",
            Self::Minus => "unary -",
            Self::Invert => "unary ~",
        }
    }
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Or,
    Xor,
    And,
    ShiftLeft,
    ShiftRight,
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    MatrixMultiply,
    Power,
}

impl Binary {
    /// How complaints about operands name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Or => "|",
            Self::Xor => "^",
            Self::And => "&",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::FloorDivide => "//",
            Self::Remainder => "%",
            Self::MatrixMultiply => "@",
            Self::Power => "** or pow()",
        }
    }
}

/// The steps of one text. Short ones need no heap.
pub(super) type Code = Pile<Step, 24>;
