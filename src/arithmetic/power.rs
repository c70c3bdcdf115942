//! Powers of all types, and powers of integers modulo an integer. Those of floats and complex
//! numbers use the C library's functions, as Python does.

use crate::choice::Choice;
use dashu_int::IBig;
use dashu_int::fast_div::ConstDivisor;
use dashu_int::ops::BitTest as _;

use super::error::Error;
use super::int_float;
use super::integer::{self, Int};
use super::limits::{INTEGER_BITS, LIMB_BITS};
use super::meter::{Meter, check_bits};
use super::number::Number;
use super::value::{Complex, Value};

const ONE: Complex = Complex { re: 1.0, im: 0.0 };

/// The largest integral exponent of a complex number that is done by repeated squaring.
const MOST_SQUARED: f64 = 100.0;

/// `base ** exponent`
pub(super) fn power(
    base: Number<'_>,
    exponent: Number<'_>,
    meter: &mut Meter,
) -> Result<Value, Error> {
    match (base, exponent) {
        (Number::Int(base), Number::Int(exponent)) => of_integers(base, exponent, meter),
        (Number::Complex(_), _) | (_, Number::Complex(_)) => {
            of_complex(base.complex()?, exponent.complex()?).map(Value::from)
        }
        _ => of_floats(base.complex()?.re, exponent.complex()?.re),
    }
}

/// An exact integer, or a float if the exponent is negative.
pub(super) fn of_integers(
    base: Int<'_>,
    exponent: Int<'_>,
    meter: &mut Meter,
) -> Result<Value, Error> {
    integer::charge_operands(base, exponent, meter)?;
    if exponent.is_negative() {
        return of_floats(int_float::from_int(base)?, int_float::from_int(exponent)?);
    }
    // Free at any exponent.
    match base {
        _ if exponent.is_zero() => return Ok(Value::Int(1)),
        Int::Small(base @ (0 | 1)) => return Ok(Value::Int(base)),
        Int::Small(-1) => return Ok(Value::Int(if exponent.is_odd() { -1 } else { 1 })),
        _ => {}
    }
    // A lower bound of the result's size. The upper one is up to twice that; a result beyond the
    // limit is not kept, and its excess is not charged.
    let times = exponent.word();
    check_bits((base.bits() - 1).saturating_mul(times))?;
    let limbs = base.bits().saturating_mul(times).min(INTEGER_BITS).div_ceil(LIMB_BITS);
    meter.charge(limbs * limbs)?;
    let times = usize::try_from(times).map_err(|_| Error::TooLarge)?;
    let power = base.large().pow(times);
    check_bits(power.bit_len() as u64)?;
    Ok(power.into())
}

/// The C library's `pow`, except where Python raises an error or continues with complex numbers.
fn of_floats(base: f64, exponent: f64) -> Result<Value, Error> {
    if base == 0.0 && exponent < 0.0 && exponent.is_finite() {
        return Err(Error::zero_division("0.0 cannot be raised to a negative power"));
    }
    if base < 0.0 && base.is_finite() && exponent.is_finite() && exponent.fract() != 0.0 {
        let base = Complex { re: base, im: 0.0 };
        return of_complex(base, Complex { re: exponent, im: 0.0 }).map(Value::from);
    }
    let result = base.powf(exponent);
    if result.is_infinite() && base.is_finite() && exponent.is_finite() {
        return Err(Error::overflow("(34, 'Numerical result out of range')"));
    }
    Ok(Value::Float(result))
}

fn of_complex(base: Complex, exponent: Complex) -> Result<Complex, Error> {
    const OF_ZERO: Error = Error::zero_division("0.0 to a negative or complex power");
    let is_integral = exponent.im == 0.0 && exponent.re.fract() == 0.0;
    let result = if is_integral && exponent.re.abs() <= MOST_SQUARED {
        integral_power(base, exponent.re).ok_or(OF_ZERO)?
    } else if base.re == 0.0 && base.im == 0.0 {
        if exponent.im != 0.0 || exponent.re < 0.0 {
            return Err(OF_ZERO);
        }
        Complex { re: 0.0, im: 0.0 }
    } else {
        // For an infinite phase the C library reports a domain error, which Python takes for that
        // of a zero base.
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

/// `pow(base, exponent, modulus)`. Python asks the types of the arguments, from the first to the
/// last; the first that has an answer or an error decides.
pub(super) fn modular(arguments: [&Value; 3], meter: &mut Meter) -> Result<Value, Error> {
    let [base, exponent, modulus] = arguments;
    for argument in arguments {
        match Number::of(argument) {
            Some(Number::Int(_)) => {
                if let (Some(base), Some(exponent), Some(modulus)) =
                    (Int::of(base), Int::of(exponent), Int::of(modulus))
                {
                    return modular_integer(base, exponent, modulus, meter);
                }
            }
            Some(Number::Float(_)) => {
                let message = "pow() 3rd argument not allowed unless all arguments are integers";
                return Err(Error::type_(message));
            }
            Some(Number::Complex(_)) => {
                if let Some(base) = Number::of(base) {
                    base.complex()?;
                    if let Some(exponent) = Number::of(exponent) {
                        exponent.complex()?;
                        return Err(Error::value("complex modulo"));
                    }
                }
            }
            None => {}
        }
    }
    let [base, exponent, modulus] = arguments.map(|argument| argument.kind().name());
    Err(Error::arguments(format!(
        "unsupported operand type(s) for ** or pow(): '{base}', '{exponent}', '{modulus}'"
    )))
}

/// The cost of a bit of the exponent: a square, now and then a product, and their reductions. It is
/// fitted to measurements; with a short modulus the products are the smaller part.
fn bit_cost(limbs: u64) -> u64 {
    2 * limbs * limbs + 5 * limbs + 20
}

/// The cost of an inverse by Lehmer's form of Euclid's algorithm: divisions of single limbs, and a
/// pass over all limbs for each limb's worth of bits that they remove. It is fitted to
/// measurements.
fn inverse_cost(modulus: Int<'_>) -> u64 {
    8 * modulus.bits() + 4 * modulus.limbs() * modulus.limbs()
}

fn modular_integer(
    base: Int<'_>,
    exponent: Int<'_>,
    modulus: Int<'_>,
    meter: &mut Meter,
) -> Result<Value, Error> {
    if modulus.is_zero() {
        return Err(Error::value("pow() 3rd argument cannot be 0"));
    }
    if modulus.bits() == 1 {
        return Ok(Value::Int(0));
    }
    let limbs = modulus.limbs();
    integer::charge_operands(base, modulus, meter)?;
    meter.charge(integer::division_cost(base, modulus))?;
    meter.charge(exponent.bits().saturating_mul(bit_cost(limbs)))?;
    let ring = ConstDivisor::new(modulus.magnitude());
    let mut base = ring.reduce(base.large().into_owned());
    if exponent.is_negative() {
        meter.charge(inverse_cost(modulus))?;
        let message = "base is not invertible for the given modulus";
        base = base.inv().ok_or(Error::value(message))?;
    }
    let power = IBig::from(base.pow(&exponent.magnitude()).residue());
    let is_below = modulus.is_negative() && !power.is_zero();
    Ok(if is_below { power + &*modulus.large() } else { power }.into())
}
