//! Conversions: `int`, `float`, `complex`, `hex`, `oct`, `bin`.

use crate::choice::Choice;
use dashu_int::IBig;

use super::error::{Class, Error};
use super::int_float;
use super::integer::{self, Int};
use super::limits::DECIMAL_DIGITS;
use super::meter::{Meter, check_bytes};
use super::number::Number;
use super::value::{Complex, Value};

/// The cost of a digit of `hex`, `oct` or `bin`, to write it or to read it, in limb products.
const DIGIT_COST: u64 = 4;

/// The characters shown of a string that `int` cannot read, including its opening quote.
const LITERAL_SHOWN: usize = 200;

/// The integer of a value that must be one.
pub(super) fn index(value: &Value) -> Result<Int<'_>, Error> {
    Int::of(value).ok_or_else(|| {
        let kind = value.kind().name();
        Error::arguments(format!("'{kind}' object cannot be interpreted as an integer"))
    })
}

/// Converts a float without a fraction to an integer.
pub(super) fn whole(float: f64) -> Result<Value, Error> {
    if float.is_nan() {
        return Err(Error::value("cannot convert float NaN to integer"));
    }
    if float.is_infinite() {
        return Err(Error::overflow("cannot convert float infinity to integer"));
    }
    Ok(int_float::truncated(float).into())
}

/// `int(value)`
pub(super) fn to_int(value: &Value, meter: &mut Meter) -> Result<Value, Error> {
    match value {
        Value::Int(_) | Value::Large(_) => Ok(value.clone()),
        Value::Bool(value) => Ok(Value::Int(i64::from(*value))),
        Value::Float(value) => whole(value.trunc()),
        Value::Str(text) => read_integer(text, 10, meter),
        _ => Err(Error::arguments(format!(
            "int() argument must be a string, a bytes-like object or a real number, not '{}'",
            value.kind().name()
        ))),
    }
}

/// `int(text, base)`
pub(super) fn to_int_of_base(
    text: &Value,
    base: &Value,
    meter: &mut Meter,
) -> Result<Value, Error> {
    let Int::Small(base @ (0 | 2..=36)) = index(base)? else {
        return Err(Error::value("int() base must be >= 2 and <= 36, or 0"));
    };
    match text {
        Value::Str(text) => read_integer(text, u32::try_from(base).unwrap_or_default(), meter),
        _ => Err(Error::type_("int() can't convert non-string with explicit base")),
    }
}

/// Reads an integer from a string. Strings are made by `hex`, `oct` and `bin` only, so they have
/// neither blanks nor `_`.
fn read_integer(text: &str, base: u32, meter: &mut Meter) -> Result<Value, Error> {
    meter.charge(text.len() as u64 * DIGIT_COST)?;
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find(|&(prefix, radix)| (base == 0 || base == radix) && digits.starts_with(prefix));
    let (digits, radix) = match prefixed {
        Some((prefix, radix)) => (&digits[prefix.len()..], radix),
        None if base == 0 => (digits, 10),
        None => (digits, base),
    };
    let count = digits.chars().take_while(|digit| digit.is_digit(radix)).count();
    if count > DECIMAL_DIGITS && !radix.is_power_of_two() {
        let message = format!(
            "Exceeds the limit ({DECIMAL_DIGITS} digits) for integer string conversion: value has \
             {count} digits; use sys.set_int_max_str_digits() to increase the limit"
        );
        return Err(Error::Formatted(Class::Value, message.into()));
    }
    let well_formed = !digits.is_empty() && count == digits.len();
    let value = well_formed
        .then(|| IBig::from_str_radix(&format!("{sign}{digits}"), radix).ok())
        .flatten()
        .ok_or_else(|| {
            let literal = format!("'{text}'");
            let shown = literal.get(..LITERAL_SHOWN).unwrap_or(&literal);
            let message = format!("invalid literal for int() with base {base}: {shown}");
            Error::Formatted(Class::Value, message.into())
        })?;
    // In a larger base its digits are worth more bits than in the string's own.
    integer::checked(value).map(Value::from)
}

