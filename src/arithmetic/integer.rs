//! Integers of any size, with exact results. `//` rounds down, and `%` takes the divisor's sign.
//!
//! An operation is charged before it is done. Operands that fit machine words, with a result that
//! does, are computed in `operators` already.

use crate::choice::Choice;
use std::borrow::Cow;
use std::rc::Rc;

use dashu_int::ops::{BitTest as _, DivRem as _, UnsignedAbs as _};
use dashu_int::{IBig, Sign, UBig};

use super::bytecode::{Binary, Unary};
use super::error::Error;
use super::limits::LIMB_BITS;
use super::meter::{Meter, check_bits};
use super::value::{Kind, Value};

/// A view of an integer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Int<'v> {
    Small(i64),
    Large(&'v Rc<IBig>),
}

impl<'v> Int<'v> {
    /// The integer of an `int` or a `bool`.
    pub(super) fn of(value: &'v Value) -> Option<Self> {
        match value {
            Value::Int(value) => Some(Self::Small(*value)),
            Value::Bool(value) => Some(Self::Small(i64::from(*value))),
            Value::Large(value) => Some(Self::Large(value)),
            _ => None,
        }
    }

    pub(super) fn large(self) -> Cow<'v, IBig> {
        match self {
            Self::Small(value) => Cow::Owned(IBig::from(value)),
            Self::Large(value) => Cow::Borrowed(value),
        }
    }

    /// The integer itself as a value. A large one is shared, not copied.
    pub(super) fn value(self) -> Value {
        match self {
            Self::Small(value) => Value::Int(value),
            Self::Large(value) => Value::Large(Rc::clone(value)),
        }
    }

    /// The absolute value.
    pub(super) fn magnitude(self) -> UBig {
        self.large().into_owned().unsigned_abs()
    }

    pub(super) fn is_zero(self) -> bool {
        matches!(self, Self::Small(0))
    }

    pub(super) fn is_negative(self) -> bool {
        match self {
            Self::Small(value) => value < 0,
            Self::Large(value) => value.sign() == Sign::Negative,
        }
    }

    /// Bits of the absolute value.
    pub(super) fn bits(self) -> u64 {
        match self {
            Self::Small(value) => u64::from(u64::BITS - value.unsigned_abs().leading_zeros()),
            Self::Large(value) => value.bit_len() as u64,
        }
    }

    pub(super) fn is_odd(self) -> bool {
        match self {
            Self::Small(value) => value % 2 != 0,
            Self::Large(value) => value.bit(0),
        }
    }

    /// The absolute value, or `u64::MAX` if it does not fit a machine word.
    pub(super) fn word(self) -> u64 {
        match self {
            Self::Small(value) => value.unsigned_abs(),
            Self::Large(_) => u64::MAX,
        }
    }

    /// Limbs of the absolute value.
    pub(super) fn limbs(self) -> u64 {
        self.bits().div_ceil(LIMB_BITS)
    }
}

/// Returns true for an operator whose result on integers is an integer.
pub(super) fn has(operator: Binary) -> bool {
    !matches!(operator, Binary::Divide | Binary::Power | Binary::MatrixMultiply)
}

/// An operator on two integers of any size.
pub(super) fn binary(
    operator: Binary,
    left: Int<'_>,
    right: Int<'_>,
    meter: &mut Meter,
) -> Result<Value, Error> {
    let (a, b) = (left.large(), right.large());
    charge_operands(left, right, meter)?;
    let result = match operator {
        Binary::Add => checked(&*a + &*b)?,
        Binary::Subtract => checked(&*a - &*b)?,
        Binary::Multiply => {
            check_bits((left.bits() + right.bits()).saturating_sub(1))?;
            meter.charge(left.limbs() * right.limbs())?;
            checked(&*a * &*b)?
        }
        Binary::FloorDivide => {
            charge_division(left, right, "integer division or modulo by zero", meter)?;
            floored(&a, &b).0
        }
        Binary::TruncDiv => {
            charge_division(left, right, "division by zero", meter)?;
            &*a / &*b
        }
        Binary::TruncRem => {
            charge_division(left, right, "integer modulo by zero", meter)?;
            &*a % &*b
        }
        Binary::Remainder => {
            charge_division(left, right, "integer modulo by zero", meter)?;
            floored(&a, &b).1
        }
        Binary::And => &*a & &*b,
        Binary::Or => &*a | &*b,
        Binary::Xor => &*a ^ &*b,
        Binary::ShiftLeft => return shift_left(left, right, meter),
        Binary::ShiftRight => return shift_right(left, right),
        Binary::Divide | Binary::Power | Binary::MatrixMultiply => {
            return Err(Error::Operands(operator.name(), Kind::Int, Kind::Int));
        }
    };
    Ok(result.into())
}

