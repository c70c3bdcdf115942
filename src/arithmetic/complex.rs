//! Complex numbers, calculated as Python does it: without regard to infinities and signs of zero in
//! products, and with the C library's elementary functions in powers.

use super::bytecode::Binary;
use super::error::{Class, Error};
use super::value::{Kind, Value};

/// A complex number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Complex {
    /// The real part.
    pub re: f64,
    /// The imaginary part.
    pub im: f64,
}

const ONE: Complex = Complex { re: 1.0, im: 0.0 };

/// Integral exponents up to here are powers by repeated squaring.
const MOST_SQUARED: f64 = 100.0;

/// Whether complex numbers have the operator.
pub(super) fn has(operator: Binary) -> bool {
    use Binary::{Add, Divide, Multiply, Power, Subtract};
    matches!(operator, Add | Subtract | Multiply | Divide | Power)
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
        Binary::Power => power(left, right)?,
        _ => return Err(Error::Operands(operator.name(), Kind::Complex, Kind::Complex)),
    };
    Ok(result.into())
}

impl Complex {
    /// The distance from zero.
    pub(super) fn absolute(self) -> Result<f64, Error> {
        let absolute = self.re.hypot(self.im);
        if absolute.is_infinite() && self.re.is_finite() && self.im.is_finite() {
            return Err(Error::overflow("absolute value too large"));
        }
        Ok(absolute)
    }

    fn times(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    /// The quotient by Smith's method, which scales by the larger part of the divisor so that its
    /// square cannot overflow; nothing if the divisor is zero.
    fn over(self, other: Self) -> Option<Self> {
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
            // Not a number in the divisor: neither part is the larger one.
            Some(Self { re: f64::NAN, im: f64::NAN })
        }
    }
}

fn power(base: Complex, exponent: Complex) -> Result<Complex, Error> {
    const OF_ZERO: Error = Error::Fixed(Class::ZeroDivision, "0.0 to a negative or complex power");
    let is_integral = exponent.im == 0.0 && exponent.re.fract() == 0.0;
    let result = if is_integral && exponent.re.abs() <= MOST_SQUARED {
        integral_power(base, exponent.re).ok_or(OF_ZERO)?
    } else if base.re == 0.0 && base.im == 0.0 {
        if exponent.im != 0.0 || exponent.re < 0.0 {
            return Err(OF_ZERO);
        }
        Complex { re: 0.0, im: 0.0 }
    } else {
        // The C library has no angle for an infinite phase, and Python takes that for a zero base.
        polar_power(base, exponent).ok_or(OF_ZERO)?
    };
    if result.re.is_infinite() || result.im.is_infinite() {
        return Err(Error::overflow("complex exponentiation"));
    }
    Ok(result)
}

fn integral_power(base: Complex, exponent: f64) -> Option<Complex> {
    if exponent <= 0.0 {
        return ONE.over(integral_power_up(base, -exponent));
    }
    Some(integral_power_up(base, exponent))
}

fn integral_power_up(base: Complex, exponent: f64) -> Complex {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    let mut left = exponent as u32;
    let (mut result, mut square) = (ONE, base);
    while left > 0 {
        if left % 2 == 1 {
            result = result.times(square);
        }
        square = square.times(square);
        left /= 2;
    }
    result
}

fn polar_power(base: Complex, exponent: Complex) -> Option<Complex> {
    let distance = base.re.hypot(base.im);
    let angle = base.im.atan2(base.re);
    let mut length = distance.powf(exponent.re);
    let mut phase = angle * exponent.re;
    if exponent.im != 0.0 {
        length /= (angle * exponent.im).exp();
        phase += exponent.im * distance.ln();
    }
    if phase.is_infinite() {
        return None;
    }
    Some(Complex { re: length * phase.cos(), im: length * phase.sin() })
}