/// `float(value)`
pub(super) fn to_float(value: &Value, meter: &mut Meter) -> Result<Value, Error> {
    let float = match Number::of(value) {
        Some(Number::Float(value)) => value,
        Some(Number::Int(value)) => int_float::from_int(value)?,
        _ => {
            let Value::Str(text) = value else {
                let kind = value.kind().name();
                let message =
                    format!("float() argument must be a string or a real number, not '{kind}'");
                return Err(Error::arguments(message));
            };
            // Python shows the whole string. It is copied twice.
            meter.charge_bytes(2 * text.len())?;
            let message = format!("could not convert string to float: '{text}'");
            check_bytes(Class::Value.name().len() + ": ".len() + message.len())?;
            digit(text).ok_or(Error::Formatted(Class::Value, message.into()))?
        }
    };
    Ok(Value::Float(float))
}

/// Reads a number from a single digit. No longer string of `hex`, `oct` or `bin` is decimal; a
/// digit comes from taking one apart, as `max(hex(1))` does.
fn digit(text: &str) -> Option<f64> {
    if text.len() > 1 { None } else { text.parse().ok() }
}

/// `complex(real)` or `complex(real, imaginary)`; either may be complex itself.
pub(super) fn to_complex(real: &Value, imaginary: Option<&Value>) -> Result<Value, Error> {
    if let Value::Str(text) = real {
        if imaginary.is_some() {
            return Err(Error::type_("complex() can't take second arg if first is a string"));
        }
        let re = digit(text).ok_or(Error::value("complex() arg is a malformed string"))?;
        return Ok(Complex { re, im: 0.0 }.into());
    }
    if matches!(imaginary, Some(Value::Str(_))) {
        return Err(Error::type_("complex() second arg can't be a string"));
    }
    let wrong =
        |which: &str, kind: &str| Error::arguments(format!("complex() {which}, not '{kind}'"));
    let real_number = Number::of(real)
        .ok_or_else(|| wrong("first argument must be a string or a number", real.kind().name()))?;
    let imaginary = match imaginary {
        None => None,
        Some(value) => Some(
            Number::of(value)
                .ok_or_else(|| wrong("second argument must be a number", value.kind().name()))?,
        ),
    };
    let mut result = real_number.complex()?;
    if let Some(number) = imaginary {
        let part = number.complex()?;
        // In `result + part * 1j` zeros would have other signs.
        if matches!(number, Number::Complex(_)) {
            result.re -= part.im;
        }
        result.im =
            if matches!(real_number, Number::Complex(_)) { part.re + result.im } else { part.re };
    }
    Ok(result.into())
}

/// `hex`, `oct` and `bin`
pub(super) fn to_digits(value: &Value, radix: u32, meter: &mut Meter) -> Result<Value, Error> {
    let value = index(value)?;
    let bits_per_digit = u64::from(radix.ilog2());
    let digits = value.bits() / bits_per_digit;
    check_bytes(usize::try_from(digits).unwrap_or(usize::MAX))?;
    if let Int::Large(_) = value {
        meter.charge(digits * DIGIT_COST)?;
    }
    let value: &IBig = &value.large();
    Ok(match radix {
        16 => format!("{value:#x}"),
        8 => format!("{value:#o}"),
        _ => format!("{value:#b}"),
    }
    .into())
}

#[cfg(test)]
mod tests {
    use super::super::limits::REPLY_BYTES;
    use super::super::{Dialect, evaluate};
    use super::*;

    fn error(text: &str) -> Error {
        evaluate(text.as_bytes(), Dialect::Python).outcome.expect_err("it is beyond a limit")
    }

    #[test]
    fn an_integer_read_from_a_string_keeps_the_limit() {
        assert_eq!(error("int(bin(2**65000), 32) % 7"), Error::TooLarge);
        assert_eq!(error("int(bin(2**65000), 32)"), Error::Unprintable);
    }

    #[test]
    fn a_string_that_is_no_float_is_shown_if_it_fits_in_a_reply() {
        for (times, fits) in [(21_828, true), (21_845, false)] {
            let mut reply = String::new();
            error(&format!("float(hex(1) * {times})")).render(&mut reply).expect("it is a string");
            assert_eq!(reply.starts_with("ValueError: could not"), fits, "{}", reply.len());
            assert!(reply.len() <= REPLY_BYTES, "{} bytes", reply.len());
        }
    }
}
