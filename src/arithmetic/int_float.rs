//! Conversions between integers and floats, and the quotient of integers, which is a float. Results
//! are rounded once, to the nearest float, ties to even.

use dashu_int::IBig;
use dashu_int::ops::{BitTest as _, DivRem as _};

use super::error::Error;
use super::integer::Int;
use super::meter::Meter;

/// All integers up to 2^53 are exact as floats.
const EXACT: u64 = 1 << f64::MANTISSA_DIGITS;

/// Machine words are less than this, and not less than its negative.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// The bits of a float's mantissa that are stored: all but the first.
const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;

/// Bits of the largest float as an integer.
const MOST_BITS: usize = f64::MAX_EXP as usize;

/// Passes over the limbs of the longer operand that a quotient takes.
const QUOTIENT_PASSES: u64 = 4;

/// The exponent of the smallest float, 2^-1074.
const SMALLEST: i64 = f64::MIN_EXP as i64 - f64::MANTISSA_DIGITS as i64;

/// The float nearest to an integer.
pub(super) fn from_int(integer: Int<'_>) -> Result<f64, Error> {
    match integer {
        #[expect(clippy::cast_precision_loss, reason = "it rounds to the nearest, ties to even")]
        Int::Small(value) => Ok(value as f64),
        Int::Large(value) => {
            const TOO_LARGE: Error = Error::overflow("int too large to convert to float");
            let bits = value.bit_len();
            // So that no more limbs are copied than a float has.
            if bits > MOST_BITS {
                return Err(TOO_LARGE);
            }
            let excess = bits - u64::BITS as usize;
            let top = u64::try_from(integer.magnitude() >> excess).expect("the top 64 bits");
            let inexact = value.trailing_zeros().is_some_and(|zeros| zeros < excess);
            let magnitude = nearest(top, inexact, i64::try_from(excess).unwrap_or(i64::MAX))
                .ok_or(TOO_LARGE)?;
            Ok(if integer.is_negative() { -magnitude } else { magnitude })
        }
    }
}

/// A float without a fraction as a machine word, if it fits.
pub(super) fn small(float: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to fit")]
    (-TWO_TO_63..TWO_TO_63).contains(&float).then_some(float as i64)
}

/// A finite float without its fraction, as an integer.
pub(super) fn truncated(float: f64) -> IBig {
    IBig::try_from(float.trunc()).expect("a finite float without a fraction is an integer")
}

/// The quotient of two machine words, if both are exact as floats and the divisor is not zero.
#[inline]
pub(super) fn small_quotient(dividend: i64, divisor: i64) -> Option<f64> {
    let exact = dividend.unsigned_abs() <= EXACT && divisor.unsigned_abs() <= EXACT;
    #[expect(clippy::cast_precision_loss, reason = "checked to be exact")]
    (exact && divisor != 0).then(|| dividend as f64 / divisor as f64)
}

/// The float nearest to the quotient of two integers.
///
/// The dividend is shifted so that the integer quotient has 62 or 63 bits. That is more than a
/// float keeps, so rounding needs to know of the remainder only that it is not zero.
pub(super) fn quotient(
    dividend: Int<'_>,
    divisor: Int<'_>,
    meter: &mut Meter,
) -> Result<f64, Error> {
    if divisor.is_zero() {
        return Err(Error::zero_division("division by zero"));
    }
    // The quotient has one limb. Both operands are copied, one is shifted, both are scaled, and
    // there is a remainder.
    meter.charge(QUOTIENT_PASSES * dividend.limbs().max(divisor.limbs()))?;
    let negative = dividend.is_negative() != divisor.is_negative();
    if dividend.is_zero() {
        return Ok(if negative { -0.0 } else { 0.0 });
    }
    let (a, b) = (dividend.magnitude(), divisor.magnitude());
    let excess = i64::try_from(dividend.bits()).unwrap_or(i64::MAX)
        - i64::try_from(divisor.bits()).unwrap_or(i64::MAX)
        - 62;
    let shift = usize::try_from(excess.unsigned_abs()).unwrap_or(usize::MAX);
    let (quotient, remainder) =
        if excess > 0 { a.div_rem(b << shift) } else { (a << shift).div_rem(b) };
    let top = u64::try_from(quotient).expect("a quotient of 62 or 63 bits");
    let inexact = !remainder.is_zero();
    let magnitude = nearest(top, inexact, excess)
        .ok_or(Error::overflow("integer division result too large for a float"))?;
    Ok(if negative { -magnitude } else { magnitude })
}

/// The float nearest to `top * 2^exponent`, or to slightly more than that if `inexact`; `None` if
/// it is beyond the largest float.
///
/// If `inexact`, `top` has at least 55 bits, so that the excess is below the last place.
fn nearest(top: u64, inexact: bool, exponent: i64) -> Option<f64> {
    let bits = i64::from(u64::BITS - top.leading_zeros());
    // The exponent of the result's last place.
    let last = (bits + exponent - i64::from(f64::MANTISSA_DIGITS)).max(SMALLEST);
    let surplus = last - exponent;
    let mantissa = match u32::try_from(surplus) {
        Ok(0) => top,
        Ok(surplus @ 1..=63) => {
            let kept = top >> surplus;
            let rest = top & ((1 << surplus) - 1);
            let half = 1 << (surplus - 1);
            let up = rest > half || rest == half && (inexact || kept % 2 == 1);
            kept + u64::from(up)
        }
        // No bit is kept. The rest is at least half of the last place only if the top bit is set.
        Ok(64) => u64::from(top > 1 << 63 || top == 1 << 63 && inexact),
        _ => 0,
    };
    let biased = u64::try_from(last - SMALLEST).ok()?;
    if biased > f64::MAX.to_bits() >> FRACTION_BITS {
        return None;
    }
    // A mantissa below 2^52 makes a subnormal; one of 2^53 carries into the exponent by itself.
    let encoded = (biased << FRACTION_BITS) + mantissa;
    (encoded <= f64::MAX.to_bits()).then(|| f64::from_bits(encoded))
}
