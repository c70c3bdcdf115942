//! Operators, dispatched by the types of their operands.

use super::bytecode::{Binary, Unary};
use super::complex;
use super::error::Error;
use super::float;
use super::int_float;
use super::integer;
use super::meter::Meter;
use super::number::Number;
use super::power;
use super::sequence;
use super::value::{Complex, Value};
use crate::choice::Choice;

/// `left operator right`
#[inline]
pub(super) fn binary(
    operator: Binary,
    left: &Value,
    right: &Value,
    meter: &mut Meter,
) -> Result<Value, Error> {
    if let (Value::Int(left), Value::Int(right)) = (left, right)
        && let Some(result) = small(operator, *left, *right)
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
    match (operator, Number::of(left), Number::of(right)) {
        (Binary::Power, Some(base), Some(exponent)) => power::power(base, exponent, meter),
        (Binary::Divide, Some(Int(left)), Some(Int(right))) => {
            int_float::quotient(left, right, meter).map(Value::Float)
        }
        (_, Some(Int(left)), Some(Int(right))) if integer::has(operator) => {
            integer::binary(operator, left, right, meter)
        }
        (_, Some(a @ (Int(_) | Float(_))), Some(b @ (Int(_) | Float(_))))
            if float::has(operator) =>
        {
            float::binary(operator, a.complex()?.re, b.complex()?.re)
        }
        (_, Some(a), Some(b))
            if complex::has(operator) && (matches!(a, Complex(_)) || matches!(b, Complex(_))) =>
        {
            complex::binary(operator, a.complex()?, b.complex()?)
        }
        _ => sequence::binary(operator, left, right, meter),
    }
}

/// The result of an operator on machine words, unless it overflows, raises an error, or would need
/// more than machine words to be exact.
#[inline]
fn small(operator: Binary, left: i64, right: i64) -> Option<Value> {
    let result = match operator {
        Binary::Add => left.checked_add(right)?,
        Binary::Subtract => left.checked_sub(right)?,
        Binary::Multiply => left.checked_mul(right)?,
        Binary::FloorDivide => left.checked_div(right)? - i64::from(rounds_up(left, right)),
        Binary::Remainder if rounds_up(left, right) => left.checked_rem(right)? + right,
        Binary::Remainder | Binary::TruncRem => left.checked_rem(right)?,
        Binary::TruncDiv => left.checked_div(right)?,
        Binary::Divide => return int_float::small_quotient(left, right).map(Value::Float),
        Binary::Power => left.checked_pow(u32::try_from(right).ok()?)?,
        Binary::And => left & right,
        Binary::Or => left | right,
        Binary::Xor => left ^ right,
        Binary::ShiftRight if right >= 0 => left >> right.min(63),
        Binary::ShiftRight | Binary::ShiftLeft | Binary::MatrixMultiply => return None,
    };
    Some(Value::Int(result))
}

/// Returns true if the machine's division, which rounds towards zero, rounds this quotient up.
fn rounds_up(left: i64, right: i64) -> bool {
    (left < 0) != (right < 0) && left.checked_rem(right).is_some_and(|remainder| remainder != 0)
}

/// `operator operand`
pub(super) fn unary(operator: Unary, operand: &Value, meter: &mut Meter) -> Result<Value, Error> {
    match (Number::of(operand), operator) {
        (Some(Number::Int(value)), _) => integer::unary(operator, value, meter),
        (Some(Number::Float(_) | Number::Complex(_)), Unary::Plus) => Ok(operand.clone()),
        (Some(Number::Float(value)), Unary::Minus) => Ok(Value::Float(-value)),
        (Some(Number::Complex(value)), Unary::Minus) => {
            Ok(Value::from(Complex { re: -value.re, im: -value.im }))
        }
        _ => Err(Error::Operand(operator.name(), operand.kind())),
    }
}
