//! Functions of all items of a sequence: `min`, `max`, `sum`, `len`.

use super::bytecode::{Binary, Comparison};
use super::compare;
use super::error::{Class, Error};
use super::meter::Meter;
use super::operators;
use super::sequence::items;
use super::value::{Kind, Value};
use crate::choice::Choice;

/// `min` or `max`: the first of equal extremes.
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
        if compare::holds(comparison, candidate, extreme, meter)? {
            extreme = candidate;
        }
    }
    Ok(extreme.clone())
}

/// The cost of adding an item to a sum, besides its limbs, in limb products.
const ADDITION_COST: u64 = 24;

/// `sum`
pub(super) fn sum(of: &Value, start: Option<&Value>, meter: &mut Meter) -> Result<Value, Error> {
    let items = items(of, meter)?;
    if start.is_some_and(|start| start.kind() == Kind::Str) {
        return Err(Error::type_("sum() can't sum strings [use ''.join(seq) instead]"));
    }
    meter.charge(items.len() as u64 * ADDITION_COST)?;
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
    fn the_characters_of_a_string_are_charged_for() {
        let text = [Value::from("1".repeat(REPLY_BYTES))];
        let mut meter = Meter::default();
        let most =
            (0..100).find(|_| extreme("max", Comparison::Greater, &text, &mut meter).is_err());
        assert_eq!(most, Some(4));
        assert!(meter.spent() <= WORK);
    }

    #[test]
    fn the_first_of_equal_extremes_is_taken() {
        let ones = [Value::Int(1), Value::Float(1.0), Value::Bool(true)];
        for (name, comparison) in [("min", Comparison::Less), ("max", Comparison::Greater)] {
            let first = extreme(name, comparison, &ones, &mut Meter::default());
            assert!(matches!(first, Ok(Value::Int(1))), "{name}");
        }
    }
}
