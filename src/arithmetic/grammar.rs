//! From tokens to ops, by operator precedence.
//!
//! Operators that still wait for their right side, and brackets that still wait to be closed, stand
//! on a stack of our own rather than on the thread's, so that no text can exhaust it. An arriving
//! operator first completes those on top that bind at least as tightly as itself.
//!
//! A text that does not fit is given up at once: `diagnosis` finds out what is wrong with it.

use super::Dialect;
use super::bytecode::{Binary, Bytecode, Comparison, Op, OpIndex, Unary};
use super::identifier;
use super::inline_vec::InlineVec;
use super::lexer::Lexer;
use super::limits::NESTING;
use super::literal::Literal;
use super::pending::Pending;
use super::precedence::{self, Precedence};
use super::token::{Bracket, Keyword, Symbol, Token};

/// The text is not of this grammar.
#[derive(Debug)]
pub(super) struct Malformed;

/// What is read next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Operand,
    Operator,
    Nothing,
}

/// Adds the ops of a whole text to `code`; returns whether more than [`NESTING`] operators waited
/// at one time in it.
pub(super) fn parse(text: &[u8], dialect: Dialect, code: &mut Bytecode) -> Result<bool, Malformed> {
    let lexer = Lexer::new(text);
    let mut parser = Parser { lexer, dialect, code, pending: InlineVec::new(), is_too_deep: false };
    parser.push_from(|start| Pending::Group { start, commas: 0, bracket: None });
    let mut next = Expect::Operand;
    while next != Expect::Nothing {
        let token = parser.lexer.next();
        next = match next {
            Expect::Operand => parser.operand(token)?,
            _ => parser.operator(token)?,
        };
    }
    Ok(parser.is_too_deep)
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    dialect: Dialect,
    code: &'t mut Bytecode,
    /// At the bottom the whole text, until it is complete.
    pending: InlineVec<Pending, 8>,
    is_too_deep: bool,
}

