//! From tokens to bytecode, by operator precedence.
//!
//! A text is read once, from left to right, up to the first token that does not fit, from which
//! `syntax_error` makes the error. Pending operators and open brackets are kept on an explicit
//! stack, because no text may exhaust the thread's. A new operator first reduces those on top that
//! bind at least as tightly.

use super::bytecode::{Binary, Bytecode, Comparison, Op, OpIndex, Unary};
use super::dialect::Dialect;
use super::error::{Class, Error};
use super::identifier;
use super::inline_vec::InlineVec;
use super::lexer::Lexer;
use super::limits::NESTING;
use super::pending::{Enclosure, Pending};
use super::precedence::{self, Precedence};
use super::syntax_error;
use super::token::{Bracket, Keyword, Span, Symbol, Token};
use super::value::Function;
use crate::choice::Choice;

/// A token does not fit.
#[derive(Debug)]
struct Misfit;

/// The next thing to read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Operand,
    Operator,
    /// The attribute behind a point.
    Name,
    /// The second word of `not in`.
    In,
    /// The end of the text behind a line's end.
    End,
    Nothing,
}

/// Adds the ops of a whole text to `code`.
pub(super) fn parse(text: &[u8], dialect: Dialect, code: &mut Bytecode) -> Result<(), Error> {
    let lexer = Lexer::new(text);
    let mut parser = Parser { lexer, dialect, code, pending: InlineVec::new(), is_too_deep: false };
    parser.open(Enclosure::Text);
    let mut expect = Expect::Operand;
    while expect != Expect::Nothing {
        let token = parser.lexer.next();
        let Ok(next) = parser.read(token, expect) else {
            return Err(syntax_error::of(token, &parser.lexer, parser.pending.as_slice()));
        };
        expect = next;
    }
    if parser.is_too_deep {
        let message = "maximum recursion depth exceeded during compilation";
        return Err(Error::Fixed(Class::Recursion, message));
    }
    Ok(())
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    dialect: Dialect,
    code: &'t mut Bytecode,
    /// The whole text is at the bottom.
    pending: InlineVec<Pending, 8>,
    /// More than [`NESTING`] operators waited at one time.
    is_too_deep: bool,
}

