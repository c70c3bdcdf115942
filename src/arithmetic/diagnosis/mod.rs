//! Which mistake a text has that the grammar gave up on.
//!
//! Python looks twice at a text that it cannot read. The first look only finds how far it gets. The
//! second one knows, beside the rules of the language, some of the mistakes that people make, and
//! stops at the first of these that it meets; if there is none, the text is `invalid syntax`. A
//! mistake of the lexer anywhere, even behind, is told in preference.
//!
//! So that the words are the same, this chapter looks in the same way: by the rules of all of
//! Python's expressions, tried in Python's order, each as far as it goes. Nothing here is fast, but
//! what was found at a place is remembered, and nesting is followed to a limit only.

mod brackets;
mod calls;
mod comprehensions;
mod expressions;
mod lexical;
mod shape;

use std::collections::HashMap;
use std::thread::{self, ScopedJoinHandle};

use super::error::{Class, Error};
use super::lexer::Lexer;
use super::limits::{TEXT_BYTES, WORK};
use super::token::{Keyword, Symbol, Token};
use lexical::Opened;
use shape::Shape;

/// Rules in each other that are followed on the stack at hand, a handful for each pair of brackets.
/// Python's rules are recursive, and so is the reading here.
const NESTING: usize = 120;

/// The same on a stack of its own: all brackets that may be open, and more.
const DEEP_NESTING: usize = 1_500;

/// That stack, in bytes. A rule takes 300 of them, and 2,000 if it is not optimized.
const DEEP_STACK: usize = 4_000 * DEEP_NESTING;

/// What a byte of the text costs, in limb products: the slowest texts that are known take half a
/// microsecond for each.
pub(super) const BYTE: u64 = 512;

// Any text may be looked into.
const _: () = assert!(TEXT_BYTES as u64 * BYTE <= WORK);

/// The words for a text that has a mistake of its own in no respect.
const INVALID: &str = "invalid syntax";

/// What is wrong with a text that the grammar does not have.
pub(super) fn diagnose(text: &[u8]) -> Error {
    if let Some(error) = lexical::unreadable(text) {
        return error;
    }
    if text.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
        return Error::Syntax(INVALID.into(), 0);
    }
    let likeliest = match explain(text, NESTING) {
        Ok(error) => return error,
        Err(likeliest) => likeliest,
    };
    thread::scope(|scope| {
        let deeper = thread::Builder::new().stack_size(DEEP_STACK);
        match deeper.spawn_scoped(scope, || explain(text, DEEP_NESTING)).map(ScopedJoinHandle::join)
        {
            Ok(Ok(Ok(error) | Err(error))) => error,
            // The machine has no thread to spare.
            _ => likeliest,
        }
    })
}

/// What is wrong with a text, or what is likeliest if its rules are nested more deeply than that.
fn explain(text: &[u8], nesting: usize) -> Result<Error, Error> {
    let mut reader = Reader::new(text, nesting);
    let stop = match reader.look() {
        Ok(true) => return Ok(reader.outside()),
        Ok(false) => {
            let generic = reader.generic();
            match reader.look_again() {
                // Whatever is behind it.
                Ok(_) if generic.class() == Class::Indentation => return Ok(generic),
                Ok(_) => return Ok(reader.mistake_behind().unwrap_or(generic)),
                Err(stop) => stop,
            }
        }
        Err(stop) => stop,
    };
    match stop {
        Stop::Lexer(error) => Ok(*error),
        Stop::Mistake(error) if reader.has_seen_the_end() => Ok(*error),
        Stop::Mistake(error) => Ok(reader.mistake_behind().unwrap_or(*error)),
        Stop::TooDeep => Err(reader.unexplored()),
    }
}

/// Why a look ends before the text does. Boxed, because rules pass it up through many frames.
#[derive(Debug)]
enum Stop {
    /// A mistake of the lexer.
    Lexer(Box<Error>),
    /// A mistake that has its own words.
    Mistake(Box<Error>),
    TooDeep,
}

/// An expression that was read, up to before a token.
#[derive(Clone, Copy, Debug)]
struct Read {
    end: usize,
    shape: Shape,
}

impl Read {
    fn new(end: usize, shape: Shape) -> Self {
        Self { end, shape }
    }
}

/// What a rule comes to: an expression, or nothing at this place, or the end of the look.
type Found = Result<Option<Read>, Stop>;

/// The rules whose outcome is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Rule {
    Expression,
    Disjunction,
    BitOr,
    Primary,
    Arguments,
    Named,
}

/// Reads a text's tokens by Python's rules.
struct Reader<'t> {
    lexer: Lexer<'t>,
    /// The brackets that are open, outermost first.
    open: Vec<Opened>,
    /// A place in the text, and the line it is on.
    line_known_at: usize,
    line: u32,
    /// The tokens read so far; each with its line and the brackets open after it.
    tokens: Vec<Placed>,
    /// Whether mistakes are looked for.
    suspicious: bool,
    known: HashMap<(Rule, usize), Option<Read>>,
    /// Rules that are being followed, and how many may be.
    nesting: usize,
    most_nesting: usize,
    /// `yield` or `await` was read.
    suspends: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
struct Placed {
    token: Token,
    line: u32,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn new(text: &'t [u8], most_nesting: usize) -> Self {
        Self {
            lexer: Lexer::new(text),
            open: Vec::new(),
            line_known_at: 0,
            line: 1,
            tokens: Vec::new(),
            suspicious: false,
            known: HashMap::new(),
            nesting: 0,
            most_nesting,
            suspends: None,
        }
    }

    /// Whether the whole text is an expression.
    fn look(&mut self) -> Result<bool, Stop> {
        let Some(mut end) = self.expressions(0)? else { return Ok(false) };
        while self.token(end)? == Token::LineEnd {
            end += 1;
        }
        Ok(self.token(end)? == Token::End)
    }

