//! Operators that wait for their right side, and brackets that wait to be closed.

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
        /// The start of the current item.
        start: OpIndex,
        /// The number of commas so far, each behind an item.
        commas: u32,
        /// The bracket's position in the text.
        at: u32,
    },
    /// `b if`: `b` starts behind `start`, and ends with the jump at `exit`.
    Condition {
        start: OpIndex,
        exit: OpIndex,
    },
    /// `b if c else`
    Else {
        start: OpIndex,
        exit: OpIndex,
    },
    /// `or`, whose op jumps past its right side.
    Or(OpIndex),
    /// `and`, the same.
    And(OpIndex),
    Not,
    /// A comparison, and the index of the previous one in its chain.
    Compare(Comparison, Option<OpIndex>),
    Unary(Unary),
    Binary(Binary),
}

/// The meaning of a pair of brackets and the items in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enclosure {
    /// The whole text, without brackets.
    Text,
    /// `(1)` or `(1, 2)`
    Group,
    /// `[1, 2]`
    List,
    /// `f(1, x=2)`
    Call {
        /// An argument has a name.
        any_named: bool,
        /// The current argument has a name.
        named: bool,
    },
    /// `a[1]`
    Subscript,
}

impl Filler for Pending {
    const FILLER: Self = Self::Not;
}

impl Enclosure {
    /// The kind of its brackets.
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

    /// The start of the expression that is read directly inside of it.
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
