//! Integers: a machine word where it suffices, a list of limbs where it does not.
//!
//! The fast path comes first and gives up on overflow; the slow path weighs the operation before
//! doing it. `//` rounds down and `%` takes the divisor's sign.

use std::borrow::Cow;

use num_bigint::{BigInt, Sign};
use num_integer::Integer as _;

use super::code::{Binary, Unary};
use super::error::Error;
use super::float;
use super::limits::{INTEGER_BITS, LIMB_BITS, Meter, check_bits};
use super::value::Value;

/// An integer, looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Int<'v> {
    Small(i64),
    Large(&'v BigInt),
}

impl<'v> Int<'v> {
    pub(super) fn large(self) -> Cow<'v, BigInt> {
        match self {
            Self::Small(value) => Cow::Owned(BigInt::from(value)),
            Self::Large(value) => Cow::Borrowed(value),
        }
    }

    pub(super) fn is_zero(self) -> bool {
        matches!(self, Self::Small(0))
    }

    pub(super) fn is_negative(self) -> bool {
        match self {
            Self::Small(value) => value < 0,
            Self::Large(value) => value.sign() == Sign::Minus,
        }
    }

    /// Bits of the absolute value.
    pub(super) fn bits(self) -> u64 {
        match self {
            Self::Small(value) => u64::from(u64::BITS - value.unsigned_abs().leading_zeros()),
            Self::Large(value) => value.bits(),
        }
    }

    /// Limbs of the absolute value.
    pub(super) fn limbs(self) -> u64 {
        self.bits().div_ceil(LIMB_BITS)
    }
}

/// The result if operands and result fit machine words, otherwise nothing: also where the answer
/// is not an integer or no answer at all.
#[inline]
pub(super) fn small(operator: Binary, left: i64, right: i64) -> Option<Value> {
    let result = match operator {
        Binary::Add => left.checked_add(right)?,
        Binary::Subtract => left.checked_sub(right)?,
        Binary::Multiply => left.checked_mul(right)?,
        Binary::FloorDivide => left.checked_div(right)? - i64::from(rounds_up(left, right)),
        Binary::Remainder if rounds_up(left, right) => left.checked_rem(right)? + right,
        Binary::Remainder => left.checked_rem(right)?,
        Binary::Divide => return float::small_quotient(left, right).map(Value::Float),
        Binary::Power => left.checked_pow(u32::try_from(right).ok()?)?,
        Binary::And => left & right,
        Binary::Or => left | right,
        Binary::Xor => left ^ right,
        Binary::ShiftRight if right >= 0 => left >> right.min(63),
        Binary::ShiftRight | Binary::ShiftLeft | Binary::MatrixMultiply => return None,
    };
    Some(Value::Int(result))
}

/// Whether the machine's division, which rounds towards zero, rounds this quotient up.
fn rounds_up(left: i64, right: i64) -> bool {
    (left < 0) != (right < 0) && left.checked_rem(right).is_some_and(|remainder| remainder != 0)
}

/// An operator on two integers of any size.
pub(super) fn binary(
    operator: Binary,
    left: Int<'_>,
    right: Int<'_>,
    meter: &mut Meter,
) -> Result<Value, Error> {
    if let (Int::Small(left), Int::Small(right)) = (left, right)
        && let Some(result) = small(operator, left, right)
    {
        return Ok(result);
    }
    let (a, b) = (left.large(), right.large());
    let result = match operator {
        Binary::Add => checked(&*a + &*b)?,
        Binary::Subtract => checked(&*a - &*b)?,
        Binary::Multiply => {
            check_bits((left.bits() + right.bits()).saturating_sub(1))?;
            meter.charge(left.limbs() * right.limbs())?;
            checked(&*a * &*b)?
        }
        Binary::Divide => return float::quotient(left, right, meter).map(Value::Float),
        Binary::FloorDivide => {
            charge_division(left, right, "integer division or modulo by zero", meter)?;
            a.div_floor(&b)
        }
        Binary::Remainder => {
            charge_division(left, right, "integer modulo by zero", meter)?;
            a.mod_floor(&b)
        }
        Binary::Power => return power(left, right, meter),
        Binary::And => &*a & &*b,
        Binary::Or => &*a | &*b,
        Binary::Xor => &*a ^ &*b,
        Binary::ShiftLeft => return shift_left(left, right),
        Binary::ShiftRight => return shift_right(left, right),
        Binary::MatrixMultiply => {
            let kind = super::value::Kind::Int;
            return Err(Error::Operands(operator.name(), kind, kind));
        }
    };
    Ok(result.into())
}

