//! Expressions, from conditions down to single operands.

use super::super::Dialect;
use super::super::precedence;
use super::super::token::Bracket;
use super::{Found, Keyword, Read, Reader, Rule, Shape, Stop, Symbol, Token};

/// Names that are keywords in some places, which makes guesses about them idle. Python takes their
/// beginnings for them, too.
const SOFT_KEYWORDS: [&str; 3] = ["_", "case", "match"];

/// Statements that became functions.
const FORMER_STATEMENTS: [&str; 2] = ["exec", "print"];

impl Reader<'_> {
    /// One or more expressions with commas; the end of it.
    pub(super) fn expressions(&mut self, at: usize) -> Result<Option<usize>, Stop> {
        let Some(first) = self.expression(at)? else { return Ok(None) };
        let mut end = first.end;
        while self.is(end, Symbol::Comma)? {
            match self.expression(end + 1)? {
                Some(next) => end = next.end,
                None => return Ok(Some(end + 1)),
            }
        }
        Ok(Some(end))
    }

    /// The same with stars before any of them.
    pub(super) fn star_expressions(&mut self, at: usize) -> Found {
        let Some(first) = self.star_expression(at)? else { return Ok(None) };
        let mut read = first;
        while self.is(read.end, Symbol::Comma)? {
            let comma = read.end;
            match self.star_expression(comma + 1)? {
                Some(next) => read = Read::new(next.end, Shape::Tuple),
                None => return Ok(Some(Read::new(comma + 1, Shape::Tuple))),
            }
        }
        Ok(Some(read))
    }

    fn star_expression(&mut self, at: usize) -> Found {
        if self.is(at, Symbol::Star)?
            && let Some(of) = self.bit_or(at + 1)?
        {
            return Ok(Some(Read::new(of.end, Shape::Starred)));
        }
        self.expression(at)
    }

    /// A condition, an operation, or a lambda.
    pub(super) fn expression(&mut self, at: usize) -> Found {
        self.once(Rule::Expression, at, |reader, at| {
            if reader.suspicious {
                reader.two_operands(at)?;
                reader.former_statement(at)?;
            }
            reader.condition(at)
        })
    }

    fn condition(&mut self, at: usize) -> Found {
        let Some(first) = self.disjunction(at)? else { return self.lambda(at) };
        if self.is_word(first.end, Keyword::If)?
            && let Some(condition) = self.disjunction(first.end + 1)?
            && self.is_word(condition.end, Keyword::Else)?
            && let Some(other) = self.expression(condition.end + 1)?
        {
            return Ok(Some(Read::new(other.end, Shape::Conditional)));
        }
        Ok(Some(first))
    }

    /// Two expressions side by side, or an `if` that has no `else`.
    fn two_operands(&mut self, at: usize) -> Result<(), Stop> {
        let name = self.name(at)?;
        let is_name_and_text = name.is_some() && self.token(at + 1)? == Token::String;
        let is_soft =
            name.is_some_and(|name| SOFT_KEYWORDS.iter().any(|keyword| keyword.starts_with(name)));
        let first = self.disjunction(at)?;
        let Some(first) = first else { return Ok(()) };
        if !is_name_and_text && !is_soft {
            let suspicious = core::mem::replace(&mut self.suspicious, false);
            let second = self.condition(first.end);
            self.suspicious = suspicious;
            if let Some(second) = second? {
                let former = first.end == at + 1
                    && name.is_some_and(|name| FORMER_STATEMENTS.contains(&name));
                let in_bracket = self.tokens.get(second.end - 1).is_some_and(|last| last.depth > 0);
                if in_bracket && !former {
                    return Err(self.mistake(at, "invalid syntax. Perhaps you forgot a comma?"));
                }
                return Ok(());
            }
        }
        if self.is_word(first.end, Keyword::If)?
            && let Some(condition) = self.disjunction(first.end + 1)?
            && !self.is_word(condition.end, Keyword::Else)?
            && !self.is(condition.end, Symbol::Colon)?
        {
            return Err(self.mistake(at, "expected 'else' after 'if' expression"));
        }
        Ok(())
    }

    /// `print 1`
    fn former_statement(&mut self, at: usize) -> Result<(), Stop> {
        let Some(name) = self.name(at)? else { return Ok(()) };
        if self.is(at + 1, Symbol::Open(Bracket::Round))? {
            return Ok(());
        }
        if self.star_expressions(at + 1)?.is_some() && FORMER_STATEMENTS.contains(&name) {
            let words =
                format!("Missing parentheses in call to '{name}'. Did you mean {name}(...)?");
            return Err(self.mistake(at, words));
        }
        Ok(())
    }

    /// Operands with any operators between them.
    pub(super) fn disjunction(&mut self, at: usize) -> Found {
        self.once(Rule::Disjunction, at, |reader, at| reader.operation(at, true))
    }

    /// Operands with operators between them that calculate: not those that compare or decide.
    pub(super) fn bit_or(&mut self, at: usize) -> Found {
        self.once(Rule::BitOr, at, |reader, at| reader.operation(at, false))
    }

    /// As many operands as stand in a row with operators between them. An operator that leads to no
    /// further operand does not belong to it.
    fn operation(&mut self, at: usize, logical: bool) -> Found {
        let mut read = None;
        let mut loosest = Binds::Operand;
        let mut next = at;
        let mut operator = Binds::Operand;
        loop {
            // `not` may stand where nothing on its left binds tighter.
            let may_negate = logical && matches!(operator, Binds::Operand | Binds::Decision);
            while may_negate && self.is_word(next, Keyword::Not)? {
                operator = Binds::Decision;
                next += 1;
            }
            while let Token::Symbol(Symbol::Plus | Symbol::Minus | Symbol::Tilde) =
                self.token(next)?
            {
                operator = operator.max(Binds::Calculation);
                next += 1;
            }
            let Some(operand) = self.awaited(next)? else { return Ok(read) };
            loosest = loosest.max(operator);
            read = Some(Read {
                end: operand.end,
                shape: match loosest {
                    Binds::Operand => operand.shape,
                    Binds::Comparison => Shape::Comparison,
                    Binds::Calculation | Binds::Decision => Shape::Expression,
                },
            });
            let Some((words, binds)) = self.operator(operand.end, logical)? else {
                return Ok(read);
            };
            next = operand.end + words;
            operator = binds;
        }
    }

    /// The operator at a place: of how many tokens, and how it binds.
    fn operator(&mut self, at: usize, logical: bool) -> Result<Option<(usize, Binds)>, Stop> {
        Ok(match self.token(at)? {
            Token::Symbol(symbol) if precedence::binary(symbol, Dialect::Python).is_some() => {
                Some((1, Binds::Calculation))
            }
            _ if !logical => None,
            Token::Symbol(symbol) if precedence::comparison(symbol).is_some() => {
                Some((1, Binds::Comparison))
            }
            Token::Keyword(Keyword::And | Keyword::Or) => Some((1, Binds::Decision)),
            Token::Keyword(Keyword::In) => Some((1, Binds::Comparison)),
            Token::Keyword(Keyword::Is) => {
                let negated = self.is_word(at + 1, Keyword::Not)?;
                Some((1 + usize::from(negated), Binds::Comparison))
            }
            Token::Keyword(Keyword::Not) if self.is_word(at + 1, Keyword::In)? => {
                Some((2, Binds::Comparison))
            }
            _ => None,
        })
    }

    /// An operand, or the wait for one.
    fn awaited(&mut self, at: usize) -> Found {
        if !self.is_word(at, Keyword::Await)? {
            return self.primary(at);
        }
        let Some(of) = self.primary(at + 1)? else { return Ok(None) };
        self.suspends = self.suspends.or(Some("await"));
        Ok(Some(Read::new(of.end, Shape::Await)))
    }
}

/// What operators do with their operands, from the tightest to the loosest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binds {
    Operand,
    Calculation,
    Comparison,
    Decision,
}