impl Parser<'_> {
    /// Where an operand should start.
    fn operand(&mut self, token: Token) -> Result<Expect, Malformed> {
        self.code.push(match token {
            Token::Number(Literal::Int(value)) => Op::Int(value),
            Token::Number(Literal::Large(span)) => Op::Large(span),
            Token::Number(Literal::Float(value)) => Op::Float(value),
            Token::Number(Literal::Imaginary(value)) => Op::Imaginary(value),
            Token::Name(span) => identifier::resolve(span, self.lexer.text),
            Token::String => Op::Unsupported,
            Token::Keyword(Keyword::True) => Op::Bool(true),
            Token::Keyword(Keyword::False) => Op::Bool(false),
            Token::Keyword(Keyword::None) => Op::None,
            Token::Symbol(Symbol::Ellipsis) => Op::Ellipsis,
            Token::Keyword(Keyword::Not) => return self.not(),
            Token::Symbol(symbol) => return self.before_operand(symbol),
            Token::LineEnd | Token::End => return self.end(token, false),
            Token::Keyword(_) | Token::Indent | Token::Error(_) => return Err(Malformed),
        });
        Ok(Expect::Operator)
    }

    /// `not x`, where nothing binds tighter; or the second word of `is not`.
    fn not(&mut self) -> Result<Expect, Malformed> {
        match self.pending.as_mut_slice() {
            [.., Pending::Compare(is @ Comparison::Is, _)] => *is = Comparison::IsNot,
            [.., top] if top.precedence() <= Precedence::Not => self.push(Pending::Not),
            _ => return Err(Malformed),
        }
        Ok(Expect::Operand)
    }

    fn before_operand(&mut self, symbol: Symbol) -> Result<Expect, Malformed> {
        match symbol {
            Symbol::Plus => self.push(Pending::Unary(Unary::Plus)),
            Symbol::Minus => self.push(Pending::Unary(Unary::Minus)),
            Symbol::Tilde => self.push(Pending::Unary(Unary::Invert)),
            Symbol::Open(bracket @ (Bracket::Round | Bracket::Square)) => {
                let bracket = Some(bracket);
                self.push_from(|start| Pending::Group { start, commas: 0, bracket });
            }
            // Nothing in it, or nothing after its last comma.
            Symbol::Close(bracket) => return self.close(bracket, false),
            _ => return Err(Malformed),
        }
        Ok(Expect::Operand)
    }

    /// Where an operand is complete.
    fn operator(&mut self, token: Token) -> Result<Expect, Malformed> {
        match token {
            Token::Symbol(symbol) => {
                if let Some(operator) = precedence::binary(symbol, self.dialect) {
                    // The one operator that groups from the right.
                    if operator != Binary::Power {
                        self.reduce(precedence::of(operator));
                    }
                    self.push(Pending::Binary(operator));
                    return Ok(Expect::Operand);
                }
                if let Some(comparison) = precedence::comparison(symbol) {
                    return Ok(self.compare(comparison));
                }
                self.after_operand(symbol)
            }
            Token::Keyword(keyword) => self.keyword(keyword),
            Token::LineEnd | Token::End => self.end(token, true),
            _ => Err(Malformed),
        }
    }

    fn after_operand(&mut self, symbol: Symbol) -> Result<Expect, Malformed> {
        match symbol {
            Symbol::Comma => self.comma(),
            Symbol::Close(bracket) => self.close(bracket, true),
            Symbol::Open(Bracket::Round) => {
                let (arguments, any_named, named) = (0, false, false);
                self.push_from(|start| Pending::Call { start, arguments, any_named, named });
                Ok(Expect::Operand)
            }
            Symbol::Open(Bracket::Square) => {
                self.push_from(|start| Pending::Subscript { start });
                Ok(Expect::Operand)
            }
            Symbol::Dot if matches!(self.lexer.next(), Token::Name(_)) => {
                self.code.push(Op::Unsupported);
                Ok(Expect::Operator)
            }
            Symbol::Equal => self.name_argument(),
            _ => Err(Malformed),
        }
    }

    fn keyword(&mut self, keyword: Keyword) -> Result<Expect, Malformed> {
        match keyword {
            Keyword::Or => {
                self.reduce(Precedence::Or);
                let index = self.emit(Op::Or(0));
                self.push(Pending::Or(index));
            }
            Keyword::And => {
                self.reduce(Precedence::And);
                let index = self.emit(Op::And(0));
                self.push(Pending::And(index));
            }
            Keyword::In => return Ok(self.compare(Comparison::In)),
            Keyword::Is => return Ok(self.compare(Comparison::Is)),
            Keyword::Not if self.lexer.next() == Token::Keyword(Keyword::In) => {
                return Ok(self.compare(Comparison::NotIn));
            }
            Keyword::If => {
                self.reduce(Precedence::Or);
                let start = self.pending.last().and_then(|top| top.start()).ok_or(Malformed)?;
                let exit = self.emit(Op::Jump(0));
                self.patch(start, Op::Jump(exit + 1));
                self.push(Pending::Condition { start, exit });
            }
            Keyword::Else => {
                self.reduce(Precedence::Or);
                let Some(Pending::Condition { start, exit }) = self.pending.pop() else {
                    return Err(Malformed);
                };
                self.emit(Op::Branch(start + 1));
                self.push_from(|start| Pending::Else { start, exit });
            }
            _ => return Err(Malformed),
        }
        Ok(Expect::Operand)
    }

    fn compare(&mut self, comparison: Comparison) -> Expect {
        self.reduce(Precedence::BitOr);
        let mut last = None;
        if let Some(&Pending::Compare(before, chain)) = self.pending.last() {
            self.pending.pop();
            last = Some(self.emit(Op::Chain(before, chain.unwrap_or(OpIndex::MAX))));
        }
        self.push(Pending::Compare(comparison, last));
        Expect::Operand
    }

    fn comma(&mut self) -> Result<Expect, Malformed> {
        self.reduce(Precedence::Else);
        let index = self.emit(Op::Start);
        match self.pending.as_mut_slice() {
            [.., Pending::Group { start, commas, .. }] => {
                *start = index;
                *commas += 1;
            }
            [.., Pending::Call { start, arguments, any_named, named }] if *named || !*any_named => {
                *start = index;
                *arguments += 1;
                *named = false;
            }
            _ => return Err(Malformed),
        }
        Ok(Expect::Operand)
    }

    /// `name=`, where an argument starts.
    fn name_argument(&mut self) -> Result<Expect, Malformed> {
        let [.., Op::Start, Op::Name(_) | Op::Function(_)] = self.code.as_slice() else {
            return Err(Malformed);
        };
        let [.., Pending::Call { start, any_named, named: named @ false, .. }] =
            self.pending.as_mut_slice()
        else {
            return Err(Malformed);
        };
        if *start as usize + 2 != self.code.len() {
            return Err(Malformed);
        }
        (*any_named, *named) = (true, true);
        self.code.pop();
        Ok(Expect::Operand)
    }

    /// A closing bracket, after an operand or where one could have been.
    fn close(&mut self, bracket: Bracket, after_operand: bool) -> Result<Expect, Malformed> {
        if after_operand {
            self.reduce(Precedence::Else);
        }
        let last = u32::from(after_operand);
        match (self.pending.pop(), bracket) {
            (
                Some(Pending::Group { commas, bracket: Some(Bracket::Round), .. }),
                Bracket::Round,
            ) => {
                if commas > 0 || !after_operand {
                    self.emit(Op::Tuple(commas + last));
                }
            }
            (Some(Pending::Group { bracket: Some(Bracket::Square), .. }), Bracket::Square) => {
                self.emit(Op::Unsupported);
            }
            (Some(Pending::Call { arguments, any_named, named, .. }), Bracket::Round) => {
                // After a name comes a value, and after a named argument no other.
                if named != (any_named && after_operand) {
                    return Err(Malformed);
                }
                let arguments = arguments + last;
                self.emit(if any_named { Op::CallNamed(arguments) } else { Op::Call(arguments) });
            }
            (Some(Pending::Subscript { .. }), Bracket::Square) if after_operand => {
                self.emit(Op::Subscript);
            }
            _ => return Err(Malformed),
        }
        Ok(Expect::Operator)
    }

    /// The end of the line, which must be the text's, after an operand or a comma.
    fn end(&mut self, token: Token, after_operand: bool) -> Result<Expect, Malformed> {
        if after_operand {
            self.reduce(Precedence::Else);
        }
        let Some(Pending::Group { commas, bracket: None, .. }) = self.pending.pop() else {
            return Err(Malformed);
        };
        if commas > 0 {
            self.emit(Op::Tuple(commas + u32::from(after_operand)));
        } else if !after_operand {
            return Err(Malformed);
        }
        match token {
            Token::LineEnd if self.lexer.next() != Token::End => Err(Malformed),
            _ => Ok(Expect::Nothing),
        }
    }

    fn emit(&mut self, op: Op) -> OpIndex {
        let index = self.here();
        self.code.push(op);
        index
    }

    fn here(&self) -> OpIndex {
        OpIndex::try_from(self.code.len()).expect("a text has far fewer than 2^32 bytes")
    }

    fn patch(&mut self, index: OpIndex, op: Op) {
        if let Some(earlier) = self.code.as_mut_slice().get_mut(index as usize) {
            *earlier = op;
        }
    }

    fn push(&mut self, pending: Pending) {
        self.pending.push(pending);
        self.is_too_deep |= self.pending.len() - self.lexer.depth() > NESTING;
    }

    /// Waits for what has an expression of its own inside.
    fn push_from(&mut self, pending: impl FnOnce(OpIndex) -> Pending) {
        let start = self.emit(Op::Start);
        self.push(pending(start));
    }

    /// Completes what binds at least as tightly as `precedence`.
    fn reduce(&mut self, precedence: Precedence) {
        while let Some(&top) = self.pending.last()
            && top.precedence() >= precedence
        {
            self.pending.pop();
            match top {
                Pending::Unary(operator) => self.code.push(Op::Unary(operator)),
                Pending::Binary(operator) => self.code.push(Op::Binary(operator)),
                Pending::Not => self.code.push(Op::Not),
                Pending::Or(index) => self.patch(index, Op::Or(self.here())),
                Pending::And(index) => self.patch(index, Op::And(self.here())),
                Pending::Else { exit, .. } => self.patch(exit, Op::Jump(self.here())),
                Pending::Compare(last, chain) => self.end_chain(last, chain),
                Pending::Group { .. }
                | Pending::Call { .. }
                | Pending::Subscript { .. }
                | Pending::Condition { .. } => {}
            }
        }
    }

    /// The last comparison of a chain: the others, each of which knows the one before it, jump to
    /// its end.
    fn end_chain(&mut self, last: Comparison, mut chain: Option<OpIndex>) {
        self.emit(Op::Compare(last));
        let end = self.here();
        while let Some(index) = chain
            && let Some(op) = self.code.as_mut_slice().get_mut(index as usize)
            && let Op::Chain(_, link) = op
        {
            chain = (*link != OpIndex::MAX).then_some(*link);
            *link = end;
        }
    }
}
