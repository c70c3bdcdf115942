//! The precedence of operators.

use super::bytecode::{Binary, Comparison};
use super::dialect::Dialect;
use super::token::Symbol;

/// The precedence of an operator, from the loosest to the tightest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precedence {
    /// A bracket, which only its closing one reduces, or an `if`, which only an `else` does.
    Bracket,
    /// `b if c else`
    Else,
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

/// The precedence of a binary operator.
pub(super) fn of(operator: Binary) -> Precedence {
    match operator {
        Binary::Or => Precedence::BitOr,
        Binary::Xor => Precedence::BitXor,
        Binary::And => Precedence::BitAnd,
        Binary::ShiftLeft | Binary::ShiftRight => Precedence::Shift,
        Binary::Add | Binary::Subtract => Precedence::Sum,
        Binary::Multiply
        | Binary::Divide
        | Binary::FloorDivide
        | Binary::Remainder
        | Binary::TruncDiv
        | Binary::TruncRem
        | Binary::MatrixMultiply => Precedence::Product,
        Binary::Power => Precedence::Power,
    }
}

/// The binary operator of a symbol behind an operand.
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
        (Symbol::Slash, Dialect::Integer) => Binary::TruncDiv,
        (Symbol::DoubleSlash, _) => Binary::FloorDivide,
        (Symbol::Percent, Dialect::Python) => Binary::Remainder,
        (Symbol::Percent, Dialect::Integer) => Binary::TruncRem,
        (Symbol::At, _) => Binary::MatrixMultiply,
        (Symbol::DoubleStar, _) => Binary::Power,
        _ => return None,
    })
}

/// The comparison of a symbol.
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
