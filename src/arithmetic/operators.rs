//! Which rule an operator follows, by the types of its operands.
//!
//! Numbers meet at the wider of their two types: an integer beside a float becomes one.

use super::code::{Binary, Unary};
use super::error::Error;
use super::float;
use super::integer::{self, Int};
use super::limits::Meter;
use super::value::Value;

/// A number, looked at.
enum Number<'v> {
    Int(Int<'v>),
    Float(f64),
}

impl<'v> Number<'v> {
    fn of(value: &'v Value) -> Self {
        match value {
            Value::Int(value) => Self::Int(Int::Small(*value)),
            Value::Large(value) => Self::Int(Int::Large(value)),
            Value::Float(value) => Self::Float(*value),
        }
    }

    fn float(&self) -> Result<f64, Error> {
        match self {
            Self::Int(value) => float::from_int(*value),
            Self::Float(value) => Ok(*value),
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
    match (Number::of(left), Number::of(right)) {
        (Number::Int(left), Number::Int(right)) => integer::binary(operator, left, right, meter),
        (a, b) if is_arithmetic(operator) => float::binary(operator, a.float()?, b.float()?),
        _ => Err(Error::Operands(operator.name(), left.kind(), right.kind())),
    }
}

/// Whether floats have the operator.
fn is_arithmetic(operator: Binary) -> bool {
    use Binary::{Add, Divide, FloorDivide, Multiply, Power, Remainder, Subtract};
    matches!(operator, Add | Subtract | Multiply | Divide | FloorDivide | Remainder | Power)
}

/// `operator operand`
pub(super) fn unary(operator: Unary, operand: &Value) -> Result<Value, Error> {
    match Number::of(operand) {
        Number::Int(value) => Ok(integer::unary(operator, value)),
        Number::Float(value) => match operator {
            Unary::Plus => Ok(Value::Float(value)),
            Unary::Minus => Ok(Value::Float(-value)),
            Unary::Invert => Err(Error::Operand(operator.name(), operand.kind())),
        },
    }
}
