//! From tokens to steps, by operator precedence.
//!
//! Operators that still wait for their right side, and brackets that still wait to be closed, stand
//! on a stack of our own rather than on the thread's, so that no text can exhaust it. An arriving
//! operator first completes those on top that bind at least as tightly as itself.
//!
//! A text that does not fit is given up at once: `diagnosis` finds out what is wrong with it.

use super::Dialect;
use super::code::{Binary, Code, Comparison, Place, Step, Unary};
use super::level::{self, Level};
use super::lexis::Lexis;
use super::limits::NESTING;
use super::literal::Literal;
use super::pending::Pending;
use super::pile::Pile;
use super::token::{Bracket, Keyword, Symbol, Token};
use super::words;

/// The text is not of this grammar.
#[derive(Debug)]
pub(super) struct Malformed;

/// What is read next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Operand,
    Operator,
    Nothing,
}

/// Adds the steps of a whole text to `code`; returns whether more than [`NESTING`] operators waited
/// at one time in it.
pub(super) fn parse(text: &[u8], dialect: Dialect, code: &mut Code) -> Result<bool, Malformed> {
    let lexis = Lexis::new(text);
    let mut parser = Parser { lexis, dialect, code, pending: Pile::new(), is_too_deep: false };
    parser.wait_for(|start| Pending::Group { start, commas: 0, bracket: None });
    let mut next = Next::Operand;
    while next != Next::Nothing {
        let token = parser.lexis.next();
        next = match next {
            Next::Operand => parser.operand(token)?,
            _ => parser.operator(token)?,
        };
    }
    Ok(parser.is_too_deep)
}

struct Parser<'t> {
    lexis: Lexis<'t>,
    dialect: Dialect,
    code: &'t mut Code,
    /// At the bottom the whole text, until it is complete.
    pending: Pile<Pending, 8>,
    is_too_deep: bool,
}

