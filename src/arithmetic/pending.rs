//! What the grammar has read the left side of.

use super::bytecode::{Binary, Comparison, OpIndex, Unary};
use super::inline_vec::Filler;
use super::precedence::{self, Precedence};
use super::token::Bracket;

/// What waits on the stack.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pending {
    /// The whole text, or a bracket that groups: so many commas were read in it.
    Group {
        start: OpIndex,
        commas: u32,
        bracket: Option<Bracket>,
    },
    /// The arguments of a call: so many are complete, and whether one of them, and the one being
    /// read, has a name.
    Call {
        start: OpIndex,
        arguments: u32,
        any_named: bool,
        named: bool,
    },
    Subscript {
        start: OpIndex,
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
    /// A comparison, and the last one before it in its chain.
    Compare(Comparison, Option<OpIndex>),
    Unary(Unary),
    Binary(Binary),
}

impl Filler for Pending {
    const FILLER: Self = Self::Not;
}

impl Pending {
    pub(super) fn precedence(self) -> Precedence {
        match self {
            Self::Group { .. }
            | Self::Call { .. }
            | Self::Subscript { .. }
            | Self::Condition { .. } => Precedence::Bracket,
            Self::Else { .. } => Precedence::Else,
            Self::Or(_) => Precedence::Or,
            Self::And(_) => Precedence::And,
            Self::Not => Precedence::Not,
            Self::Compare(..) => Precedence::Compare,
            Self::Unary(_) => Precedence::Sign,
            Self::Binary(operator) => precedence::of(operator),
        }
    }

    /// Where the expression starts that is being read directly inside.
    pub(super) fn start(self) -> Option<OpIndex> {
        match self {
            Self::Group { start, .. }
            | Self::Call { start, .. }
            | Self::Subscript { start }
            | Self::Else { start, .. } => Some(start),
            _ => None,
        }
    }
}
