//! Comparisons: of numbers by their exact values, of tuples item by item.
//!
//! A comparison of two values is charged before it is done, for the limbs that it may look at.
//! Tuples are searched for their first difference once, however deep they are nested.

use crate::choice::Choice;
use core::cmp::Ordering;

use super::bytecode::Comparison;
use super::error::Error;
use super::int_float;
use super::integer::Int;
use super::meter::{self, Meter};
use super::number::Number;
use super::value::Value;

/// The cost of comparing two values of a limb each, in limb products.
const PAIR_COST: u64 = 8;

/// Limbs of the largest float as an integer.
const FLOAT_LIMBS: u64 = 16;

/// Returns true if `left comparison right` holds.
#[inline]
pub(super) fn holds(
    comparison: Comparison,
    left: &Value,
    right: &Value,
    meter: &mut Meter,
) -> Result<bool, Error> {
    if let (Value::Int(left), Value::Int(right)) = (left, right)
        && let Some(holds) = small(comparison, *left, *right)
    {
        return meter.charge(PAIR_COST).map(|()| holds);
    }
    match comparison {
        Comparison::Equal => equal(left, right, meter),
        Comparison::NotEqual => equal(left, right, meter).map(|equal| !equal),
        Comparison::In => contains(right, left, meter),
        Comparison::NotIn => contains(right, left, meter).map(|contains| !contains),
        Comparison::Is => identical(left, right, meter),
        Comparison::IsNot => identical(left, right, meter).map(|identical| !identical),
        Comparison::Less
        | Comparison::LessEqual
        | Comparison::Greater
        | Comparison::GreaterEqual => ordered(comparison, left, right, meter),
    }
}

/// A comparison of machine words, if they have it.
#[inline]
fn small(comparison: Comparison, left: i64, right: i64) -> Option<bool> {
    Some(match comparison {
        Comparison::Less => left < right,
        Comparison::LessEqual => left <= right,
        Comparison::Greater => left > right,
        Comparison::GreaterEqual => left >= right,
        Comparison::Equal | Comparison::Is => left == right,
        Comparison::NotEqual | Comparison::IsNot => left != right,
        Comparison::In | Comparison::NotIn => return None,
    })
}

/// Charges for one look at two values, of which one at least is no tuple.
fn charge(left: &Value, right: &Value, meter: &mut Meter) -> Result<(), Error> {
    meter.charge(PAIR_COST + limbs(left).min(limbs(right)))
}

/// The limbs of a value that a comparison may look at, besides the first.
fn limbs(value: &Value) -> u64 {
    match value {
        Value::Large(value) => Int::Large(value).limbs(),
        Value::Str(text) => meter::limbs_of(text.len()),
        Value::Float(_) | Value::Complex(_) => FLOAT_LIMBS,
        _ => 0,
    }
}

/// `left == right`, which is false for values of unrelated types.
fn equal(left: &Value, right: &Value, meter: &mut Meter) -> Result<bool, Error> {
    match (left, right) {
        (Value::Tuple(a), Value::Tuple(b)) if a.len() != b.len() => {
            meter.charge(PAIR_COST).map(|()| false)
        }
        _ => Ok(matches!(difference(left, right, meter)?, Difference::None)),
    }
}

/// `left is right`: Python has one object for equal constants of the same type.
fn identical(left: &Value, right: &Value, meter: &mut Meter) -> Result<bool, Error> {
    Ok(left.kind() == right.kind() && equal(left, right, meter)?)
}

fn contains(container: &Value, item: &Value, meter: &mut Meter) -> Result<bool, Error> {
    match (container, item) {
        (Value::Tuple(items), _) => {
            for candidate in items.iter() {
                if equal(candidate, item, meter)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Value::Str(text), Value::Str(part)) => {
            meter.charge((text.len() + part.len()) as u64)?;
            Ok(text.contains(part.as_str()))
        }
        (Value::Str(_), _) => {
            let kind = item.kind().name();
            let message = format!("'in <string>' requires string as left operand, not {kind}");
            Err(Error::arguments(message))
        }
        _ => {
            let kind = container.kind().name();
            Err(Error::arguments(format!("argument of type '{kind}' is not iterable")))
        }
    }
}

/// The first difference of two values.
enum Difference<'v> {
    None,
    /// Two values of which at least one is not a tuple: the values themselves, or items of them.
    Values(&'v Value, &'v Value),
    /// The lengths of two tuples. The shorter one begins the longer one.
    Lengths(Ordering),
}

