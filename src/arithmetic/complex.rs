//! Complex numbers, as in Python's `Objects/complexobject.c`: products do not treat infinities and
//! signs of zero specially, unlike those of C's Annex G.

use super::bytecode::Binary;
use super::error::Error;
use super::value::{Complex, Kind, Value};
use crate::choice::Choice;

/// Returns true for an operator that complex numbers have, but for `**`, which is in `power`.
pub(super) fn has(operator: Binary) -> bool {
    use Binary::{Add, Divide, Multiply, Subtract};
    matches!(operator, Add | Subtract | Multiply | Divide)
}

/// An operator on two complex numbers.
pub(super) fn binary(operator: Binary, left: Complex, right: Complex) -> Result<Value, Error> {
    let result = match operator {
        Binary::Add => Complex { re: left.re + right.re, im: left.im + right.im },
        Binary::Subtract => Complex { re: left.re - right.re, im: left.im - right.im },
        Binary::Multiply => left.times(right),
        Binary::Divide => {
            left.over(right).ok_or(Error::zero_division("complex division by zero"))?
        }
        _ => return Err(Error::Operands(operator.name(), Kind::Complex, Kind::Complex)),
    };
    Ok(result.into())
}

impl Complex {
    /// The absolute value.
    pub(super) fn absolute(self) -> Result<f64, Error> {
        let absolute = self.re.hypot(self.im);
        if absolute.is_infinite() && self.re.is_finite() && self.im.is_finite() {
            return Err(Error::overflow("absolute value too large"));
        }
        Ok(absolute)
    }

    pub(super) fn times(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    /// The quotient by Smith's method, which scales by the larger part of the divisor so that its
    /// square cannot overflow; `None` if the divisor is zero.
    pub(super) fn over(self, other: Self) -> Option<Self> {
        if other.re.abs() >= other.im.abs() {
            if other.re == 0.0 {
                return None;
            }
            let ratio = other.im / other.re;
            let scale = other.re + other.im * ratio;
            Some(Self {
                re: (self.re + self.im * ratio) / scale,
                im: (self.im - self.re * ratio) / scale,
            })
        } else if other.im.abs() >= other.re.abs() {
            let ratio = other.re / other.im;
            let scale = other.re * ratio + other.im;
            Some(Self {
                re: (self.re * ratio + self.im) / scale,
                im: (self.im * ratio - self.re) / scale,
            })
        } else {
            // A part of the divisor is NaN.
            Some(Self { re: f64::NAN, im: f64::NAN })
        }
    }
}
