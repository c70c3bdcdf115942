//! Errors, worded as in Python 3.11: `Class: text`.
//!
//! A text that never varies stands beside its rule. Texts that name types are put together here.

use core::fmt::{self, Write};

use super::limits::{DECIMAL_DIGITS, INTEGER_BITS};
use super::value::Kind;
use crate::choice::{Choice, choices};

/// The bytes of a name that are shown. As in Python, a character cut in two is shown as U+FFFD.
const NAME_BYTES: usize = 200;

choices! {
    /// The class of an error: a Python exception.
    pub enum Class {
        /// A kind of `SyntaxError`.
        Indentation = "IndentationError",
        Name = "NameError",
        Overflow = "OverflowError",
        Recursion = "RecursionError",
        Syntax = "SyntaxError",
        Type = "TypeError",
        Value = "ValueError",
        ZeroDivision = "ZeroDivisionError",
    }
}

/// The error of a text that has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A message that never varies.
    Fixed(Class, &'static str),
    /// A message put together beside its rule.
    Formatted(Class, Box<str>),
    /// A `SyntaxError` on this line.
    Syntax(Box<str>, u32),
    /// A name that is not defined.
    Name(Box<str>),
    /// An operator that these two types do not have: `+`, `divmod()`.
    Operands(&'static str, Kind, Kind),
    /// An operator that this type does not have: `unary -`, `abs()`.
    Operand(&'static str, Kind),
    /// A comparison of two types that have no order.
    Order(&'static str, Kind, Kind),
    /// An integer beyond [`INTEGER_BITS`].
    TooLarge,
    /// An integer that cannot be printed, because it has more than [`DECIMAL_DIGITS`] digits.
    Unprintable,
}

impl Error {
    pub(super) const fn overflow(message: &'static str) -> Self {
        Self::Fixed(Class::Overflow, message)
    }

    pub(super) fn type_(message: &'static str) -> Self {
        Self::Fixed(Class::Type, message)
    }

    pub(super) fn value(message: &'static str) -> Self {
        Self::Fixed(Class::Value, message)
    }

    pub(super) const fn zero_division(message: &'static str) -> Self {
        Self::Fixed(Class::ZeroDivision, message)
    }

    /// Arguments or operands of a wrong type or number.
    pub(super) fn arguments(message: String) -> Self {
        Self::Formatted(Class::Type, message.into())
    }

    /// An expression of Python's that this language does not have.
    pub(super) fn unsupported() -> Self {
        Self::Syntax("unsupported expression".into(), 1)
    }

    /// Its class in Python.
    pub fn class(&self) -> Class {
        match self {
            Self::Fixed(class, _) | Self::Formatted(class, _) => *class,
            Self::Syntax(..) => Class::Syntax,
            Self::Name(_) => Class::Name,
            Self::Operands(..) | Self::Operand(..) | Self::Order(..) => Class::Type,
            Self::TooLarge => Class::Overflow,
            Self::Unprintable => Class::Value,
        }
    }

    /// Writes `Class: text`.
    pub fn render(&self, out: &mut impl Write) -> fmt::Result {
        out.write_str(self.class().name())?;
        out.write_str(": ")?;
        match self {
            Self::Fixed(_, message) => out.write_str(message),
            Self::Formatted(_, message) => out.write_str(message),
            Self::Syntax(message, line) => write!(out, "{message} (<string>, line {line})"),
            Self::Name(name) => {
                let shown = name.as_bytes().get(..NAME_BYTES).unwrap_or(name.as_bytes());
                write!(out, "name '{}' is not defined", String::from_utf8_lossy(shown))
            }
            Self::Operands(operator, left, right) => write!(
                out,
                "unsupported operand type(s) for {operator}: '{}' and '{}'",
                left.name(),
                right.name()
            ),
            Self::Operand(operator, kind) => {
                write!(out, "bad operand type for {operator}: '{}'", kind.name())
            }
            Self::Order(operator, left, right) => write!(
                out,
                "'{operator}' not supported between instances of '{}' and '{}'",
                left.name(),
                right.name()
            ),
            Self::TooLarge => write!(out, "integer too large (limit {INTEGER_BITS} bits)"),
            Self::Unprintable => write!(
                out,
                "Exceeds the limit ({DECIMAL_DIGITS} digits) for integer string conversion; \
                 use sys.set_int_max_str_digits() to increase the limit"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(error: &Error) -> String {
        let mut out = String::new();
        error.render(&mut out).unwrap();
        out
    }

    #[test]
    fn an_error_is_its_class_and_its_text() {
        assert_eq!(
            rendered(&Error::Operands("+", Kind::Int, Kind::Float)),
            "TypeError: unsupported operand type(s) for +: 'int' and 'float'"
        );
        assert_eq!(
            rendered(&Error::Syntax("invalid syntax".into(), 1)),
            "SyntaxError: invalid syntax (<string>, line 1)"
        );
    }

    #[test]
    fn an_error_is_three_machine_words() {
        assert!(size_of::<Error>() <= 24);
    }
}
