//! Operands: names and literals, and what stands in brackets.

use super::super::token::Bracket;
use super::{Found, Keyword, Read, Reader, Rule, Shape, Stop, Symbol, Token};

const OPEN_ROUND: Symbol = Symbol::Open(Bracket::Round);
const CLOSE_ROUND: Symbol = Symbol::Close(Bracket::Round);
const CLOSE_SQUARE: Symbol = Symbol::Close(Bracket::Square);
const CLOSE_CURLY: Symbol = Symbol::Close(Bracket::Curly);

/// Guesses about what is missing around the first part of a comprehension.
const NO_PARENTHESES: &str = "did you forget parentheses around the comprehension target?";

impl Reader<'_> {
    /// An operand with the calls, subscripts and attributes behind it.
    pub(super) fn primary(&mut self, at: usize) -> Found {
        self.once(Rule::Primary, at, |reader, at| {
            let Some(mut read) = reader.atom(at)? else { return Ok(None) };
            while let Some(longer) = reader.trailer(read.end)? {
                read = longer;
            }
            Ok(Some(read))
        })
    }

    fn trailer(&mut self, at: usize) -> Found {
        match self.token(at)? {
            Token::Symbol(Symbol::Dot) => {
                Ok(self.name(at + 1)?.map(|_| Read::new(at + 2, Shape::Attribute)))
            }
            Token::Symbol(OPEN_ROUND) => {
                if let Some(generator) = self.generator(at)? {
                    return Ok(Some(Read::new(generator.end, Shape::Call)));
                }
                let end = self.arguments(at + 1)?.map_or(at + 1, |arguments| arguments.end);
                Ok(self.is(end, CLOSE_ROUND)?.then(|| Read::new(end + 1, Shape::Call)))
            }
            Token::Symbol(Symbol::Open(bracket)) => {
                // Python takes any bracket here for a call's before it looks closer.
                self.wrong_comprehension(at, true)?;
                if bracket == Bracket::Square
                    && let Some(end) = self.slices(at + 1)?
                    && self.is(end, CLOSE_SQUARE)?
                {
                    return Ok(Some(Read::new(end + 1, Shape::Subscript)));
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    pub(super) fn atom(&mut self, at: usize) -> Found {
        let shape = match self.token(at)? {
            Token::Name(_) => Shape::Name,
            Token::Number(_) => Shape::Literal,
            Token::Keyword(Keyword::True) => Shape::True,
            Token::Keyword(Keyword::False) => Shape::False,
            Token::Keyword(Keyword::None) => Shape::None,
            Token::Symbol(Symbol::Ellipsis) => Shape::Ellipsis,
            Token::String => {
                let mut end = at + 1;
                while self.token(end)? == Token::String {
                    end += 1;
                }
                return Ok(Some(Read::new(end, Shape::Literal)));
            }
            Token::Symbol(OPEN_ROUND) => return self.round(at),
            Token::Symbol(Symbol::Open(Bracket::Square)) => return self.square(at),
            Token::Symbol(Symbol::Open(Bracket::Curly)) => return self.curly(at),
            _ => return Ok(None),
        };
        Ok(Some(Read::new(at + 1, shape)))
    }

    /// A tuple, a group or a generator.
    fn round(&mut self, at: usize) -> Found {
        if let Some(tuple) = self.tuple(at)? {
            return Ok(Some(tuple));
        }
        if let Some(group) = self.group(at)? {
            return Ok(Some(group));
        }
        self.generator(at)
    }

    fn tuple(&mut self, at: usize) -> Found {
        let mut end = at + 1;
        if let Some(first) = self.star_named(end)?
            && self.is(first.end, Symbol::Comma)?
        {
            end = first.end + 1;
            end = self.star_names(end)?.unwrap_or(end);
        }
        Ok(self.is(end, CLOSE_ROUND)?.then(|| Read::new(end + 1, Shape::Tuple)))
    }

    fn group(&mut self, at: usize) -> Found {
        let inner = if self.is_word(at + 1, Keyword::Yield)? {
            Some(self.yielded(at + 1)?)
        } else {
            self.named(at + 1)?
        };
        if let Some(inner) = inner
            && self.is(inner.end, CLOSE_ROUND)?
        {
            return Ok(Some(Read { end: inner.end + 1, ..inner }));
        }
        if self.suspicious {
            let double = self.is(at + 1, Symbol::DoubleStar)?;
            if (double || self.is(at + 1, Symbol::Star)?)
                && let Some(of) = self.expression(at + 2)?
                && self.is(of.end, CLOSE_ROUND)?
            {
                let stars = if double { "double starred" } else { "starred" };
                return Err(self.mistake(at + 1, format!("cannot use {stars} expression here")));
            }
        }
        Ok(None)
    }

    fn yielded(&mut self, at: usize) -> Result<Read, Stop> {
        self.suspends = self.suspends.or(Some("yield"));
        let of = if self.is_word(at + 1, Keyword::From)? {
            self.expression(at + 2)?
        } else {
            self.star_expressions(at + 1)?
        };
        Ok(Read::new(of.map_or(at + 1, |of| of.end), Shape::Yield))
    }

    /// `(x for x in y)`
    fn generator(&mut self, at: usize) -> Found {
        let first = match self.assignment(at + 1)? {
            Some(first) => Some(first),
            None => self.expression_alone(at + 1)?,
        };
        if let Some(first) = first
            && let Some(end) = self.clauses(first.end)?
            && self.is(end, CLOSE_ROUND)?
        {
            return Ok(Some(Read::new(end + 1, Shape::Generator)));
        }
        self.wrong_comprehension(at, false)?;
        Ok(None)
    }

    /// A list or a list comprehension.
    fn square(&mut self, at: usize) -> Found {
        let end = self.star_names(at + 1)?.unwrap_or(at + 1);
        if self.is(end, CLOSE_SQUARE)? {
            return Ok(Some(Read::new(end + 1, Shape::List)));
        }
        if let Some(first) = self.named(at + 1)?
            && let Some(end) = self.clauses(first.end)?
            && self.is(end, CLOSE_SQUARE)?
        {
            return Ok(Some(Read::new(end + 1, Shape::ListComprehension)));
        }
        self.wrong_comprehension(at, true)?;
        Ok(None)
    }

    /// A dict, a set, or a comprehension of one of them.
    fn curly(&mut self, at: usize) -> Found {
        let end = self.pairs(at + 1)?.unwrap_or(at + 1);
        if self.is(end, CLOSE_CURLY)? {
            return Ok(Some(Read::new(end + 1, Shape::Dict)));
        }
        // Looked for in every look.
        self.wrong_pairs(at + 1)?;
        if let Some(end) = self.star_names(at + 1)?
            && self.is(end, CLOSE_CURLY)?
        {
            return Ok(Some(Read::new(end + 1, Shape::Set)));
        }
        if let Some(pair) = self.pair(at + 1)?
            && let Some(end) = self.clauses(pair)?
            && self.is(end, CLOSE_CURLY)?
        {
            return Ok(Some(Read::new(end + 1, Shape::DictComprehension)));
        }
        if self.suspicious
            && self.is(at + 1, Symbol::DoubleStar)?
            && let Some(of) = self.bit_or(at + 2)?
            && let Some(end) = self.clauses(of.end)?
            && self.is(end, CLOSE_CURLY)?
        {
            let words = "dict unpacking cannot be used in dict comprehension";
            return Err(self.mistake(at + 1, words));
        }
        if let Some(first) = self.named(at + 1)?
            && let Some(end) = self.clauses(first.end)?
            && self.is(end, CLOSE_CURLY)?
        {
            return Ok(Some(Read::new(end + 1, Shape::SetComprehension)));
        }
        self.wrong_comprehension(at, true)?;
        Ok(None)
    }

    fn wrong_comprehension(&mut self, at: usize, lists: bool) -> Result<(), Stop> {
        if !self.suspicious {
            return Ok(());
        }
        if self.is(at + 1, Symbol::Star)?
            && let Some(starred) = self.expression(at + 2)?
            && self.clauses(starred.end)?.is_some()
        {
            let words = "iterable unpacking cannot be used in comprehension";
            return Err(self.mistake(at + 1, words));
        }
        if lists
            && let Some(first) = self.star_named(at + 1)?
            && self.is(first.end, Symbol::Comma)?
        {
            let others = self.star_names(first.end + 1)?;
            for end in others.into_iter().chain([first.end + 1]) {
                if self.clauses(end)?.is_some() {
                    return Err(self.mistake(at + 1, NO_PARENTHESES));
                }
            }
        }
        Ok(())
    }

    /// `key: value` and `**more`, with commas; the end of it.
    fn pairs(&mut self, at: usize) -> Result<Option<usize>, Stop> {
        let Some(mut end) = self.pair_or_more(at)? else { return Ok(None) };
        while self.is(end, Symbol::Comma)? {
            match self.pair_or_more(end + 1)? {
                Some(next) => end = next,
                None => return Ok(Some(end + 1)),
            }
        }
        Ok(Some(end))
    }

    fn pair_or_more(&mut self, at: usize) -> Result<Option<usize>, Stop> {
        if self.is(at, Symbol::DoubleStar)? {
            return Ok(self.bit_or(at + 1)?.map(|of| of.end));
        }
        self.pair(at)
    }

    fn pair(&mut self, at: usize) -> Result<Option<usize>, Stop> {
        let Some(key) = self.expression(at)? else { return Ok(None) };
        if !self.is(key.end, Symbol::Colon)? {
            return Ok(None);
        }
        Ok(self.expression(key.end + 1)?.map(|value| value.end))
    }

    fn wrong_pairs(&mut self, at: usize) -> Result<(), Stop> {
        let mut start = at;
        // The last complete pair that a comma follows.
        let mut end = self.pair_or_more(at)?;
        while let Some(comma) = end
            && self.is(comma, Symbol::Comma)?
        {
            start = comma + 1;
            end = self.pair_or_more(start)?;
        }
        let Some(key) = self.expression(start)? else { return Ok(()) };
        if !self.is(key.end, Symbol::Colon)? {
            if start > at {
                return Err(self.mistake(key.end - 1, "':' expected after dictionary key"));
            }
            return Ok(());
        }
        if self.is(key.end + 1, Symbol::Star)? && self.bit_or(key.end + 2)?.is_some() {
            let words = "cannot use a starred expression in a dictionary value";
            return Err(self.mistake(key.end + 1, words));
        }
        if self.is(key.end + 1, CLOSE_CURLY)? || self.is(key.end + 1, Symbol::Comma)? {
            let words = "expression expected after dictionary key and ':'";
            return Err(self.mistake(key.end, words));
        }
        Ok(())
    }
}