impl Parser<'_> {
    /// Reads a token; returns what may follow it.
    #[inline]
    fn read(&mut self, token: Token, expect: Expect) -> Result<Expect, Misfit> {
        match (expect, token) {
            (Expect::Operand, _) => self.operand(token),
            (Expect::Operator, _) => self.operator(token),
            (Expect::Name, Token::Name(_)) => {
                self.code.push(Op::Unsupported);
                Ok(Expect::Operator)
            }
            (Expect::In, Token::Keyword(Keyword::In)) => Ok(self.compare(Comparison::NotIn)),
            (Expect::End, Token::End) => Ok(Expect::Nothing),
            _ => Err(Misfit),
        }
    }

    /// A token in the place of an operand.
    fn operand(&mut self, token: Token) -> Result<Expect, Misfit> {
        self.code.push(match token {
            Token::Number(literal) => Op::Number(literal),
            Token::Name(span) => self.name(span),
            Token::String => Op::Unsupported,
            Token::Keyword(Keyword::True) => Op::Bool(true),
            Token::Keyword(Keyword::False) => Op::Bool(false),
            Token::Keyword(Keyword::None) => Op::None,
            Token::Symbol(Symbol::Ellipsis) => Op::Ellipsis,
            Token::Keyword(Keyword::Not) => return self.not(),
            Token::Symbol(symbol) => return self.before_operand(symbol),
            Token::LineEnd | Token::End => return self.end(token, false),
            Token::Keyword(_) | Token::Indent | Token::Error(_) => return Err(Misfit),
        });
        Ok(Expect::Operator)
    }

    /// A name, and what it means.
    fn name(&self, name: Span) -> Op {
        let spelling = identifier::spelling(name.of(self.lexer.cursor().text));
        Function::named(&spelling).map_or(Op::Name(name), Op::Function)
    }

    /// `not x`, unless the operator before it binds tighter; or the second word of `is not`.
    fn not(&mut self) -> Result<Expect, Misfit> {
        match self.pending.as_mut_slice() {
            [.., Pending::Compare(is @ Comparison::Is, _)] => *is = Comparison::IsNot,
            [.., top] if top.precedence() <= Precedence::Not => self.push(Pending::Not),
            _ => return Err(Misfit),
        }
        Ok(Expect::Operand)
    }

    fn before_operand(&mut self, symbol: Symbol) -> Result<Expect, Misfit> {
        match symbol {
            Symbol::Plus => self.push(Pending::Unary(Unary::Plus)),
            Symbol::Minus => self.push(Pending::Unary(Unary::Minus)),
            Symbol::Tilde => self.push(Pending::Unary(Unary::Invert)),
            Symbol::Open(Bracket::Round) => self.open(Enclosure::Group),
            Symbol::Open(Bracket::Square) => self.open(Enclosure::List),
            // Empty brackets, or a comma before the closing one.
            Symbol::Close(bracket) => return self.close(bracket, false),
            _ => return Err(Misfit),
        }
        Ok(Expect::Operand)
    }

    /// A token behind an operand.
    fn operator(&mut self, token: Token) -> Result<Expect, Misfit> {
        match token {
            Token::Symbol(symbol) => {
                if let Some(operator) = precedence::binary(symbol, self.dialect) {
                    // The only operator that is right-associative.
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
            _ => Err(Misfit),
        }
    }

    fn after_operand(&mut self, symbol: Symbol) -> Result<Expect, Misfit> {
        match symbol {
            Symbol::Comma => return self.comma(),
            Symbol::Close(bracket) => return self.close(bracket, true),
            Symbol::Equal => return self.name_argument(),
            Symbol::Dot => return Ok(Expect::Name),
            Symbol::Open(Bracket::Round) => {
                self.open(Enclosure::Call { any_named: false, named: false });
            }
            Symbol::Open(Bracket::Square) => self.open(Enclosure::Subscript),
            _ => return Err(Misfit),
        }
        Ok(Expect::Operand)
    }

    fn keyword(&mut self, keyword: Keyword) -> Result<Expect, Misfit> {
        match keyword {
            Keyword::Or => {
                self.reduce(Precedence::Or);
                let index = self.code.emit(Op::Or(0));
                self.push(Pending::Or(index));
            }
            Keyword::And => {
                self.reduce(Precedence::And);
                let index = self.code.emit(Op::And(0));
                self.push(Pending::And(index));
            }
            Keyword::In => return Ok(self.compare(Comparison::In)),
            Keyword::Is => return Ok(self.compare(Comparison::Is)),
            Keyword::Not => return Ok(Expect::In),
            Keyword::If => {
                self.reduce(Precedence::Or);
                let start = self.pending.last().and_then(|top| top.start()).ok_or(Misfit)?;
                let exit = self.code.emit(Op::Jump(0));
                self.code.patch(start, Op::Jump(exit + 1));
                self.push(Pending::Condition { start, exit });
            }
            Keyword::Else => {
                self.reduce(Precedence::Or);
                let Some(Pending::Condition { start, exit }) = self.pending.pop() else {
                    return Err(Misfit);
                };
                self.code.push(Op::Branch(start + 1));
                let start = self.code.emit(Op::Start);
                self.push(Pending::Else { start, exit });
            }
            _ => return Err(Misfit),
        }
        Ok(Expect::Operand)
    }

    fn compare(&mut self, comparison: Comparison) -> Expect {
        self.reduce(Precedence::BitOr);
        let mut last = None;
        if let Some(&Pending::Compare(before, chain)) = self.pending.last() {
            self.pending.pop();
            last = Some(self.code.emit(Op::Chain(before, chain.unwrap_or(OpIndex::MAX))));
        }
        self.push(Pending::Compare(comparison, last));
        Expect::Operand
    }

    fn comma(&mut self) -> Result<Expect, Misfit> {
        self.reduce(Precedence::Else);
        let index = self.code.emit(Op::Start);
        let [.., Pending::Open { enclosure, start, commas, .. }] = self.pending.as_mut_slice()
        else {
            return Err(Misfit);
        };
        if let Enclosure::Call { any_named, named } = enclosure {
            // A positional argument may not follow a named one.
            if *any_named && !*named {
                return Err(Misfit);
            }
            *named = false;
        }
        *start = index;
        *commas += 1;
        Ok(Expect::Operand)
    }

    /// The `=` of `name=value`: the name must be all of the argument so far.
    fn name_argument(&mut self) -> Result<Expect, Misfit> {
        let [.., Op::Start, Op::Name(_) | Op::Function(_)] = self.code.ops() else {
            return Err(Misfit);
        };
        let next = self.code.here();
        let [.., Pending::Open { enclosure, start, .. }] = self.pending.as_mut_slice() else {
            return Err(Misfit);
        };
        if *start + 2 != next || !matches!(enclosure, Enclosure::Call { named: false, .. }) {
            return Err(Misfit);
        }
        *enclosure = Enclosure::Call { any_named: true, named: true };
        self.code.retract();
        Ok(Expect::Operand)
    }

    /// A closing bracket, behind an operand or in the place of one.
    fn close(&mut self, bracket: Bracket, after_operand: bool) -> Result<Expect, Misfit> {
        if after_operand {
            self.reduce(Precedence::Else);
        }
        let Some(Pending::Open { enclosure, commas, .. }) = self.pending.pop() else {
            return Err(Misfit);
        };
        if enclosure.bracket() != Some(bracket) {
            return Err(Misfit);
        }
        let items = commas + u32::from(after_operand);
        match enclosure {
            Enclosure::Group if commas == 0 && after_operand => {}
            Enclosure::Group => self.code.push(Op::Tuple(items)),
            // A name needs a value, and a positional argument may not follow a named one.
            Enclosure::Call { any_named, named } if named != (any_named && after_operand) => {
                return Err(Misfit);
            }
            Enclosure::Call { any_named: false, .. } => self.code.push(Op::Call(items)),
            Enclosure::Call { any_named: true, .. } => self.code.push(Op::CallNamed(items)),
            Enclosure::Subscript if items == 0 => return Err(Misfit),
            Enclosure::Subscript => {
                if commas > 0 {
                    self.code.push(Op::Tuple(items));
                }
                self.code.push(Op::Subscript);
            }
            Enclosure::List | Enclosure::Text => self.code.push(Op::Unsupported),
        }
        Ok(Expect::Operator)
    }

    /// The end of the line, which must be the end of the text, behind an operand or a comma.
    fn end(&mut self, token: Token, after_operand: bool) -> Result<Expect, Misfit> {
        if after_operand {
            self.reduce(Precedence::Else);
        }
        let [Pending::Open { enclosure: Enclosure::Text, commas, .. }] = *self.pending.as_slice()
        else {
            return Err(Misfit);
        };
        if commas > 0 {
            self.code.push(Op::Tuple(commas + u32::from(after_operand)));
        } else if !after_operand {
            return Err(Misfit);
        }
        Ok(if token == Token::LineEnd { Expect::End } else { Expect::Nothing })
    }

    #[inline]
    fn push(&mut self, pending: Pending) {
        self.pending.push(pending);
        self.is_too_deep |= self.pending.len() - self.lexer.depth() > NESTING;
    }

    #[inline]
    fn open(&mut self, enclosure: Enclosure) {
        let start = self.code.emit(Op::Start);
        self.push(Pending::Open {
            enclosure,
            start,
            commas: 0,
            at: self.lexer.cursor().span().start,
        });
    }

    /// Emits the operators on top that bind at least as tightly as `precedence`.
    fn reduce(&mut self, precedence: Precedence) {
        while let Some(&top) = self.pending.last()
            && top.precedence() >= precedence
        {
            self.pending.pop();
            match top {
                Pending::Unary(operator) => self.code.push(Op::Unary(operator)),
                Pending::Binary(operator) => self.code.push(Op::Binary(operator)),
                Pending::Not => self.code.push(Op::Not),
                Pending::Or(index) => self.code.patch(index, Op::Or(self.code.here())),
                Pending::And(index) => self.code.patch(index, Op::And(self.code.here())),
                Pending::Else { exit, .. } => self.code.patch(exit, Op::Jump(self.code.here())),
                Pending::Compare(last, chain) => self.code.end_chain(last, chain),
                Pending::Open { .. } | Pending::Condition { .. } => {}
            }
        }
    }
}
