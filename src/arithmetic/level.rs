//! How tightly operators bind.

use super::Dialect;
use super::code::{Binary, Comparison};
use super::token::Symbol;

/// From the loosest to the tightest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// A bracket, which only its partner completes, or an `if`, which only an `else` does.
    #[default]
    Bracket,
    /// `b if c else`
    Otherwise,
    Or,
    And,
    Not,
    Compare,
    BitOr,
    BitXor,
    BitAnd,
    Shift,
    Sum,
    Product,
    /// Looser than a power on its right, tighter than one on its left.
    Sign,
    Power,
}

/// The level of an operator.
pub(super) fn of(operator: Binary) -> Level {
    match operator {
        Binary::Or => Level::BitOr,
        Binary::Xor => Level::BitXor,
        Binary::And => Level::BitAnd,
        Binary::ShiftLeft | Binary::ShiftRight => Level::Shift,
        Binary::Add | Binary::Subtract => Level::Sum,
        Binary::Multiply
        | Binary::Divide
        | Binary::FloorDivide
        | Binary::Remainder
        | Binary::Truncate
        | Binary::Rest
        | Binary::MatrixMultiply => Level::Product,
        Binary::Power => Level::Power,
    }
}

/// The operator that a symbol stands for after an operand.
pub(super) fn binary(symbol: Symbol, dialect: Dialect) -> Option<Binary> {
    Some(match (symbol, dialect) {
        (Symbol::Bar, _) => Binary::Or,
        (Symbol::Caret, _) => Binary::Xor,
        (Symbol::Ampersand, _) => Binary::And,
        (Symbol::ShiftLeft, _) => Binary::ShiftLeft,
        (Symbol::ShiftRight, _) => Binary::ShiftRight,
        (Symbol::Plus, _) => Binary::Add,
        (Symbol::Minus, _) => Binary::Subtract,
        (Symbol::Star, _) => Binary::Multiply,
        (Symbol::Slash, Dialect::Python) => Binary::Divide,
        (Symbol::Slash, Dialect::Integer) => Binary::Truncate,
        (Symbol::DoubleSlash, _) => Binary::FloorDivide,
        (Symbol::Percent, Dialect::Python) => Binary::Remainder,
        (Symbol::Percent, Dialect::Integer) => Binary::Rest,
        (Symbol::At, _) => Binary::MatrixMultiply,
        (Symbol::DoubleStar, _) => Binary::Power,
        _ => return None,
    })
}

/// The comparison that a symbol stands for.
pub(super) fn comparison(symbol: Symbol) -> Option<Comparison> {
    Some(match symbol {
        Symbol::Less => Comparison::Less,
        Symbol::LessEqual => Comparison::LessEqual,
        Symbol::Greater => Comparison::Greater,
        Symbol::GreaterEqual => Comparison::GreaterEqual,
        Symbol::EqualEqual => Comparison::Equal,
        Symbol::NotEqual => Comparison::NotEqual,
        _ => return None,
    })
}