impl Parser<'_> {
    /// Where an operand should start.
    fn operand(&mut self, token: Token) -> Result<Next, Malformed> {
        self.code.push(match token {
            Token::Number(Literal::Int(value)) => Step::Int(value),
            Token::Number(Literal::Large(span)) => Step::Large(span),
            Token::Number(Literal::Float(value)) => Step::Float(value),
            Token::Number(Literal::Imaginary(value)) => Step::Imaginary(value),
            Token::Name(span) => words::meaning(span, self.lexis.text),
            Token::Text => Step::Unsupported,
            Token::Keyword(Keyword::True) => Step::Bool(true),
            Token::Keyword(Keyword::False) => Step::Bool(false),
            Token::Keyword(Keyword::None) => Step::None,
            Token::Symbol(Symbol::Ellipsis) => Step::Ellipsis,
            Token::Keyword(Keyword::Not) => return self.not(),
            Token::Symbol(symbol) => return self.before_operand(symbol),
            Token::LineEnd | Token::End => return self.end(token, false),
            Token::Keyword(_) | Token::Indent | Token::Mistake(_) => return Err(Malformed),
        });
        Ok(Next::Operator)
    }

    /// `not x`, where nothing binds tighter; or the second word of `is not`.
    fn not(&mut self) -> Result<Next, Malformed> {
        match self.pending.as_mut_slice() {
            [.., Pending::Compare(is @ Comparison::Is, _)] => *is = Comparison::IsNot,
            [.., top] if top.level() <= Level::Not => self.wait(Pending::Not),
            _ => return Err(Malformed),
        }
        Ok(Next::Operand)
    }

    fn before_operand(&mut self, symbol: Symbol) -> Result<Next, Malformed> {
        match symbol {
            Symbol::Plus => self.wait(Pending::Unary(Unary::Plus)),
            Symbol::Minus => self.wait(Pending::Unary(Unary::Minus)),
            Symbol::Tilde => self.wait(Pending::Unary(Unary::Invert)),
            Symbol::Open(bracket @ (Bracket::Round | Bracket::Square)) => {
                let bracket = Some(bracket);
                self.wait_for(|start| Pending::Group { start, commas: 0, bracket });
            }
            // Nothing in it, or nothing after its last comma.
            Symbol::Close(bracket) => return self.close(bracket, false),
            _ => return Err(Malformed),
        }
        Ok(Next::Operand)
    }

    /// Where an operand is complete.
    fn operator(&mut self, token: Token) -> Result<Next, Malformed> {
        match token {
            Token::Symbol(symbol) => {
                if let Some(operator) = level::binary(symbol, self.dialect) {
                    // The one operator that groups from the right.
                    if operator != Binary::Power {
                        self.complete(level::of(operator));
                    }
                    self.wait(Pending::Binary(operator));
                    return Ok(Next::Operand);
                }
                if let Some(comparison) = level::comparison(symbol) {
                    return Ok(self.compare(comparison));
                }
                self.mark(symbol)
            }
            Token::Keyword(keyword) => self.word(keyword),
            Token::LineEnd | Token::End => self.end(token, true),
            _ => Err(Malformed),
        }
    }

    fn mark(&mut self, symbol: Symbol) -> Result<Next, Malformed> {
        match symbol {
            Symbol::Comma => self.comma(),
            Symbol::Close(bracket) => self.close(bracket, true),
            Symbol::Open(Bracket::Round) => {
                let (arguments, any_named, named) = (0, false, false);
                self.wait_for(|start| Pending::Call { start, arguments, any_named, named });
                Ok(Next::Operand)
            }
            Symbol::Open(Bracket::Square) => {
                self.wait_for(|start| Pending::Subscript { start });
                Ok(Next::Operand)
            }
            Symbol::Dot if matches!(self.lexis.next(), Token::Name(_)) => {
                self.code.push(Step::Unsupported);
                Ok(Next::Operator)
            }
            Symbol::Equal => self.name_argument(),
            _ => Err(Malformed),
        }
    }

    fn word(&mut self, keyword: Keyword) -> Result<Next, Malformed> {
        match keyword {
            Keyword::Or => {
                self.complete(Level::Or);
                let place = self.emit(Step::Or(0));
                self.wait(Pending::Or(place));
            }
            Keyword::And => {
                self.complete(Level::And);
                let place = self.emit(Step::And(0));
                self.wait(Pending::And(place));
            }
            Keyword::In => return Ok(self.compare(Comparison::In)),
            Keyword::Is => return Ok(self.compare(Comparison::Is)),
            Keyword::Not if self.lexis.next() == Token::Keyword(Keyword::In) => {
                return Ok(self.compare(Comparison::NotIn));
            }
            Keyword::If => {
                self.complete(Level::Or);
                let start = self.pending.last().and_then(|top| top.start()).ok_or(Malformed)?;
                let exit = self.emit(Step::Jump(0));
                self.patch(start, Step::Jump(exit + 1));
                self.wait(Pending::Condition { start, exit });
            }
            Keyword::Else => {
                self.complete(Level::Or);
                let Some(Pending::Condition { start, exit }) = self.pending.pop() else {
                    return Err(Malformed);
                };
                self.emit(Step::Branch(start + 1));
                self.wait_for(|start| Pending::Otherwise { start, exit });
            }
            _ => return Err(Malformed),
        }
        Ok(Next::Operand)
    }

    fn compare(&mut self, comparison: Comparison) -> Next {
        self.complete(Level::BitOr);
        let mut last = None;
        if let Some(&Pending::Compare(before, chain)) = self.pending.last() {
            self.pending.pop();
            last = Some(self.emit(Step::Chain(before, chain.unwrap_or(Place::MAX))));
        }
        self.wait(Pending::Compare(comparison, last));
        Next::Operand
    }

    fn comma(&mut self) -> Result<Next, Malformed> {
        self.complete(Level::Otherwise);
        let place = self.emit(Step::Start);
        match self.pending.as_mut_slice() {
            [.., Pending::Group { start, commas, .. }] => {
                *start = place;
                *commas += 1;
            }
            [.., Pending::Call { start, arguments, any_named, named }] if *named || !*any_named => {
                *start = place;
                *arguments += 1;
                *named = false;
            }
            _ => return Err(Malformed),
        }
        Ok(Next::Operand)
    }

    /// `name=`, where an argument starts.
    fn name_argument(&mut self) -> Result<Next, Malformed> {
        let [.., Step::Start, Step::Name(_) | Step::Function(_)] = self.code.as_slice() else {
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
        Ok(Next::Operand)
    }

    /// A closing bracket, after an operand or where one could have been.
    fn close(&mut self, bracket: Bracket, after_operand: bool) -> Result<Next, Malformed> {
        if after_operand {
            self.complete(Level::Otherwise);
        }
        let last = u32::from(after_operand);
        match (self.pending.pop(), bracket) {
            (
                Some(Pending::Group { commas, bracket: Some(Bracket::Round), .. }),
                Bracket::Round,
            ) => {
                if commas > 0 || !after_operand {
                    self.emit(Step::Tuple(commas + last));
                }
            }
            (Some(Pending::Group { bracket: Some(Bracket::Square), .. }), Bracket::Square) => {
                self.emit(Step::Unsupported);
            }
            (Some(Pending::Call { arguments, any_named, named, .. }), Bracket::Round) => {
                // After a name comes a value, and after a named argument no other.
                if named != (any_named && after_operand) {
                    return Err(Malformed);
                }
                let arguments = arguments + last;
                self.emit(if any_named {
                    Step::CallNamed(arguments)
                } else {
                    Step::Call(arguments)
                });
            }
            (Some(Pending::Subscript { .. }), Bracket::Square) if after_operand => {
                self.emit(Step::Subscript);
            }
            _ => return Err(Malformed),
        }
        Ok(Next::Operator)
    }

    /// The end of the line, which must be the text's, after an operand or a comma.
    fn end(&mut self, token: Token, after_operand: bool) -> Result<Next, Malformed> {
        if after_operand {
            self.complete(Level::Otherwise);
        }
        let Some(Pending::Group { commas, bracket: None, .. }) = self.pending.pop() else {
            return Err(Malformed);
        };
        if commas > 0 {
            self.emit(Step::Tuple(commas + u32::from(after_operand)));
        } else if !after_operand {
            return Err(Malformed);
        }
        match token {
            Token::LineEnd if self.lexis.next() != Token::End => Err(Malformed),
            _ => Ok(Next::Nothing),
        }
    }

    fn emit(&mut self, step: Step) -> Place {
        let place = self.here();
        self.code.push(step);
        place
    }

    fn here(&self) -> Place {
        Place::try_from(self.code.len()).expect("a text has far fewer than 2^32 bytes")
    }

    fn patch(&mut self, place: Place, step: Step) {
        if let Some(earlier) = self.code.as_mut_slice().get_mut(place as usize) {
            *earlier = step;
        }
    }

    fn wait(&mut self, pending: Pending) {
        self.pending.push(pending);
        self.is_too_deep |= self.pending.len() - self.lexis.depth() > NESTING;
    }

    /// Waits for what has an expression of its own inside.
    fn wait_for(&mut self, pending: impl FnOnce(Place) -> Pending) {
        let start = self.emit(Step::Start);
        self.wait(pending(start));
    }

    /// Completes what binds at least as tightly as `level`.
    fn complete(&mut self, level: Level) {
        while let Some(&top) = self.pending.last()
            && top.level() >= level
        {
            self.pending.pop();
            match top {
                Pending::Unary(operator) => self.code.push(Step::Unary(operator)),
                Pending::Binary(operator) => self.code.push(Step::Binary(operator)),
                Pending::Not => self.code.push(Step::Not),
                Pending::Or(place) => self.patch(place, Step::Or(self.here())),
                Pending::And(place) => self.patch(place, Step::And(self.here())),
                Pending::Otherwise { exit, .. } => self.patch(exit, Step::Jump(self.here())),
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
    fn end_chain(&mut self, last: Comparison, mut chain: Option<Place>) {
        self.emit(Step::Compare(last));
        let end = self.here();
        while let Some(place) = chain
            && let Some(step) = self.code.as_mut_slice().get_mut(place as usize)
            && let Step::Chain(_, link) = step
        {
            chain = (*link != Place::MAX).then_some(*link);
            *link = end;
        }
    }
}