    /// The second look, for mistakes.
    fn look_again(&mut self) -> Result<bool, Stop> {
        self.suspicious = true;
        self.known.clear();
        self.nesting = 0;
        self.look()
    }

    /// Whether the last token touches the text's end. Python had to look behind it, unless it is a
    /// string, whose end shows by itself.
    fn has_seen_the_end(&self) -> bool {
        let is_text = self.tokens.last().is_some_and(|last| last.token == Token::String);
        self.lexer.at == self.lexer.text.len() && !is_text
    }

    /// A mistake of the lexer in what was not read yet.
    fn mistake_behind(&mut self) -> Option<Error> {
        let last_line = self.tokens.last().map_or(1, |last| last.line);
        loop {
            match self.next() {
                Ok(Placed { token: Token::End, .. }) => break,
                Ok(_) => {}
                // Python gives up looking behind a backslash.
                Err(_) if self.lexer.text.get(self.lexer.start) == Some(&b'\\') => break,
                Err(error) => return Some(error),
            }
        }
        // An open bracket is the cause only of what is wrong on a later line.
        self.open.last().filter(|opened| opened.line < last_line)?;
        self.unclosed()
    }

    /// The likeliest mistake in brackets that are too deep to be looked into: that one was
    /// forgotten.
    fn unexplored(&mut self) -> Error {
        let generic = self.generic();
        self.mistake_behind().or_else(|| self.unclosed()).unwrap_or(generic)
    }

    /// A mistake without words of its own, at the last token that was read.
    fn generic(&self) -> Error {
        match self.tokens.last() {
            Some(&Placed { token: Token::Indent, line, .. }) => {
                let words = format!("unexpected indent (<string>, line {line})");
                Error::Formatted(Class::Indentation, words.into())
            }
            last => Error::Syntax(INVALID.into(), last.map_or(1, |last| last.line)),
        }
    }

    /// The text is Python, but more than arithmetic.
    fn outside(&self) -> Error {
        match self.suspends {
            Some(word) => Error::Syntax(format!("'{word}' outside function").into(), 1),
            None => Error::unsupported(),
        }
    }

    /// The token at a place in the text.
    fn token(&mut self, index: usize) -> Result<Token, Stop> {
        while self.tokens.len() <= index {
            let placed = self.next().map_err(|error| Stop::Lexer(error.into()))?;
            if placed.token == Token::End
                && let Some(error) = self.unclosed()
            {
                return Err(Stop::Lexer(error.into()));
            }
            self.tokens.push(placed);
        }
        Ok(self.tokens[index].token)
    }

    /// The next token, with its bracket paired.
    fn next(&mut self) -> Result<Placed, Error> {
        let token = self.lexer.next();
        let line = self.line(self.lexer.start);
        let words = match token {
            Token::Error(mistake) => Some(lexical::words(mistake, self.line(self.lexer.at))),
            Token::Symbol(Symbol::Open(bracket)) => {
                self.open.push(Opened { bracket, line });
                None
            }
            Token::Symbol(Symbol::Close(bracket)) => {
                lexical::mismatch(bracket, line, self.open.pop())
            }
            _ => None,
        };
        match words {
            Some(words) => Err(Error::Syntax(words.into(), line)),
            None => Ok(Placed { token, line, depth: self.open.len() }),
        }
    }

    /// The complaint about the innermost bracket that is open.
    fn unclosed(&self) -> Option<Error> {
        let opened = self.open.last()?;
        Some(Error::Syntax(opened.never_closed().into(), opened.line))
    }

    /// The number of the line that a byte is on, which is not before the last one asked for. The
    /// text's end belongs to the line that it ends.
    fn line(&mut self, at: usize) -> u32 {
        let text = self.lexer.text;
        let ends =
            (self.line_known_at..at.min(text.len().saturating_sub(1))).filter(|&index| match text
                .get(index)
            {
                Some(b'\n') => true,
                Some(b'\r') => text.get(index + 1) != Some(&b'\n'),
                _ => false,
            });
        self.line += u32::try_from(ends.count()).unwrap_or(u32::MAX);
        self.line_known_at = self.line_known_at.max(at);
        self.line
    }

    fn is(&mut self, index: usize, symbol: Symbol) -> Result<bool, Stop> {
        Ok(self.token(index)? == Token::Symbol(symbol))
    }

    fn is_word(&mut self, index: usize, keyword: Keyword) -> Result<bool, Stop> {
        Ok(self.token(index)? == Token::Keyword(keyword))
    }

    /// The name at a place, if there is one.
    fn name(&mut self, index: usize) -> Result<Option<&'t str>, Stop> {
        Ok(match self.token(index)? {
            Token::Name(span) => Some(span.of(self.lexer.text)),
            _ => None,
        })
    }

    /// A mistake in what starts with a token.
    fn mistake(&self, index: usize, words: impl Into<Box<str>>) -> Stop {
        let line = self.tokens.get(index).map_or(1, |token| token.line);
        Stop::Mistake(Error::Syntax(words.into(), line).into())
    }

    /// What a rule comes to at a place, found out once in each look. Every way of nesting passes
    /// through here.
    fn once(
        &mut self,
        rule: Rule,
        at: usize,
        find: impl FnOnce(&mut Self, usize) -> Found,
    ) -> Found {
        if let Some(known) = self.known.get(&(rule, at)) {
            return Ok(*known);
        }
        if self.nesting >= self.most_nesting {
            return Err(Stop::TooDeep);
        }
        self.nesting += 1;
        let found = find(self, at)?;
        self.nesting -= 1;
        self.known.insert((rule, at), found);
        Ok(found)
    }
}
