//! Operators and brackets whose left side the grammar has read.

use super::bytecode::{Binary, Comparison, OpIndex, Unary};
use super::inline_vec::Filler;
use super::precedence::{self, Precedence};
use super::token::Bracket;

/// An entry of the grammar's stack.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pending {
    /// The whole text, or an open bracket.
    Open {
        enclosure: Enclosure,
        /// The start of the item that is being read.
        start: OpIndex,
        /// Commas read so far, each after an item.
        commas: u32,
        /// The bracket's position in the text.
        at: u32,
    },
    /// `b if`: the jump at `exit` leaves `b`, which starts after `start`.
    Condition {
        start: OpIndex,
        exit: OpIndex,
    },
    /// `b if c else`
    Else {
        start: OpIndex,
        exit: OpIndex,
    },
    /// The jump of an `or` or an `and`.
    Or(OpIndex),
    And(OpIndex),
    Not,
    /// A comparison, and the previous one in its chain.
    Compare(Comparison, Option<OpIndex>),
    Unary(Unary),
    Binary(Binary),
}

/// A list of items, and its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enclosure {
    Text,
    /// `(1)` or `(1, 2)`
    Group,
    /// `[1, 2]`
    List,
    /// `f(1, x=2)`: whether any argument has a name, and whether the one being read has.
    Call {
        any_named: bool,
        named: bool,
    },
    /// `a[1]`
    Subscript,
}

impl Filler for Pending {
    const FILLER: Self = Self::Not;
}

impl Enclosure {
    /// Its brackets.
    pub(super) fn bracket(self) -> Option<Bracket> {
        match self {
            Self::Text => None,
            Self::Group | Self::Call { .. } => Some(Bracket::Round),
            Self::List | Self::Subscript => Some(Bracket::Square),
        }
    }
}

impl Pending {
    pub(super) fn precedence(self) -> Precedence {
        match self {
            Self::Open { .. } | Self::Condition { .. } => Precedence::Bracket,
            Self::Else { .. } => Precedence::Else,
            Self::Or(_) => Precedence::Or,
            Self::And(_) => Precedence::And,
            Self::Not => Precedence::Not,
            Self::Compare(..) => Precedence::Compare,
            Self::Unary(_) => Precedence::Sign,
            Self::Binary(operator) => precedence::of(operator),
        }
    }

    /// The start of the expression that is being read directly inside.
    pub(super) fn start(self) -> Option<OpIndex> {
        match self {
            Self::Open { start, .. } | Self::Else { start, .. } => Some(start),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_two_machine_words() {
        assert_eq!(size_of::<Pending>(), 16);
    }
}
