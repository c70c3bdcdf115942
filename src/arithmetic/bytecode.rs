//! Bytecode: a list of ops for a machine with a stack of values.
//!
//! Operands come before their operator, so the ops are in the order of evaluation. Jumps make the
//! two exceptions: operators that skip a side, and `b if c else d`, whose condition comes second in
//! the text and first in time. Only the jump back to `b` goes backward, and `b` ends with a jump
//! forward past it, so no op runs twice.

use super::inline_vec::{Filler, InlineVec};
use super::token::{Literal, Span};
use super::value::Function;
use crate::choice::choices;

/// The index of an op in its code.
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

    /// Adds an op that others refer to; returns its index.
    #[inline]
    pub(super) fn emit(&mut self, op: Op) -> OpIndex {
        let index = self.here();
        self.push(op);
        index
    }

    /// Removes the last op.
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

/// One instruction. It takes its operands off the stack, and leaves its result there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    /// Nothing: the start of an expression, which is patched to a jump if a condition follows.
    Start,
    Number(Literal),
    Bool(bool),
    None,
    Ellipsis,
    Function(Function),
    /// A name that is not defined.
    Name(Span),
    Unary(Unary),
    Binary(Binary),
    Not,
    Compare(Comparison),
    /// A comparison within a chain. If it holds, its right operand stays, for the next one. If not,
    /// the chain is false and the code continues at the index.
    Chain(Comparison, OpIndex),
    /// Keeps a false value and jumps past the right side of `and`, or drops a true value.
    And(OpIndex),
    /// Keeps a true value and jumps past the right side of `or`, or drops a false value.
    Or(OpIndex),
    Jump(OpIndex),
    /// Drops the condition, and jumps if it is true.
    Branch(OpIndex),
    /// Makes a tuple of this many values.
    Tuple(u32),
    /// Calls the value below this many arguments.
    Call(u32),
    /// A call with this many arguments, the last of which has a name.
    CallNamed(u32),
    /// `a[b]`
    Subscript,
    /// An expression of Python's that this language does not have.
    Unsupported,
}

impl Filler for Op {
    const FILLER: Self = Self::Start;
}

choices! {
    /// Operators with one operand, by their names in errors.
    pub(super) enum Unary {
        Plus = "unary +",
        Minus = "unary -",
        Invert = "unary ~",
    }
}

choices! {
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

choices! {
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
    fn an_op_is_two_machine_words() {
        assert_eq!(size_of::<Op>(), 16);
    }
}
