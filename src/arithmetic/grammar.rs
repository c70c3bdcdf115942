//! From tokens to steps, by operator precedence.
//!
//! Operators that still wait for their right side, and brackets that still wait to be closed, stand
//! on a stack of our own rather than on the thread's, so that no text can exhaust it. An arriving
//! operator first completes those on top that bind at least as tightly as itself.

use super::code::{Binary, Code, Step, Unary};
use super::error::{Class, Error};
use super::lexis::Lexis;
use super::limits::NESTING;
use super::literal::Literal;
use super::pile::Pile;
use super::token::{Bracket, Symbol, Token};

/// Why a text could not be turned into steps; which mistake it was is found out elsewhere.
#[derive(Debug)]
pub(super) enum Failure {
    /// Not in the language.
    Malformed,
    /// In the language, but not to be answered.
    Refused(Error),
}

impl From<Error> for Failure {
    fn from(_: Error) -> Self {
        Self::Malformed
    }
}

/// How tightly an operator binds, loosest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// A bracket, which only its partner completes.
    #[default]
    Bracket,
    Or,
    Xor,
    And,
    Shift,
    Sum,
    Product,
    Sign,
    Power,
}

/// What waits on the stack.
#[derive(Clone, Copy, Debug, Default)]
enum Pending {
    /// The whole text.
    #[default]
    Whole,
    Group,
    Unary(Unary),
    Binary(Binary),
}

impl Pending {
    fn level(self) -> Level {
        match self {
            Self::Whole | Self::Group => Level::Bracket,
            Self::Unary(_) => Level::Sign,
            Self::Binary(operator) => level(operator),
        }
    }
}

fn level(operator: Binary) -> Level {
    match operator {
        Binary::Or => Level::Or,
        Binary::Xor => Level::Xor,
        Binary::And => Level::And,
        Binary::ShiftLeft | Binary::ShiftRight => Level::Shift,
        Binary::Add | Binary::Subtract => Level::Sum,
        Binary::Multiply
        | Binary::Divide
        | Binary::FloorDivide
        | Binary::Remainder
        | Binary::MatrixMultiply => Level::Product,
        Binary::Power => Level::Power,
    }
}

fn binary(symbol: Symbol) -> Option<Binary> {
    Some(match symbol {
        Symbol::Bar => Binary::Or,
        Symbol::Caret => Binary::Xor,
        Symbol::Ampersand => Binary::And,
        Symbol::ShiftLeft => Binary::ShiftLeft,
        Symbol::ShiftRight => Binary::ShiftRight,
        Symbol::Plus => Binary::Add,
        Symbol::Minus => Binary::Subtract,
        Symbol::Star => Binary::Multiply,
        Symbol::Slash => Binary::Divide,
        Symbol::DoubleSlash => Binary::FloorDivide,
        Symbol::Percent => Binary::Remainder,
        Symbol::At => Binary::MatrixMultiply,
        Symbol::DoubleStar => Binary::Power,
        _ => return None,
    })
}

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Code, Failure> {
    let mut parser = Parser::new(text);
    loop {
        parser.operand()?;
        if parser.after_operand()? == After::Finished {
            break;
        }
    }
    if parser.is_too_deep {
        let words = "maximum recursion depth exceeded during compilation";
        return Err(Failure::Refused(Error::Fixed(Class::Recursion, words)));
    }
    Ok(parser.code)
}

/// What comes after an operand with everything that belongs to it.
#[derive(PartialEq, Eq)]
enum After {
    Operand,
    Finished,
}

struct Parser<'t> {
    lexis: Lexis<'t>,
    code: Code,
    /// Never empty: [`Pending::Whole`] is at the bottom.
    pending: Pile<Pending, 8>,
    /// More than [`NESTING`] operators waited at one time.
    is_too_deep: bool,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        let mut parser = Self {
            lexis: Lexis::new(text),
            code: Code::new(),
            pending: Pile::new(),
            is_too_deep: false,
        };
        parser.pending.push(Pending::Whole);
        parser
    }

    /// An operand with the signs and brackets before it.
    fn operand(&mut self) -> Result<(), Failure> {
        loop {
            let step = match self.lexis.next()? {
                Token::Number(Literal::Int(value)) => Step::Int(value),
                Token::Number(Literal::Large(span)) => Step::Large(span),
                Token::Number(Literal::Float(value)) => Step::Float(value),
                Token::Name(span) => Step::Name(span),
                Token::Symbol(symbol) => {
                    self.before_operand(symbol)?;
                    continue;
                }
                _ => return Err(Failure::Malformed),
            };
            self.code.push(step);
            return Ok(());
        }
    }

    fn before_operand(&mut self, symbol: Symbol) -> Result<(), Failure> {
        let pending = match symbol {
            Symbol::Plus => Pending::Unary(Unary::Plus),
            Symbol::Minus => Pending::Unary(Unary::Minus),
            Symbol::Tilde => Pending::Unary(Unary::Invert),
            Symbol::Open(Bracket::Round) => Pending::Group,
            _ => return Err(Failure::Malformed),
        };
        self.wait(pending);
        Ok(())
    }

    /// Brackets that close after an operand, then an operator or the end.
    fn after_operand(&mut self) -> Result<After, Failure> {
        loop {
            match self.lexis.next()? {
                Token::Symbol(Symbol::Close(Bracket::Round)) => self.close()?,
                Token::Symbol(symbol) => {
                    let operator = binary(symbol).ok_or(Failure::Malformed)?;
                    // The one operator that groups from the right.
                    if operator != Binary::Power {
                        self.complete(level(operator));
                    }
                    self.wait(Pending::Binary(operator));
                    return Ok(After::Operand);
                }
                Token::LineEnd if self.lexis.next()? != Token::End => {
                    return Err(Failure::Malformed);
                }
                Token::LineEnd | Token::End => {
                    self.complete(Level::Or);
                    return Ok(After::Finished);
                }
                _ => return Err(Failure::Malformed),
            }
        }
    }

    fn close(&mut self) -> Result<(), Failure> {
        self.complete(Level::Or);
        match self.pending.pop() {
            Some(Pending::Group) => Ok(()),
            _ => Err(Failure::Malformed),
        }
    }

    fn wait(&mut self, pending: Pending) {
        self.pending.push(pending);
        self.is_too_deep |= self.pending.len() - self.lexis.depth() > NESTING;
    }

    /// Completes what binds at least as tightly as `level`.
    fn complete(&mut self, level: Level) {
        while let Some(&top) = self.pending.last()
            && top.level() >= level
        {
            self.pending.pop();
            match top {
                Pending::Whole | Pending::Group => {}
                Pending::Unary(operator) => self.code.push(Step::Unary(operator)),
                Pending::Binary(operator) => self.code.push(Step::Binary(operator)),
            }
        }
    }
}