/// A sign or the complement of an integer.
pub(super) fn unary(operator: Unary, operand: Int<'_>, meter: &mut Meter) -> Result<Value, Error> {
    Ok(match (operator, operand) {
        (Unary::Plus, _) => operand.value(),
        (Unary::Minus, Int::Small(value)) if value != i64::MIN => Value::Int(-value),
        (Unary::Invert, Int::Small(value)) => Value::Int(!value),
        (Unary::Minus, _) => {
            charge_operands(operand, operand, meter)?;
            Value::from(-operand.large().into_owned())
        }
        (Unary::Invert, Int::Large(value)) => {
            charge_operands(operand, operand, meter)?;
            Value::from(!&**value)
        }
    })
}

/// Refuses a result beyond the limit after it is computed, where that costs next to nothing: sums,
/// differences, digits read.
pub(super) fn checked(result: IBig) -> Result<IBig, Error> {
    check_bits(result.bit_len() as u64).map(|()| result)
}

/// Charges for a pass over the limbs of both: one product each, and the first is free.
pub(super) fn charge_operands(
    left: Int<'_>,
    right: Int<'_>,
    meter: &mut Meter,
) -> Result<(), Error> {
    meter.charge(left.limbs().max(right.limbs()).saturating_sub(1))
}

/// Charges for a division; a zero divisor raises `message`.
pub(super) fn charge_division(
    left: Int<'_>,
    right: Int<'_>,
    message: &'static str,
    meter: &mut Meter,
) -> Result<(), Error> {
    if right.is_zero() {
        return Err(Error::zero_division(message));
    }
    meter.charge(division_cost(left, right))
}

/// The cost of a division: products for each limb of the quotient, and finding that limb.
pub(super) fn division_cost(dividend: Int<'_>, divisor: Int<'_>) -> u64 {
    let (dividend, divisor) = (dividend.limbs(), divisor.limbs());
    (dividend + 1).saturating_sub(divisor) * (divisor + QUOTIENT_LIMB_COST)
}

/// The quotient rounded down, and the remainder with the divisor's sign.
pub(super) fn floored(dividend: &IBig, divisor: &IBig) -> (IBig, IBig) {
    let (quotient, remainder) = dividend.div_rem(divisor);
    if remainder.is_zero() || remainder.sign() == divisor.sign() {
        return (quotient, remainder);
    }
    (quotient - 1, remainder + divisor)
}

/// `divmod(left, right)`
pub(super) fn divmod(
    left: Int<'_>,
    right: Int<'_>,
    meter: &mut Meter,
) -> Result<(Value, Value), Error> {
    charge_operands(left, right, meter)?;
    charge_division(left, right, "integer division or modulo by zero", meter)?;
    let (quotient, remainder) = floored(&left.large(), &right.large());
    Ok((quotient.into(), remainder.into()))
}

/// The cost of finding a limb of a quotient, in limb products.
const QUOTIENT_LIMB_COST: u64 = 4;

const NEGATIVE_SHIFT: &str = "negative shift count";

fn shift_left(left: Int<'_>, right: Int<'_>, meter: &mut Meter) -> Result<Value, Error> {
    if right.is_negative() {
        return Err(Error::value(NEGATIVE_SHIFT));
    }
    if left.is_zero() {
        return Ok(Value::Int(0));
    }
    let Int::Small(count) = right else {
        return Err(Error::overflow("too many digits in integer"));
    };
    let bits = left.bits().saturating_add(count.unsigned_abs());
    check_bits(bits)?;
    meter.charge(bits / LIMB_BITS)?;
    let count = usize::try_from(count).map_err(|_| Error::TooLarge)?;
    Ok(Value::from(&*left.large() << count))
}

fn shift_right(left: Int<'_>, right: Int<'_>) -> Result<Value, Error> {
    if right.is_negative() {
        return Err(Error::value(NEGATIVE_SHIFT));
    }
    match usize::try_from(right.word()) {
        Ok(count) if right.word() < left.bits() => Ok(Value::from(&*left.large() >> count)),
        _ => Ok(Value::Int(if left.is_negative() { -1 } else { 0 })),
    }
}