fn difference<'v>(
    left: &'v Value,
    right: &'v Value,
    meter: &mut Meter,
) -> Result<Difference<'v>, Error> {
    let (Value::Tuple(lefts), Value::Tuple(rights)) = (left, right) else {
        charge(left, right, meter)?;
        let equal = scalars_are_equal(left, right);
        return Ok(if equal { Difference::None } else { Difference::Values(left, right) });
    };
    meter.charge(PAIR_COST)?;
    for (left, right) in lefts.iter().zip(rights.iter()) {
        let difference = difference(left, right, meter)?;
        if !matches!(difference, Difference::None) {
            return Ok(difference);
        }
    }
    Ok(match lefts.len().cmp(&rights.len()) {
        Ordering::Equal => Difference::None,
        order => Difference::Lengths(order),
    })
}

/// `left == right` for values of which one at least is no tuple.
fn scalars_are_equal(left: &Value, right: &Value) -> bool {
    if let (Some(left), Some(right)) = (Number::of(left), Number::of(right)) {
        return match (left, right) {
            (Number::Complex(left), Number::Complex(right)) => left == right,
            (Number::Complex(complex), real) | (real, Number::Complex(complex)) => {
                complex.im == 0.0
                    && order(&real, &Number::Float(complex.re)) == Some(Ordering::Equal)
            }
            (left, right) => order(&left, &right) == Some(Ordering::Equal),
        };
    }
    match (left, right) {
        (Value::Str(left), Value::Str(right)) => left == right,
        (Value::Function(left), Value::Function(right)) => left == right,
        (Value::None, Value::None) | (Value::Ellipsis, Value::Ellipsis) => true,
        _ => false,
    }
}

fn ordered(
    comparison: Comparison,
    left: &Value,
    right: &Value,
    meter: &mut Meter,
) -> Result<bool, Error> {
    let order = match (left, right) {
        (Value::Tuple(_), Value::Tuple(_)) => match difference(left, right, meter)? {
            Difference::None => Some(Ordering::Equal),
            Difference::Values(left, right) => scalar_order(comparison, left, right, meter)?,
            Difference::Lengths(order) => Some(order),
        },
        _ => scalar_order(comparison, left, right, meter)?,
    };
    // NaN has no order.
    Ok(order.is_some_and(|order| match comparison {
        Comparison::Less => order.is_lt(),
        Comparison::LessEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        _ => order.is_ge(),
    }))
}

/// The order of two values of which one at least is no tuple.
fn scalar_order(
    comparison: Comparison,
    left: &Value,
    right: &Value,
    meter: &mut Meter,
) -> Result<Option<Ordering>, Error> {
    charge(left, right, meter)?;
    match (left, right) {
        (Value::Str(left), Value::Str(right)) => Ok(Some(left.cmp(right))),
        _ => match (Number::of(left), Number::of(right)) {
            (
                Some(left @ (Number::Int(_) | Number::Float(_))),
                Some(right @ (Number::Int(_) | Number::Float(_))),
            ) => Ok(order(&left, &right)),
            _ => Err(Error::Order(comparison.name(), left.kind(), right.kind())),
        },
    }
}

/// The order of two real numbers.
fn order(left: &Number<'_>, right: &Number<'_>) -> Option<Ordering> {
    match (left, right) {
        (Number::Int(left), Number::Int(right)) => Some(integers(*left, *right)),
        (Number::Float(left), Number::Float(right)) => left.partial_cmp(right),
        (Number::Int(left), Number::Float(right)) => integer_and_float(*left, *right),
        (Number::Float(left), Number::Int(right)) => {
            integer_and_float(*right, *left).map(Ordering::reverse)
        }
        _ => None,
    }
}

fn integers(left: Int<'_>, right: Int<'_>) -> Ordering {
    match (left, right) {
        (Int::Small(left), Int::Small(right)) => left.cmp(&right),
        _ => left.large().cmp(&right.large()),
    }
}

/// Compares with the float's integral part, which is exact, and then with its fraction.
fn integer_and_float(integer: Int<'_>, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float.is_infinite() {
        return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let fraction = 0.0.partial_cmp(&float.fract())?;
    let whole = match integer {
        Int::Small(value) => match int_float::small(float.trunc()) {
            Some(whole) => value.cmp(&whole),
            None if float > 0.0 => Ordering::Less,
            None => Ordering::Greater,
        },
        Int::Large(value) => value.as_ref().cmp(&int_float::truncated(float)),
    };
    Some(whole.then(fraction))
}
