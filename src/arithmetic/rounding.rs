//! `round`: to nearest, ties to even, by the exact decimal value of a float.

use crate::choice::Choice;
use dashu_int::IBig;
use dashu_int::ops::BitTest as _;

use super::convert;
use super::error::Error;
use super::int_float;
use super::integer::{self, Int};
use super::meter::Meter;
use super::power;
use super::value::Value;

/// Rounding a float to more decimal places than this changes nothing.
const MOST_PLACES: i64 = 323;

/// The cost of a decimal place of a float, in limb products: its digit is computed exactly.
const PLACE_COST: u64 = 32;

/// Rounding a float to a multiple of a higher power of ten than this is zero.
const MOST_TENS: i64 = 308;

/// `round(number)` or `round(number, places)`
pub(super) fn round(
    number: &Value,
    places: Option<&Value>,
    meter: &mut Meter,
) -> Result<Value, Error> {
    let places = places.filter(|places| !matches!(places, Value::None));
    match (number, places) {
        (Value::Float(value), None) => convert::whole(value.round_ties_even()),
        (Value::Float(value), Some(places)) => {
            let places = match convert::index(places)? {
                Int::Small(places) => places,
                places if places.is_negative() => i64::MIN,
                Int::Large(_) => i64::MAX,
            };
            to_places(*value, places, meter).map(Value::Float)
        }
        (number, places) => {
            let Some(value) = Int::of(number) else {
                let kind = number.kind().name();
                let message = format!("type {kind} doesn't define __round__ method");
                return Err(Error::arguments(message));
            };
            match places.map(convert::index).transpose()? {
                Some(places) if places.is_negative() => to_tens(value, places, meter),
                _ => Ok(value.value()),
            }
        }
    }
}

/// Rounds a float to `places` behind the point, or before it if negative.
fn to_places(value: f64, places: i64, meter: &mut Meter) -> Result<f64, Error> {
    if !value.is_finite() || value == 0.0 || places > MOST_PLACES {
        return Ok(value);
    }
    if places < -MOST_TENS {
        return Ok(0.0_f64.copysign(value));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 308")]
    let before_point = 1 + value.abs().log10().max(0.0) as u64;
    meter.charge((before_point + places.unsigned_abs()) * PLACE_COST)?;
    let rounded = if let Ok(places) = usize::try_from(places) {
        // Exact digits, rounded once and read back. No shorter way is correct in all cases.
        format!("{:.places$}", value.abs()).parse().unwrap_or(value.abs())
    } else {
        let tens = IBig::from(10).pow(usize::try_from(places.unsigned_abs()).unwrap_or(usize::MAX));
        let whole = int_float::truncated(value.abs());
        let rounded = Value::from(half_even(&whole, &tens, value.fract() != 0.0));
        let too_large = Error::overflow("rounded value too large to represent");
        Int::of(&rounded).map_or(Ok(0.0), int_float::from_int).map_err(|_| too_large)?
    };
    Ok(f64::copysign(rounded, value))
}

/// Rounds an integer to a multiple of a power of ten.
fn to_tens(value: Int<'_>, places: Int<'_>, meter: &mut Meter) -> Result<Value, Error> {
    // A decimal digit has more than three bits. With one digit more, the result is zero.
    let most = value.bits() / 3 + 1;
    let tens = match places {
        Int::Small(places) if places.unsigned_abs() <= most => places.unsigned_abs(),
        _ => return Ok(Value::Int(0)),
    };
    let exponent = Int::Small(i64::try_from(tens).unwrap_or(i64::MAX));
    let unit = power::of_integers(Int::Small(10), exponent, meter)?;
    let Some(unit) = Int::of(&unit) else { return Ok(unit) };
    integer::charge_operands(value, unit, meter)?;
    integer::charge_division(value, unit, "", meter)?;
    Ok(half_even(&value.large(), &unit.large(), false).into())
}

/// The multiple of `unit` nearest to `value`, or to slightly more than that if `more`.
fn half_even(value: &IBig, unit: &IBig, more: bool) -> IBig {
    let (quotient, rest) = integer::floored(value, unit);
    let down = value - &rest;
    let twice: IBig = rest * 2;
    let up = match twice.cmp(unit) {
        core::cmp::Ordering::Equal => more || quotient.bit(0),
        order => order.is_gt(),
    };
    if up { down + unit } else { down }
}
