//! What has names of its own in it: comprehensions and lambdas; and slices, which have colons too.

use super::super::token::Bracket;
use super::{Found, Keyword, Read, Reader, Shape, Stop, Symbol, Token};

const OPEN_ROUND: Symbol = Symbol::Open(Bracket::Round);
const CLOSE_ROUND: Symbol = Symbol::Close(Bracket::Round);
impl Reader<'_> {
    /// What stands in the brackets of a subscript; the end of it.
    pub(super) fn slices(&mut self, at: usize) -> Result<Option<usize>, Stop> {
        let Some(mut end) = self.slice(at)? else { return Ok(None) };
        while self.is(end, Symbol::Comma)? {
            match self.slice(end + 1)? {
                Some(next) => end = next,
                None => return Ok(Some(end + 1)),
            }
        }
        Ok(Some(end))
    }

    fn slice(&mut self, at: usize) -> Result<Option<usize>, Stop> {
        let mut end = self.expression(at)?.map_or(at, |first| first.end);
        if !self.is(end, Symbol::Colon)? {
            let starred = self.is(at, Symbol::Star)?;
            let read = if starred { self.expression(at + 1)? } else { self.named(at)? };
            return Ok(read.map(|read| read.end));
        }
        for _ in 0..2 {
            if self.is(end, Symbol::Colon)? {
                end = self.expression(end + 1)?.map_or(end + 1, |part| part.end);
            }
        }
        Ok(Some(end))
    }

    /// `for x in y if z`, once or more; the end of it.
    pub(super) fn clauses(&mut self, at: usize) -> Result<Option<usize>, Stop> {
        let mut end = None;
        while let Some(next) = self.clause(end.unwrap_or(at))? {
            end = Some(next);
        }
        Ok(end)
    }

    fn clause(&mut self, at: usize) -> Result<Option<usize>, Stop> {
        let at = at + usize::from(self.is_word(at, Keyword::Async)?);
        if !self.is_word(at, Keyword::For)? {
            return Ok(None);
        }
        let Some(end) = self.targets(at + 1)? else {
            if self.suspicious {
                self.wrong_target(at + 1)?;
            }
            return Ok(None);
        };
        let Some(of) = self.disjunction(end + 1)? else { return Ok(None) };
        let mut end = of.end;
        while self.is_word(end, Keyword::If)?
            && let Some(condition) = self.disjunction(end + 1)?
        {
            end = condition.end;
        }
        Ok(Some(end))
    }

    /// The names of a comprehension; the place of the `in` behind them.
    fn targets(&mut self, at: usize) -> Result<Option<usize>, Stop> {
        let mut end = at;
        loop {
            let star = usize::from(self.is(end, Symbol::Star)?);
            let Some(target) = self.primary(end + star)? else { break };
            if !target.shape.is_target() {
                return Ok(None);
            }
            end = target.end;
            if !self.is(end, Symbol::Comma)? {
                break;
            }
            end += 1;
        }
        Ok((end > at && self.is_word(end, Keyword::In)?).then_some(end))
    }

    /// What stands where names should, up to an `in` that was taken for an operator.
    fn wrong_target(&mut self, at: usize) -> Result<(), Stop> {
        if self.star_expressions(at)?.is_none() {
            return Ok(());
        }
        let mut next = at;
        loop {
            next += usize::from(self.is(next, Symbol::Star)?);
            let Some(mut target) = self.expression(next)? else { return Ok(()) };
            let end = target.end;
            if target.shape == Shape::Comparison {
                let Some(left) = self.bit_or(next)? else { return Ok(()) };
                if !self.is_word(left.end, Keyword::In)? {
                    return Ok(());
                }
                target = left;
            }
            if !target.shape.is_target() {
                return Err(self.mistake(next, format!("cannot assign to {}", target.shape.name())));
            }
            if !self.is(end, Symbol::Comma)? {
                return Ok(());
            }
            next = end + 1;
        }
    }

    /// `lambda x, y=1: x`
    pub(super) fn lambda(&mut self, at: usize) -> Found {
        if !self.is_word(at, Keyword::Lambda)? {
            return Ok(None);
        }
        let mut end = at + 1;
        loop {
            match self.token(end)? {
                Token::Symbol(Symbol::Star | Symbol::DoubleStar)
                    if self.name(end + 1)?.is_some() =>
                {
                    end += 2;
                }
                Token::Name(_) if self.is(end + 1, Symbol::Equal)? => {
                    let Some(default) = self.expression(end + 2)? else { return Ok(None) };
                    end = default.end;
                }
                Token::Name(_) | Token::Symbol(Symbol::Star | Symbol::Slash) => end += 1,
                Token::Symbol(OPEN_ROUND) if self.suspicious => {
                    self.parameters_in_brackets(end)?;
                    break;
                }
                _ => break,
            }
            if !self.is(end, Symbol::Comma)? {
                break;
            }
            end += 1;
        }
        if !self.is(end, Symbol::Colon)? {
            return Ok(None);
        }
        Ok(self.expression(end + 1)?.map(|body| Read::new(body.end, Shape::Lambda)))
    }

    fn parameters_in_brackets(&mut self, at: usize) -> Result<(), Stop> {
        let mut end = at + 1;
        while self.name(end)?.is_some() {
            end += 1;
            if !self.is(end, Symbol::Comma)? {
                break;
            }
            end += 1;
        }
        if end > at + 1 && self.is(end, CLOSE_ROUND)? {
            let words = "Lambda expression parameters cannot be parenthesized";
            return Err(self.mistake(at, words));
        }
        Ok(())
    }
}
