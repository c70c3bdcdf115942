//! Powers of integers: exact ones, and those modulo a third integer.

use dashu_int::IBig;
use dashu_int::fast_div::ConstDivisor;
use dashu_int::ops::BitTest as _;

use super::error::Error;
use super::float;
use super::integer::Int;
use super::limits::{INTEGER_BITS, LIMB_BITS, Meter, check_bits};
use super::operators::Number;
use super::value::Value;

/// What a bit of the exponent costs beside its products, in limb products: the larger part where
/// the modulus is short.
const BIT_OVERHEAD: u64 = 16;

/// `base ** exponent`; with a negative exponent a float.
pub(super) fn exact(base: Int<'_>, exponent: Int<'_>, meter: &mut Meter) -> Result<Value, Error> {
    if exponent.is_negative() {
        return float::power(float::from_int(base)?, float::from_int(exponent)?);
    }
    // These are free at any exponent, which is why its size does not matter here.
    match base {
        _ if exponent.is_zero() => return Ok(Value::Int(1)),
        Int::Small(base @ (0 | 1)) => return Ok(Value::Int(base)),
        Int::Small(-1) => return Ok(Value::Int(if exponent.is_odd() { -1 } else { 1 })),
        _ => {}
    }
    // A lower bound; the upper one may be twice that, but what is beyond the limit is not kept, and
    // is not paid for.
    let times = exponent.word();
    check_bits((base.bits() - 1).saturating_mul(times))?;
    let limbs = base.bits().saturating_mul(times).min(INTEGER_BITS).div_ceil(LIMB_BITS);
    meter.charge(limbs * limbs)?;
    let times = usize::try_from(times).map_err(|_| Error::TooLarge)?;
    let power = base.large().pow(times);
    check_bits(power.bit_len() as u64)?;
    Ok(power.into())
}

/// `pow(base, exponent, modulus)`, which asks the types of its arguments, from the first to the
/// last, whether one of them knows how.
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
    meter.charge(base.limbs().saturating_sub(limbs) * limbs)?;
    // A square, perhaps a product, and their divisions.
    meter.charge(exponent.bits().saturating_mul(3 * limbs * limbs + BIT_OVERHEAD))?;
    let ring = ConstDivisor::new(modulus.magnitude());
    let mut base = ring.reduce(base.large().into_owned());
    if exponent.is_negative() {
        // Euclid's algorithm takes away about a bit and a half in each of its divisions.
        meter.charge(modulus.bits() * limbs)?;
        let message = "base is not invertible for the given modulus";
        base = base.inv().ok_or(Error::value(message))?;
    }
    let power = IBig::from(base.pow(&exponent.magnitude()).residue());
    let is_below = modulus.is_negative() && !power.is_zero();
    Ok(if is_below { power + &*modulus.large() } else { power }.into())
}
