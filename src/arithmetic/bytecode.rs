//! What a text becomes: a list of ops for a machine with a stack of values.
//!
//! Operands come before their operator, so the list is in the order in which Python evaluates. The
//! one exception, `b if c else d`, whose condition comes second in the text and first in time, and
//! the operators that skip a side are jumps. Every jump but one goes forward, and that one, back to
//! `b`, is followed by a jump past itself, so no op runs twice.

use super::inline_vec::{Filler, InlineVec};
use super::named::named;
use super::token::{Literal, Span};
use super::value::Function;

/// The place of a op in the code.
pub(super) type OpIndex = u32;

/// The ops of one text. Short ones need no heap.
pub(super) struct Bytecode {
    ops: InlineVec<Op, 16>,
}

impl Bytecode {
    #[inline]
    pub(super) fn new() -> Self {
        Self { ops: InlineVec::new() }
    }

    #[inline]
    pub(super) fn ops(&self) -> &[Op] {
        self.ops.as_slice()
    }

    #[inline]
    pub(super) fn push(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// Adds an op that others refer to, and returns its index.
    #[inline]
    pub(super) fn emit(&mut self, op: Op) -> OpIndex {
        let index = self.here();
        self.push(op);
        index
    }

    /// Takes the last op back.
    pub(super) fn retract(&mut self) {
        self.ops.pop();
    }

    /// The index of the next op.
    #[inline]
    pub(super) fn here(&self) -> OpIndex {
        OpIndex::try_from(self.ops.len()).expect("a text has far fewer than 2^32 bytes")
    }

    /// Replaces an earlier op.
    pub(super) fn patch(&mut self, index: OpIndex, op: Op) {
        if let Some(earlier) = self.ops.as_mut_slice().get_mut(index as usize) {
            *earlier = op;
        }
    }

    /// Adds the last comparison of a chain. The others, each of which links to the previous one,
    /// jump to its end.
    pub(super) fn end_chain(&mut self, last: Comparison, mut chain: Option<OpIndex>) {
        self.push(Op::Compare(last));
        let end = self.here();
        while let Some(index) = chain
            && let Some(op) = self.ops.as_mut_slice().get_mut(index as usize)
            && let Op::Chain(_, link) = op
        {
            chain = (*link != OpIndex::MAX).then_some(*link);
            *link = end;
        }
    }
}

/// One op.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    /// Nothing: an expression starts here, and becomes a jump if it has a condition.
    Start,
    Number(Literal),
    Bool(bool),
    None,
    Ellipsis,
    Function(Function),
    /// A name without a meaning.
    Name(Span),
    Unary(Unary),
    Binary(Binary),
    Not,
    Compare(Comparison),
    /// A comparison that another one follows: the right operand stays. If it does not hold, the
    /// chain is false and goes on at the place.
    Chain(Comparison, OpIndex),
    /// Keeps a false value and skips the right side of `and`, or drops a true one.
    And(OpIndex),
    /// The same for a true value and `or`.
    Or(OpIndex),
    Jump(OpIndex),
    /// Jumps if the condition, which it drops, is true.
    Branch(OpIndex),
    /// Makes a tuple of the last so many values.
    Tuple(u32),
    /// Calls what is below the last so many values with them.
    Call(u32),
    /// A call that names an argument: as many as are said, the last of them named.
    CallNamed(u32),
    /// `a[b]`
    Subscript,
    /// Python, but not in this language.
    Unsupported,
}

impl Filler for Op {
    const FILLER: Self = Self::Start;
}

named! {
    /// Operators with one operand, by their names in errors.
    pub(super) enum Unary {
        Plus = "unary +",
        Minus = "unary -",
        Invert = "unary ~",
    }
}

named! {
    /// Operators with two operands, by their names in errors.
    pub(super) enum Binary {
        Or = "|",
        Xor = "^",
        And = "&",
        ShiftLeft = "<<",
        ShiftRight = ">>",
        Add = "+",
        Subtract = "-",
        Multiply = "*",
        Divide = "/",
        FloorDivide = "//",
        /// With the divisor's sign.
        Remainder = "%",
        /// C's: rounded towards zero.
        TruncDiv = "/",
        /// C's: with the dividend's sign.
        TruncRem = "%",
        MatrixMultiply = "@",
        Power = "** or pow()",
    }
}

named! {
    /// Operators that compare, and that chain.
    pub(super) enum Comparison {
        Less = "<",
        LessEqual = "<=",
        Greater = ">",
        GreaterEqual = ">=",
        Equal = "==",
        NotEqual = "!=",
        In = "in",
        NotIn = "not in",
        Is = "is",
        IsNot = "is not",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_two_machine_words() {
        assert_eq!(size_of::<Op>(), 16);
    }
}
