//! Comparisons: of numbers by their exact values, of tuples item by item.

use crate::choice::Choice;
use core::cmp::Ordering;

use super::bytecode::Comparison;
use super::error::Error;
use super::int_float;
use super::integer::Int;
use super::number::Number;
use super::value::Value;

/// Returns true if `left comparison right` holds.
#[inline]
pub(super) fn holds(comparison: Comparison, left: &Value, right: &Value) -> Result<bool, Error> {
    match comparison {
        Comparison::Equal => Ok(equal(left, right)),
        Comparison::NotEqual => Ok(!equal(left, right)),
        Comparison::In => contains(right, left),
        Comparison::NotIn => contains(right, left).map(|contains| !contains),
        Comparison::Is => Ok(identical(left, right)),
        Comparison::IsNot => Ok(!identical(left, right)),
        Comparison::Less
        | Comparison::LessEqual
        | Comparison::Greater
        | Comparison::GreaterEqual => ordered(comparison, left, right),
    }
}

/// `left == right`, which is false for values of unrelated types.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
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
        (Value::Tuple(left), Value::Tuple(right)) => {
            left.len() == right.len() && left.iter().zip(right.iter()).all(|(a, b)| equal(a, b))
        }
        (Value::Str(left), Value::Str(right)) => left == right,
        (Value::Function(left), Value::Function(right)) => left == right,
        (Value::None, Value::None) | (Value::Ellipsis, Value::Ellipsis) => true,
        _ => false,
    }
}

/// `left is right`: Python has one object for equal constants of the same type.
fn identical(left: &Value, right: &Value) -> bool {
    left.kind() == right.kind() && equal(left, right)
}

fn contains(container: &Value, item: &Value) -> Result<bool, Error> {
    match (container, item) {
        (Value::Tuple(items), _) => Ok(items.iter().any(|candidate| equal(candidate, item))),
        (Value::Str(text), Value::Str(part)) => Ok(text.contains(part.as_str())),
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

fn ordered(comparison: Comparison, left: &Value, right: &Value) -> Result<bool, Error> {
    let order = match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Str(left), Value::Str(right)) => Some(left.cmp(right)),
        (Value::Tuple(left), Value::Tuple(right)) => {
            // The first two items that differ decide.
            let different = left.iter().zip(right.iter()).find(|(a, b)| !equal(a, b));
            match different {
                Some((left, right)) => return ordered(comparison, left, right),
                None => Some(left.len().cmp(&right.len())),
            }
        }
        _ => match (Number::of(left), Number::of(right)) {
            (
                Some(left @ (Number::Int(_) | Number::Float(_))),
                Some(right @ (Number::Int(_) | Number::Float(_))),
            ) => order(&left, &right),
            _ => return Err(Error::Order(comparison.name(), left.kind(), right.kind())),
        },
    };
    // NaN has no order.
    Ok(order.is_some_and(|order| match comparison {
        Comparison::Less => order.is_lt(),
        Comparison::LessEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        _ => order.is_ge(),
    }))
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
    let whole = int_float::truncated(float);
    let fraction = 0.0.partial_cmp(&float.fract())?;
    Some(integer.large().as_ref().cmp(&whole).then(fraction))
}
