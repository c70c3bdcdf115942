//! The values of the language.

use std::rc::Rc;

use num_bigint::BigInt;

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// An integer that fits a machine word, and only then.
    Int(i64),
    /// An integer that does not. Shared, because a repeated tuple repeats it.
    Large(Rc<BigInt>),
    /// A float.
    Float(f64),
}

impl Default for Value {
    fn default() -> Self {
        Self::Int(0)
    }
}

impl From<BigInt> for Value {
    fn from(integer: BigInt) -> Self {
        i64::try_from(&integer).map_or_else(|_| Self::Large(Rc::new(integer)), Self::Int)
    }
}

impl Value {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Int(_) | Self::Large(_) => Kind::Int,
            Self::Float(_) => Kind::Float,
        }
    }
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `int`
    Int,
    /// `float`
    Float,
}

impl Kind {
    /// As Python names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_two_machine_words() {
        assert_eq!(size_of::<Value>(), 16);
    }

    #[test]
    fn an_integer_is_large_only_if_it_must_be() {
        assert!(matches!(Value::from(BigInt::from(i64::MIN)), Value::Int(i64::MIN)));
        assert!(matches!(Value::from(BigInt::from(i64::MAX) + 1), Value::Large(_)));
    }
}
