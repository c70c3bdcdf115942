//! Calls of functions, dispatched by the number of arguments.

use super::aggregates;
use super::bytecode::{Binary, Comparison, Unary};
use super::convert;
use super::error::Error;
use super::float;
use super::integer::{self, Int};
use super::meter::Meter;
use super::number::Number;
use super::operators;
use super::power;
use super::rounding;
use super::value::{Function, Value};
use crate::choice::Choice;

/// Calls a function.
pub(super) fn call(
    function: Function,
    arguments: &[Value],
    meter: &mut Meter,
) -> Result<Value, Error> {
    match (function, arguments) {
        (Function::Abs, [of]) => absolute(of, meter),
        (Function::Bin, [of]) => convert::to_digits(of, 2, meter),
        (Function::Oct, [of]) => convert::to_digits(of, 8, meter),
        (Function::Hex, [of]) => convert::to_digits(of, 16, meter),
        (Function::Bool, []) => Ok(Value::Bool(false)),
        (Function::Bool, [of]) => Ok(Value::Bool(of.is_true())),
        (Function::Complex, []) => convert::to_complex(&Value::Float(0.0), None),
        (Function::Complex, [of @ Value::Complex(_)]) => Ok(of.clone()),
        (Function::Complex, [real]) => convert::to_complex(real, None),
        (Function::Complex, [real, imaginary]) => convert::to_complex(real, Some(imaginary)),
        (Function::Divmod, [left, right]) => divmod(left, right, meter),
        (Function::Float, []) => Ok(Value::Float(0.0)),
        (Function::Float, [of]) => convert::to_float(of, meter),
        (Function::Int, []) => Ok(Value::Int(0)),
        (Function::Int, [of]) => convert::to_int(of, meter),
        (Function::Int, [text, base]) => convert::to_int_of_base(text, base, meter),
        (Function::Len, [of]) => aggregates::length(of),
        (Function::Max, [_, ..]) => {
            aggregates::extreme("max", Comparison::Greater, arguments, meter)
        }
        (Function::Min, [_, ..]) => aggregates::extreme("min", Comparison::Less, arguments, meter),
        (Function::Pow, [base, exponent] | [base, exponent, Value::None]) => {
            operators::binary(Binary::Power, base, exponent, meter)
        }
        (Function::Pow, [base, exponent, modulus]) => {
            power::modular([base, exponent, modulus], meter)
        }
        (Function::Round, [number]) => rounding::round(number, None, meter),
        (Function::Round, [number, places]) => rounding::round(number, Some(places), meter),
        (Function::Sum, [of]) => aggregates::sum(of, None, meter),
        (Function::Sum, [of, start]) => aggregates::sum(of, Some(start), meter),
        (function, arguments) => Err(wrong_count(function, arguments.len())),
    }
}

/// The error of a function for a number of arguments that it does not take.
fn wrong_count(function: Function, count: usize) -> Error {
    let name = function.name();
    Error::arguments(match (function, count) {
        (Function::Abs | Function::Bin | Function::Hex | Function::Len | Function::Oct, _) => {
            format!("{name}() takes exactly one argument ({count} given)")
        }
        (Function::Bool | Function::Float, _) => {
            format!("{name} expected at most 1 argument, got {count}")
        }
        (Function::Min | Function::Max, _) => {
            format!("{name} expected at least 1 argument, got {count}")
        }
        (Function::Divmod, _) => format!("{name} expected 2 arguments, got {count}"),
        (Function::Round, 0) => missing(name, "number", 1),
        (Function::Pow, 0) => missing(name, "base", 1),
        (Function::Pow, 1) => missing(name, "exp", 2),
        (Function::Pow, _) => format!("{name}() takes at most 3 arguments ({count} given)"),
        (Function::Sum, 0) => format!("{name}() takes at least 1 positional argument (0 given)"),
        (Function::Complex | Function::Int | Function::Round | Function::Sum, _) => {
            format!("{name}() takes at most 2 arguments ({count} given)")
        }
    })
}

fn missing(name: &str, argument: &str, place: u32) -> String {
    format!("{name}() missing required argument '{argument}' (pos {place})")
}

/// The error for an argument with a name. Some functions of Python take one; this language does
/// not.
pub(super) fn named_argument(function: Function) -> Error {
    match function {
        Function::Abs
        | Function::Bin
        | Function::Bool
        | Function::Divmod
        | Function::Float
        | Function::Hex
        | Function::Len
        | Function::Oct => {
            Error::arguments(format!("{}() takes no keyword arguments", function.name()))
        }
        _ => Error::unsupported(),
    }
}

fn absolute(of: &Value, meter: &mut Meter) -> Result<Value, Error> {
    match Number::of(of) {
        Some(Number::Int(value)) => {
            let sign = if value.is_negative() { Unary::Minus } else { Unary::Plus };
            integer::unary(sign, value, meter)
        }
        Some(Number::Float(value)) => Ok(Value::Float(value.abs())),
        Some(Number::Complex(value)) => value.absolute().map(Value::Float),
        None => Err(Error::Operand("abs()", of.kind())),
    }
}

fn divmod(left: &Value, right: &Value, meter: &mut Meter) -> Result<Value, Error> {
    let (quotient, remainder) = match (Number::of(left), Number::of(right)) {
        (Some(Number::Int(left)), Some(Number::Int(right))) => integer::divmod(left, right, meter)?,
        (Some(a), Some(b))
            if !matches!((a, b), (Number::Complex(_), _) | (_, Number::Complex(_))) =>
        {
            let (dividend, divisor) = (a.complex()?.re, b.complex()?.re);
            if divisor == 0.0 {
                return Err(Error::zero_division("float divmod()"));
            }
            let (quotient, remainder) = float::divided(dividend, divisor);
            (Value::Float(quotient), Value::Float(remainder))
        }
        _ => return Err(Error::Operands("divmod()", left.kind(), right.kind())),
    };
    meter.count_elements(2)?;
    for result in [&quotient, &remainder] {
        if let Value::Large(result) = result {
            meter.count_integer(Int::Large(result).limbs())?;
        }
    }
    Ok(vec![quotient, remainder].into())
}
