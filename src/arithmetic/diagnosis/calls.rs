//! What has names in it: assignments inside expressions, arguments, comprehensions, lambdas.

use super::super::token::Bracket;
use super::{Found, Keyword, Read, Reader, Rule, Shape, Stop, Symbol, Token};

const CLOSE_ROUND: Symbol = Symbol::Close(Bracket::Round);

const MAYBE_EQUAL: &str = "invalid syntax. Maybe you meant '==' or ':=' instead of '='?";

impl Reader<'_> {
    /// An expression that may be given a name: `x := 1`.
    pub(super) fn named(&mut self, at: usize) -> Found {
        if let Some(assignment) = self.assignment(at)? {
            return Ok(Some(assignment));
        }
        if self.suspicious {
            self.once(Rule::Named, at, |reader, at| reader.wrong_assignment(at).map(|()| None))?;
        }
        self.expression_alone(at)
    }

    /// `x := 1`
    pub(super) fn assignment(&mut self, at: usize) -> Found {
        if self.name(at)?.is_none() || !self.is(at + 1, Symbol::Walrus)? {
            return Ok(None);
        }
        Ok(self.expression(at + 2)?.map(|value| Read::new(value.end, Shape::NamedExpression)))
    }

    /// An expression that no `:=` follows.
    pub(super) fn expression_alone(&mut self, at: usize) -> Found {
        match self.expression(at)? {
            Some(read) if !self.is(read.end, Symbol::Walrus)? => Ok(Some(read)),
            _ => Ok(None),
        }
    }

    fn wrong_assignment(&mut self, at: usize) -> Result<(), Stop> {
        if let Some(Read { end, shape }) = self.expression(at)?
            && self.is(end, Symbol::Walrus)?
            && self.expression(end + 1)?.is_some()
        {
            let words = format!("cannot use assignment expressions with {}", shape.name());
            return Err(self.mistake(at, words));
        }
        if self.name(at)?.is_some() && self.is(at + 1, Symbol::Equal)? && self.assigned(at + 2)? {
            return Err(self.mistake(at, MAYBE_EQUAL));
        }
        if let Some(primary) = self.primary_shape(at)?
            && primary.is_no_target()
        {
            return Ok(());
        }
        if let Some(Read { end, shape }) = self.bit_or(at)?
            && self.is(end, Symbol::Equal)?
            && self.assigned(end + 1)?
        {
            let words = format!(
                "cannot assign to {} here. Maybe you meant '==' instead of '='?",
                shape.name()
            );
            return Err(self.mistake(at, words));
        }
        Ok(())
    }

    /// A value that no further `=` follows.
    fn assigned(&mut self, at: usize) -> Result<bool, Stop> {
        let Some(value) = self.bit_or(at)? else { return Ok(false) };
        Ok(!self.is(value.end, Symbol::Equal)? && !self.is(value.end, Symbol::Walrus)?)
    }

    /// What the first operand is, without what is behind it.
    fn primary_shape(&mut self, at: usize) -> Result<Option<Shape>, Stop> {
        Ok(match self.token(at)? {
            Token::Symbol(Symbol::Open(Bracket::Round | Bracket::Square))
            | Token::Keyword(Keyword::True | Keyword::False | Keyword::None) => {
                self.atom(at)?.map(|atom| atom.shape)
            }
            _ => None,
        })
    }

    /// A named expression or `*items`.
    pub(super) fn star_named(&mut self, at: usize) -> Found {
        if self.is(at, Symbol::Star)?
            && let Some(of) = self.bit_or(at + 1)?
        {
            return Ok(Some(Read::new(of.end, Shape::Starred)));
        }
        self.named(at)
    }

    /// The same with commas; the end of it.
    pub(super) fn star_names(&mut self, at: usize) -> Result<Option<usize>, Stop> {
        let Some(first) = self.star_named(at)? else { return Ok(None) };
        let mut end = first.end;
        while self.is(end, Symbol::Comma)? {
            match self.star_named(end + 1)? {
                Some(next) => end = next.end,
                None => return Ok(Some(end + 1)),
            }
        }
        Ok(Some(end))
    }

    /// The arguments of a call, up to before the bracket that closes it.
    pub(super) fn arguments(&mut self, at: usize) -> Found {
        self.once(Rule::Arguments, at, |reader, at| {
            if let Some((mut end, _)) = reader.argument_list(at)? {
                end += usize::from(reader.is(end, Symbol::Comma)?);
                if reader.is(end, CLOSE_ROUND)? {
                    return Ok(Some(Read::new(end, Shape::Tuple)));
                }
            }
            if reader.suspicious {
                reader.wrong_arguments(at)?;
            }
            Ok(None)
        })
    }

    /// Arguments without the comma that may follow: their end, and what the last of them is.
    fn argument_list(&mut self, at: usize) -> Result<Option<(usize, Argument)>, Stop> {
        let mut found = None;
        let mut next = at;
        let mut phase = Argument::Positional;
        loop {
            let argument = match phase {
                Argument::Positional => match self.positional(next)? {
                    Some(end) => Some((end, Argument::Positional)),
                    None => self.keyword(next, Argument::Named)?,
                },
                _ => self.keyword(next, phase)?,
            };
            let Some((end, kind)) = argument else { return Ok(found) };
            phase = kind;
            found = Some((end, kind));
            if !self.is(end, Symbol::Comma)? {
                return Ok(found);
            }
            next = end + 1;
        }
    }

    fn positional(&mut self, at: usize) -> Result<Option<usize>, Stop> {
        if self.is(at, Symbol::Star)? {
            return Ok(self.expression(at + 1)?.map(|of| of.end));
        }
        let read = match self.assignment(at)? {
            Some(assignment) => Some(assignment),
            None => self.expression_alone(at)?,
        };
        match read {
            Some(read) if !self.is(read.end, Symbol::Equal)? => Ok(Some(read.end)),
            _ => Ok(None),
        }
    }

    /// `name=value`, `*items` before the first `**names`, or `**names`.
    fn keyword(&mut self, at: usize, phase: Argument) -> Result<Option<(usize, Argument)>, Stop> {
        if self.suspicious {
            self.wrong_keyword(at)?;
        }
        if self.name(at)?.is_some() && self.is(at + 1, Symbol::Equal)? {
            return Ok(self.expression(at + 2)?.map(|value| (value.end, phase)));
        }
        if self.is(at, Symbol::DoubleStar)? {
            let of = self.expression(at + 1)?;
            return Ok(of.map(|of| (of.end, Argument::Unpacked)));
        }
        if self.is(at, Symbol::Star)? && phase == Argument::Named {
            return Ok(self.expression(at + 1)?.map(|of| (of.end, phase)));
        }
        Ok(None)
    }

    fn wrong_keyword(&mut self, at: usize) -> Result<(), Stop> {
        if let Token::Keyword(Keyword::True | Keyword::False | Keyword::None) = self.token(at)?
            && self.is(at + 1, Symbol::Equal)?
            && let Some(shape) = self.primary_shape(at)?
        {
            return Err(self.mistake(at, format!("cannot assign to {}", shape.name())));
        }
        if self.name(at)?.is_some() && self.is(at + 1, Symbol::Equal)? {
            if let Some(value) = self.expression(at + 2)?
                && self.clauses(value.end)?.is_some()
            {
                return Err(self.mistake(at, MAYBE_EQUAL));
            }
            return Ok(());
        }
        if let Some(read) = self.expression(at)?
            && self.is(read.end, Symbol::Equal)?
        {
            let words = "expression cannot contain assignment, perhaps you meant \"==\"?";
            return Err(self.mistake(at, words));
        }
        Ok(())
    }

    fn wrong_arguments(&mut self, at: usize) -> Result<(), Stop> {
        const GENERATOR: &str = "Generator expression must be parenthesized";
        let arguments = self.argument_list(at)?;
        if let Some((end, _)) = arguments
            && self.is(end, Symbol::Comma)?
            && self.is(end + 1, Symbol::Star)?
        {
            let words = "iterable argument unpacking follows keyword argument unpacking";
            return Err(self.mistake(at, words));
        }
        if let Some(first) = self.expression(at)?
            && let Some(end) = self.clauses(first.end)?
            && self.is(end, Symbol::Comma)?
        {
            return Err(self.mistake(at, GENERATOR));
        }
        let Some((end, last)) = arguments else { return Ok(()) };
        if self.clauses(end)?.is_some() {
            return Err(self.mistake(at, GENERATOR));
        }
        if !self.is(end, Symbol::Comma)? {
            return Ok(());
        }
        if let Some(next) = self.expression(end + 1)?
            && self.clauses(next.end)?.is_some()
        {
            return Err(self.mistake(at, GENERATOR));
        }
        if self.argument_list(end + 1)?.is_some() {
            let words = match last {
                Argument::Unpacked => "positional argument follows keyword argument unpacking",
                _ => "positional argument follows keyword argument",
            };
            return Err(self.mistake(at, words));
        }
        Ok(())
    }
}

/// The kinds of arguments, in the order in which they come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Argument {
    Positional,
    Named,
    Unpacked,
}
