//! Which rule an operator follows, by the types of its operands.
//!
//! Numbers meet at the wider of their two types: an integer beside a float becomes one.

use super::bytecode::{Binary, Unary};
use super::complex::{self, Complex};
use super::error::Error;
use super::float;
use super::integer::{self, Int};
use super::limits::Meter;
use super::sequence;
use super::value::Value;

/// A number, looked at.
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

    /// As a complex number.
    pub(super) fn complex(self) -> Result<Complex, Error> {
        match self {
            Self::Int(value) => Ok(Complex { re: float::from_int(value)?, im: 0.0 }),
            Self::Float(value) => Ok(Complex { re: value, im: 0.0 }),
            Self::Complex(value) => Ok(value),
        }
    }
}

/// `left operator right`
#[inline]
pub(super) fn binary(
    operator: Binary,
    left: &Value,
    right: &Value,
    meter: &mut Meter,
) -> Result<Value, Error> {
    if let (Value::Int(left), Value::Int(right)) = (left, right)
        && let Some(result) = integer::small(operator, *left, *right)
    {
        return Ok(result);
    }
    mixed(operator, left, right, meter)
}

fn mixed(operator: Binary, left: &Value, right: &Value, meter: &mut Meter) -> Result<Value, Error> {
    use Number::{Complex, Float, Int};
    if let (Value::Bool(left), Value::Bool(right)) = (left, right) {
        match operator {
            Binary::And => return Ok(Value::Bool(left & right)),
            Binary::Or => return Ok(Value::Bool(left | right)),
            Binary::Xor => return Ok(Value::Bool(left ^ right)),
            _ => {}
        }
    }
    match (Number::of(left), Number::of(right)) {
        (Some(Int(left)), Some(Int(right))) if integer::has(operator) => {
            integer::binary(operator, left, right, meter)
        }
        (Some(a @ (Int(_) | Float(_))), Some(b @ (Int(_) | Float(_)))) if float::has(operator) => {
            float::binary(operator, a.complex()?.re, b.complex()?.re)
        }
        (Some(a), Some(b))
            if complex::has(operator) && (matches!(a, Complex(_)) || matches!(b, Complex(_))) =>
        {
            complex::binary(operator, a.complex()?, b.complex()?)
        }
        _ => sequence::binary(operator, left, right, meter),
    }
}

/// `operator operand`
pub(super) fn unary(operator: Unary, operand: &Value) -> Result<Value, Error> {
    match (Number::of(operand), operator) {
        (Some(Number::Int(value)), _) => Ok(integer::unary(operator, value)),
        (Some(Number::Float(_) | Number::Complex(_)), Unary::Plus) => Ok(operand.clone()),
        (Some(Number::Float(value)), Unary::Minus) => Ok(Value::Float(-value)),
        (Some(Number::Complex(value)), Unary::Minus) => {
            Ok(Value::from(Complex { re: -value.re, im: -value.im }))
        }
        _ => Err(Error::Operand(operator.name(), operand.kind())),
    }
}
