//! What the grammar has read the left side of.

use super::code::{Binary, Comparison, Place, Unary};
use super::level::{self, Level};
use super::pile::Blank;
use super::token::Bracket;

/// What waits on the stack.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pending {
    /// The whole text, or a bracket that groups: so many commas were read in it.
    Group {
        start: Place,
        commas: u32,
        bracket: Option<Bracket>,
    },
    /// The arguments of a call: so many are complete, and whether one of them, and the one being
    /// read, has a name.
    Call {
        start: Place,
        arguments: u32,
        any_named: bool,
        named: bool,
    },
    Subscript {
        start: Place,
    },
    /// `b if`: the jump at `exit` leaves `b`, which starts after `start`.
    Condition {
        start: Place,
        exit: Place,
    },
    /// `b if c else`
    Otherwise {
        start: Place,
        exit: Place,
    },
    /// The jump of an `or` or an `and`.
    Or(Place),
    And(Place),
    Not,
    /// A comparison, and the last one before it in its chain.
    Compare(Comparison, Option<Place>),
    Unary(Unary),
    Binary(Binary),
}

impl Blank for Pending {
    const BLANK: Self = Self::Not;
}

impl Pending {
    pub(super) fn level(self) -> Level {
        match self {
            Self::Group { .. }
            | Self::Call { .. }
            | Self::Subscript { .. }
            | Self::Condition { .. } => Level::Bracket,
            Self::Otherwise { .. } => Level::Otherwise,
            Self::Or(_) => Level::Or,
            Self::And(_) => Level::And,
            Self::Not => Level::Not,
            Self::Compare(..) => Level::Compare,
            Self::Unary(_) => Level::Sign,
            Self::Binary(operator) => level::of(operator),
        }
    }

    /// Where the expression starts that is being read directly inside.
    pub(super) fn start(self) -> Option<Place> {
        match self {
            Self::Group { start, .. }
            | Self::Call { start, .. }
            | Self::Subscript { start }
            | Self::Otherwise { start, .. } => Some(start),
            _ => None,
        }
    }
}
