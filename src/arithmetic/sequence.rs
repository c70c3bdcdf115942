//! Operators of tuples and strings, and their items.

use crate::choice::Choice;
use std::rc::Rc;

use super::bytecode::Binary;
use super::error::Error;
use super::integer::Int;
use super::meter::{Meter, check_bytes};
use super::value::{Kind, Value};

/// An operator on two operands of which one at least is no number, or that no number has.
pub(super) fn binary(
    operator: Binary,
    left: &Value,
    right: &Value,
    meter: &mut Meter,
) -> Result<Value, Error> {
    match (operator, left, right) {
        (Binary::Add, Value::Tuple(_) | Value::Str(_), _) => joined(left, right, meter),
        (Binary::Multiply, Value::Tuple(_) | Value::Str(_), _) => repeated(left, right, meter),
        (Binary::Multiply, _, Value::Tuple(_) | Value::Str(_)) => repeated(right, left, meter),
        (Binary::Remainder, Value::Str(_), Value::Tuple(items)) if items.is_empty() => {
            Ok(left.clone())
        }
        (Binary::Remainder, Value::Str(_), _) => {
            Err(Error::type_("not all arguments converted during string formatting"))
        }
        // A union of types, like `int | None`.
        (Binary::Or, _, _)
            if matches!(
                (left.kind(), right.kind()),
                (Kind::Type, Kind::Type | Kind::None) | (Kind::None, Kind::Type)
            ) =>
        {
            Err(Error::unsupported())
        }
        _ => Err(Error::Operands(operator.name(), left.kind(), right.kind())),
    }
}

fn joined(left: &Value, right: &Value, meter: &mut Meter) -> Result<Value, Error> {
    match (left, right) {
        (Value::Tuple(left), Value::Tuple(right)) => {
            meter.count_elements(left.len() + right.len())?;
            Ok(left.iter().chain(right.iter()).cloned().collect::<Vec<_>>().into())
        }
        (Value::Str(left), Value::Str(right)) => {
            check_bytes(left.len() + right.len())?;
            meter.charge_bytes(left.len() + right.len())?;
            Ok(format!("{left}{right}").into())
        }
        _ => {
            let (kind, other) = (left.kind().name(), right.kind().name());
            let message = format!("can only concatenate {kind} (not \"{other}\") to {kind}");
            Err(Error::arguments(message))
        }
    }
}

fn repeated(sequence: &Value, count: &Value, meter: &mut Meter) -> Result<Value, Error> {
    let count = match Int::of(count) {
        Some(Int::Small(count)) => usize::try_from(count).unwrap_or(0),
        Some(Int::Large(_)) => {
            return Err(Error::overflow("cannot fit 'int' into an index-sized integer"));
        }
        None => {
            let kind = count.kind().name();
            let message = format!("can't multiply sequence by non-int of type '{kind}'");
            return Err(Error::arguments(message));
        }
    };
    if let Value::Str(text) = sequence {
        check_bytes(text.len().saturating_mul(count))?;
        meter.charge_bytes(text.len().saturating_mul(count))?;
        return Ok(text.repeat(count).into());
    }
    let Value::Tuple(items) = sequence else { return Ok(sequence.clone()) };
    if count == 0 {
        return Ok(Vec::new().into());
    }
    meter.count_elements(sequence.elements().saturating_mul(count))?;
    Ok(items.iter().cycle().take(items.len() * count).cloned().collect::<Vec<_>>().into())
}

/// The cost of making a character of a string into a string, in limb products.
const CHARACTER_COST: u64 = 112;

/// The items of a tuple, or the characters of a string.
pub(super) fn items(value: &Value, meter: &mut Meter) -> Result<Rc<Vec<Value>>, Error> {
    match value {
        Value::Tuple(items) => Ok(Rc::clone(items)),
        Value::Str(text) => {
            meter.charge(text.len() as u64 * CHARACTER_COST)?;
            let characters = text.chars().map(|character| Value::from(character.to_string()));
            Ok(Rc::new(characters.collect()))
        }
        _ => Err(Error::arguments(format!("'{}' object is not iterable", value.kind().name()))),
    }
}
