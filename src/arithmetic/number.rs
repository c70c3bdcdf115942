//! Numbers of any type. An operation on two types is done in the wider one.

use super::error::Error;
use super::int_float;
use super::integer::Int;
use super::value::{Complex, Value};

/// A view of a number; a bool is an integer.
#[derive(Clone, Copy)]
pub(super) enum Number<'v> {
    Int(Int<'v>),
    Float(f64),
    Complex(Complex),
}

impl<'v> Number<'v> {
    pub(super) fn of(value: &'v Value) -> Option<Self> {
        Some(match value {
            Value::Float(value) => Self::Float(*value),
            Value::Complex(value) => Self::Complex(**value),
            _ => Self::Int(Int::of(value)?),
        })
    }

    /// Converts it to a complex number; its real part is the conversion to a float.
    pub(super) fn complex(self) -> Result<Complex, Error> {
        match self {
            Self::Int(value) => Ok(Complex { re: int_float::from_int(value)?, im: 0.0 }),
            Self::Float(value) => Ok(Complex { re: value, im: 0.0 }),
            Self::Complex(value) => Ok(value),
        }
    }
}