/// A sign or the complement of an integer.
pub(super) fn unary(operator: Unary, operand: Int<'_>) -> Value {
    match (operator, operand) {
        (Unary::Plus, Int::Small(value)) => Value::Int(value),
        (Unary::Plus, Int::Large(value)) => value.clone().into(),
        (Unary::Minus, operand) => match operand {
            Int::Small(value) if value != i64::MIN => Value::Int(-value),
            _ => Value::from(-operand.large().into_owned()),
        },
        (Unary::Invert, Int::Small(value)) => Value::Int(!value),
        (Unary::Invert, Int::Large(value)) => Value::from(!value),
    }
}

/// Sums and differences cost next to nothing, so their size is looked at afterwards.
fn checked(result: BigInt) -> Result<BigInt, Error> {
    check_bits(result.bits()).map(|()| result)
}

/// Pays for a division; `words` complain of a zero.
pub(super) fn charge_division(
    left: Int<'_>,
    right: Int<'_>,
    words: &'static str,
    meter: &mut Meter,
) -> Result<(), Error> {
    if right.is_zero() {
        return Err(Error::zero_division(words));
    }
    let (dividend, divisor) = (left.limbs(), right.limbs());
    meter.charge((dividend + 1).saturating_sub(divisor) * divisor)
}

/// `base ** exponent`; with a negative exponent a float.
fn power(base: Int<'_>, exponent: Int<'_>, meter: &mut Meter) -> Result<Value, Error> {
    if exponent.is_negative() {
        return float::power(float::from_int(base)?, float::from_int(exponent)?);
    }
    // Free at any exponent, which is why the exponent's size does not matter here.
    let is_odd = exponent.large().bit(0);
    match base {
        _ if exponent.is_zero() => return Ok(Value::Int(1)),
        Int::Small(0 | 1) => return Ok(Value::from(base.large().into_owned())),
        Int::Small(-1) => return Ok(Value::Int(if is_odd { -1 } else { 1 })),
        _ => {}
    }
    let too_large = || check_bits(u64::MAX);
    let Int::Small(times) = exponent else { return too_large().map(|()| Value::Int(0)) };
    let Ok(times) = u32::try_from(times) else { return too_large().map(|()| Value::Int(0)) };
    check_bits((base.bits() - 1).saturating_mul(u64::from(times)))?;
    // The lower bound passed; the upper bound may be twice that, but what is larger than the
    // limit is not kept and so not charged for.
    let bits = base.bits().saturating_mul(u64::from(times)).min(INTEGER_BITS);
    let limbs = bits.div_ceil(LIMB_BITS);
    meter.charge(limbs * limbs)?;
    Ok(checked(base.large().pow(times))?.into())
}

const NEGATIVE_SHIFT: &str = "negative shift count";

fn shift_left(left: Int<'_>, right: Int<'_>) -> Result<Value, Error> {
    if right.is_negative() {
        return Err(Error::value(NEGATIVE_SHIFT));
    }
    if left.is_zero() {
        return Ok(Value::Int(0));
    }
    let Int::Small(count) = right else {
        return Err(Error::overflow("too many digits in integer"));
    };
    check_bits(left.bits().saturating_add(count.unsigned_abs()))?;
    Ok(Value::from(&*left.large() << count))
}

fn shift_right(left: Int<'_>, right: Int<'_>) -> Result<Value, Error> {
    if right.is_negative() {
        return Err(Error::value(NEGATIVE_SHIFT));
    }
    match right {
        Int::Small(count) if count.unsigned_abs() < left.bits() => {
            Ok(Value::from(&*left.large() >> count))
        }
        _ => Ok(Value::Int(if left.is_negative() { -1 } else { 0 })),
    }
}
