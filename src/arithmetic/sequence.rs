//! Tuples and strings: what operators and functions do with more than one thing.

use std::rc::Rc;

use super::bytecode::{Binary, Comparison};
use super::compare;
use super::error::{Class, Error};
use super::integer::Int;
use super::limits::{Meter, check_bytes};
use super::operators;
use super::value::{Kind, Value};

/// An operator that no pair of numbers has.
pub(super) fn binary(
    operator: Binary,
    left: &Value,
    right: &Value,
    meter: &mut Meter,
) -> Result<Value, Error> {
    match (operator, left, right) {
        (Binary::Add, Value::Tuple(_) | Value::Str(_), _) => joined(left, right, meter),
        (Binary::Multiply, Value::Tuple(_) | Value::Str(_), count)
        | (Binary::Multiply, count, Value::Tuple(_) | Value::Str(_)) => {
            let sequence = if core::ptr::eq(count, right) { left } else { right };
            repeated(sequence, count, meter)
        }
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
        return Ok(text.repeat(count).into());
    }
    meter.count_elements(sequence.elements().saturating_mul(count))?;
    let Value::Tuple(items) = sequence else { return Ok(sequence.clone()) };
    Ok(items.iter().cycle().take(items.len() * count).cloned().collect::<Vec<_>>().into())
}

/// What it costs to make a string of one character of a string, in limb products.
const CHARACTER_COST: u64 = 128;

/// What a function goes through that takes one thing with items.
fn items(value: &Value, meter: &mut Meter) -> Result<Rc<Vec<Value>>, Error> {
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

/// `min` and `max`: the first of the least or the greatest.
pub(super) fn extreme(
    name: &'static str,
    comparison: Comparison,
    arguments: &[Value],
    meter: &mut Meter,
) -> Result<Value, Error> {
    let of_one;
    let candidates = match arguments {
        [one] => {
            of_one = items(one, meter)?;
            of_one.as_slice()
        }
        several => several,
    };
    let Some((mut extreme, others)) = candidates.split_first() else {
        let message = format!("{name}() arg is an empty sequence");
        return Err(Error::Formatted(Class::Value, message.into()));
    };
    for candidate in others {
        if compare::holds(comparison, candidate, extreme)? {
            extreme = candidate;
        }
    }
    Ok(extreme.clone())
}

/// `sum`
pub(super) fn sum(of: &Value, start: Option<&Value>, meter: &mut Meter) -> Result<Value, Error> {
    let items = items(of, meter)?;
    if start.is_some_and(|start| start.kind() == Kind::Str) {
        return Err(Error::type_("sum() can't sum strings [use ''.join(seq) instead]"));
    }
    let mut total = start.cloned().unwrap_or(Value::Int(0));
    for item in items.iter() {
        total = operators::binary(Binary::Add, &total, item, meter)?;
    }
    Ok(total)
}

/// `len`
pub(super) fn length(of: &Value) -> Result<Value, Error> {
    let length = match of {
        Value::Tuple(items) => items.len(),
        Value::Str(text) => text.len(),
        _ => {
            let message = format!("object of type '{}' has no len()", of.kind().name());
            return Err(Error::arguments(message));
        }
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::super::limits::{REPLY_BYTES, WORK};
    use super::*;

    #[test]
    fn the_characters_of_a_string_are_paid_for() {
        let text = [Value::from("1".repeat(REPLY_BYTES))];
        let mut meter = Meter::default();
        let most =
            (0..100).find(|_| extreme("max", Comparison::Greater, &text, &mut meter).is_err());
        assert_eq!(most, Some(4));
        assert!(meter.spent() <= WORK);
    }

    #[test]
    fn the_first_of_equal_extremes_is_the_one() {
        let ones = [Value::Int(1), Value::Float(1.0), Value::Bool(true)];
        for (name, comparison) in [("min", Comparison::Less), ("max", Comparison::Greater)] {
            let first = extreme(name, comparison, &ones, &mut Meter::default());
            assert!(matches!(first, Ok(Value::Int(1))), "{name}");
        }
    }
}
