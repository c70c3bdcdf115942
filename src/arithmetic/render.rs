//! What Python's `str()` prints of a value.

use core::fmt::{Result as Written, Write};

use num_bigint::BigInt;

use super::error::Error;
use super::limits::DECIMAL_DIGITS;
use super::value::Value;

impl Value {
    /// Writes what Python would print.
    ///
    /// Every limit was checked when the value was made an answer, so it fails only if `out` does.
    pub fn render(&self, out: &mut impl Write) -> Written {
        match self {
            Self::Int(value) => out.write_str(itoa::Buffer::new().format(*value)),
            Self::Large(value) => write!(out, "{value}"),
            Self::Float(value) => float(*value, out),
        }
    }
}

/// Refuses what has more digits than Python prints.
pub(super) fn check_printable(value: &Value) -> Result<(), Error> {
    match value {
        Value::Large(value) if !is_printable(value) => Err(Error::Unprintable),
        _ => Ok(()),
    }
}

/// Whether an integer has at most [`DECIMAL_DIGITS`] digits.
fn is_printable(value: &BigInt) -> bool {
    // A digit is more than 3.3 and less than 3.4 bits: most integers need not be compared.
    let bits = value.bits();
    let digits = DECIMAL_DIGITS as u64;
    if bits <= digits * 33 / 10 || bits > digits * 34 / 10 {
        return bits <= digits * 33 / 10;
    }
    let digits = u32::try_from(DECIMAL_DIGITS).expect("a few thousand fit 32 bits");
    *value.magnitude() < num_bigint::BigUint::from(10_u32).pow(digits)
}

/// The shortest digits that read back as the same float: positional while the first of them is
/// worth 10^-4 to 10^15, otherwise with an exponent of at least two digits.
fn float(value: f64, out: &mut impl Write) -> Written {
    if value.is_nan() {
        return out.write_str("nan");
    }
    if value.is_sign_negative() {
        out.write_char('-')?;
    }
    if value.is_infinite() {
        return out.write_str("inf");
    }
    let mut shortest = zmij::Buffer::new();
    let decimal = Decimal::read(shortest.format_finite(value.abs()));
    match decimal.exponent {
        -4..16 => decimal.positional(out),
        _ => decimal.scientific(out),
    }
}

/// Significant digits, the first not zero unless it is the only one, and the power of ten that the
/// first is worth.
struct Decimal {
    digits: [u8; Self::MOST],
    length: usize,
    exponent: i32,
}

impl Decimal {
    /// A float needs no more digits to be told from its neighbours.
    const MOST: usize = 17;

    /// Reads what is written as `123.45` or `1.2345e67`.
    fn read(written: &str) -> Self {
        let (mantissa, exponent) = written.split_once('e').unwrap_or((written, "0"));
        let mut decimal = Self {
            digits: [b'0'; Self::MOST],
            length: 0,
            exponent: exponent.parse().unwrap_or_default(),
        };
        let mut before_point = true;
        // The place of the next digit, counted from the first one that is not zero.
        for byte in mantissa.bytes() {
            let leads = decimal.length == 0;
            match byte {
                b'.' => before_point = false,
                b'0' if leads => decimal.exponent -= i32::from(!before_point),
                _ => {
                    if leads && !before_point {
                        decimal.exponent -= 1;
                    } else if !leads && before_point {
                        decimal.exponent += 1;
                    }
                    if let Some(place) = decimal.digits.get_mut(decimal.length) {
                        *place = byte;
                    }
                    decimal.length += 1;
                }
            }
        }
        decimal.length = decimal.length.min(Self::MOST);
        while decimal.length > 1 && decimal.digits[decimal.length - 1] == b'0' {
            decimal.length -= 1;
        }
        if decimal.length == 0 {
            (decimal.length, decimal.exponent) = (1, 0);
        }
        decimal
    }

    fn text(&self, from: usize, to: usize) -> &str {
        let digits = self.digits.get(from..to.min(self.length)).unwrap_or_default();
        core::str::from_utf8(digits).unwrap_or_default()
    }

    fn positional(&self, out: &mut impl Write) -> Written {
        let Ok(leading) = usize::try_from(self.exponent) else {
            out.write_str("0.")?;
            for _ in self.exponent..-1 {
                out.write_char('0')?;
            }
            return out.write_str(self.text(0, self.length));
        };
        let before_point = leading + 1;
        out.write_str(self.text(0, before_point))?;
        for _ in self.length..before_point {
            out.write_char('0')?;
        }
        let rest = self.text(before_point, self.length);
        out.write_char('.')?;
        out.write_str(if rest.is_empty() { "0" } else { rest })
    }

    fn scientific(&self, out: &mut impl Write) -> Written {
        out.write_str(self.text(0, 1))?;
        let rest = self.text(1, self.length);
        if !rest.is_empty() {
            out.write_char('.')?;
            out.write_str(rest)?;
        }
        let sign = if self.exponent < 0 { '-' } else { '+' };
        write!(out, "e{sign}{:02}", self.exponent.unsigned_abs())
    }
}
