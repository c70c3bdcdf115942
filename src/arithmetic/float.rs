//! Floats: IEEE 754 doubles with Python's division and remainder (`Objects/floatobject.c`).

use super::bytecode::Binary;
use super::error::Error;
use super::value::{Kind, Value};
use crate::choice::Choice;

/// Returns true for an operator that floats have, but for `**`, which is in `power`.
pub(super) fn has(operator: Binary) -> bool {
    use Binary::{Add, Divide, FloorDivide, Multiply, Remainder, Subtract};
    matches!(operator, Add | Subtract | Multiply | Divide | FloorDivide | Remainder)
}

/// An operator on two floats.
pub(super) fn binary(operator: Binary, left: f64, right: f64) -> Result<Value, Error> {
    let result = match operator {
        Binary::Add => left + right,
        Binary::Subtract => left - right,
        Binary::Multiply => left * right,
        Binary::Divide => left / nonzero(right, "float division by zero")?,
        Binary::FloorDivide => divided(left, nonzero(right, "float floor division by zero")?).0,
        Binary::Remainder => divided(left, nonzero(right, "float modulo")?).1,
        _ => return Err(Error::Operands(operator.name(), Kind::Float, Kind::Float)),
    };
    Ok(Value::Float(result))
}

/// The divisor, unless it is zero.
fn nonzero(divisor: f64, message: &'static str) -> Result<f64, Error> {
    if divisor == 0.0 { Err(Error::zero_division(message)) } else { Ok(divisor) }
}

/// The quotient rounded down, and the remainder with the divisor's sign.
pub(super) fn divided(dividend: f64, divisor: f64) -> (f64, f64) {
    let mut remainder = dividend % divisor;
    let mut quotient = (dividend - remainder) / divisor;
    if remainder == 0.0 {
        remainder = 0.0_f64.copysign(divisor);
    } else if (divisor < 0.0) != (remainder < 0.0) {
        remainder += divisor;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0.0_f64.copysign(dividend / divisor), remainder);
    }
    let floor = quotient.floor();
    // The quotient is an integer but for a rounding error, up or down.
    (if quotient - floor > 0.5 { floor + 1.0 } else { floor }, remainder)
}
