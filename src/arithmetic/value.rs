//! The values of the language.

use crate::choice::choices;
use std::rc::Rc;

use dashu_int::IBig;

use super::inline_vec::Filler;

/// A value. Those on the heap are shared, because a repeated tuple repeats its items.
#[derive(Clone, Debug)]
pub enum Value {
    /// An integer that fits a machine word.
    Int(i64),
    /// An integer that does not fit a machine word.
    Large(Rc<IBig>),
    /// A float.
    Float(f64),
    /// A complex number.
    Complex(Rc<Complex>),
    /// `True` or `False`: 1 or 0 in arithmetic.
    Bool(bool),
    /// A tuple.
    Tuple(Rc<Vec<Value>>),
    /// A string. There are no literals; `hex`, `oct` and `bin` make strings.
    Str(Rc<String>),
    /// `None`
    None,
    /// `...`
    Ellipsis,
    /// A function or a type.
    Function(Function),
}

impl Filler for Value {
    const FILLER: Self = Self::None;
}

impl From<IBig> for Value {
    fn from(integer: IBig) -> Self {
        i64::try_from(&integer).map_or_else(|_| Self::Large(Rc::new(integer)), Self::Int)
    }
}

impl From<Complex> for Value {
    fn from(complex: Complex) -> Self {
        Self::Complex(Rc::new(complex))
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::Tuple(Rc::new(items))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(Rc::new(text))
    }
}

impl Value {
    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Int(_) | Self::Large(_) => Kind::Int,
            Self::Float(_) => Kind::Float,
            Self::Complex(_) => Kind::Complex,
            Self::Bool(_) => Kind::Bool,
            Self::Tuple(_) => Kind::Tuple,
            Self::Str(_) => Kind::Str,
            Self::None => Kind::None,
            Self::Ellipsis => Kind::Ellipsis,
            Self::Function(function) if function.is_type() => Kind::Type,
            Self::Function(_) => Kind::Function,
        }
    }

    /// Its truth: false for zeros, empty tuples and strings, and `None`.
    #[inline]
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Int(value) => *value != 0,
            Self::Bool(value) => *value,
            Self::Float(value) => *value != 0.0,
            Self::Complex(value) => value.re != 0.0 || value.im != 0.0,
            Self::Tuple(items) => !items.is_empty(),
            Self::Str(text) => !text.is_empty(),
            Self::None => false,
            Self::Large(_) | Self::Ellipsis | Self::Function(_) => true,
        }
    }

    /// The number of values in a tuple and in the tuples within it; 0 for other values.
    pub(super) fn elements(&self) -> usize {
        match self {
            Self::Tuple(items) => items.len() + items.iter().map(Self::elements).sum::<usize>(),
            _ => 0,
        }
    }
}

/// A complex number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Complex {
    /// The real part.
    pub re: f64,
    /// The imaginary part.
    pub im: f64,
}

choices! {
    /// The type of a value.
    pub enum Kind {
        Int = "int",
        Float = "float",
        Complex = "complex",
        Bool = "bool",
        Tuple = "tuple",
        Str = "str",
        None = "NoneType",
        Ellipsis = "ellipsis",
        Function = "builtin_function_or_method",
        Type = "type",
    }
}

choices! {
    /// The functions and types that may be called.
    pub enum Function {
        Abs = "abs",
        Bin = "bin",
        Bool = "bool",
        Complex = "complex",
        Divmod = "divmod",
        Float = "float",
        Hex = "hex",
        Int = "int",
        Len = "len",
        Max = "max",
        Min = "min",
        Oct = "oct",
        Pow = "pow",
        Round = "round",
        Sum = "sum",
    }
}

impl Function {
    /// Returns true if it is a type, which makes values of that type.
    pub(super) fn is_type(self) -> bool {
        matches!(self, Self::Bool | Self::Complex | Self::Float | Self::Int)
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
        assert!(matches!(Value::from(IBig::from(i64::MIN)), Value::Int(i64::MIN)));
        assert!(matches!(Value::from(IBig::from(i64::MAX) + 1), Value::Large(_)));
    }

    #[test]
    fn a_tuple_counts_what_its_tuples_hold() {
        let pair = Value::from(vec![Value::None, Value::None]);
        assert_eq!(Value::from(vec![pair.clone(), pair]).elements(), 6);
    }
}
