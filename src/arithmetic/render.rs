//! The printed form of a value, as `str()` has it.

use crate::choice::Choice;
use core::fmt::{self, Write};

use dashu_int::IBig;
use dashu_int::ops::{Abs as _, BitTest as _};

use super::error::Error;
use super::integer::Int;
use super::limits::DECIMAL_DIGITS;
use super::meter::{self, Meter, check_bytes};
use super::value::{Complex, Value};

impl Value {
    /// Writes what Python prints. It fails only if `out` does: [`evaluate`](super::evaluate) has
    /// checked the limits.
    pub fn render(&self, out: &mut impl Write) -> fmt::Result {
        match self {
            Self::Str(text) => out.write_str(text),
            _ => self.represent(out),
        }
    }

    /// Writes it as in a tuple, where strings have quotes.
    fn represent(&self, out: &mut impl Write) -> fmt::Result {
        match self {
            Self::Int(value) => out.write_str(itoa::Buffer::new().format(*value)),
            Self::Large(value) => write!(out, "{value}"),
            Self::Float(value) => float(*value, Point::Always, out),
            Self::Complex(value) => complex(**value, out),
            Self::Bool(true) => out.write_str("True"),
            Self::Bool(false) => out.write_str("False"),
            Self::Tuple(items) => tuple(items, out),
            Self::Str(text) => write!(out, "'{text}'"),
            Self::None => out.write_str("None"),
            Self::Ellipsis => out.write_str("Ellipsis"),
            Self::Function(function) if function.is_type() => {
                write!(out, "<class '{}'>", function.name())
            }
            Self::Function(function) => write!(out, "<built-in function {}>", function.name()),
        }
    }
}

fn tuple(items: &[Value], out: &mut impl Write) -> fmt::Result {
    out.write_char('(')?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.write_str(", ")?;
        }
        item.represent(out)?;
    }
    out.write_str(if items.len() == 1 { ",)" } else { ")" })
}

/// The cost of writing a float, in limb products; that of a complex number is twice as much.
const FLOAT_COST: u64 = 48;

/// The cost of writing a string or a large integer, besides its limbs.
const LARGE_COST: u64 = 16;

/// The cost of the digits of a limb, besides its part in the divisions by powers of ten.
const DIGITS_COST: u64 = 64;

/// The cost of writing any other value.
const ITEM_COST: u64 = 8;

/// Bits of an integer that has at most [`DECIMAL_DIGITS`]: a digit is between 3.3 and 3.4 bits.
const SURELY_PRINTABLE: usize = DECIMAL_DIGITS * 33 / 10;

/// An integer of more bits than this has more digits than [`DECIMAL_DIGITS`].
const SURELY_UNPRINTABLE: usize = DECIMAL_DIGITS * 34 / 10;

/// Refuses a value that is too large to be an answer. Charges for writing it, unless that takes no
/// longer than reading the text.
pub(super) fn check(value: &Value, meter: &mut Meter) -> Result<(), Error> {
    match value {
        Value::Tuple(items) => check_items(items, &mut Counter::default(), meter),
        Value::Large(_) | Value::Str(_) => check_scalar(value, 1, meter),
        _ => Ok(()),
    }
}

/// Stops at the first item beyond the limit, because tuples may share items, and all of them
/// together may be far more than a reply.
fn check_items(items: &[Value], counter: &mut Counter, meter: &mut Meter) -> Result<(), Error> {
    counter.bytes += match items.len() {
        0 => "()".len(),
        1 => "(,)".len(),
        several => "()".len() + ", ".len() * (several - 1),
    };
    meter.charge(ITEM_COST)?;
    check_bytes(counter.bytes)?;
    items.iter().try_for_each(|item| {
        if let Value::Tuple(items) = item {
            check_items(items, counter, meter)?;
        } else {
            // Once to count its bytes, and once into the reply.
            check_scalar(item, 2, meter)?;
            item.represent(counter).unwrap_or_default();
        }
        check_bytes(counter.bytes)
    })
}

/// Charges for writing a value that is no tuple, this many times, or refuses it.
fn check_scalar(value: &Value, times: u64, meter: &mut Meter) -> Result<(), Error> {
    meter.charge(times * writing_cost(value)?)?;
    match value {
        Value::Large(value) if !is_printable(value) => Err(Error::Unprintable),
        _ => Ok(()),
    }
}

/// The cost of writing a value that is no tuple, or an error if it surely cannot be written.
fn writing_cost(value: &Value) -> Result<u64, Error> {
    Ok(match value {
        Value::Large(value) if value.bit_len() > SURELY_UNPRINTABLE => {
            return Err(Error::Unprintable);
        }
        Value::Large(value) => {
            let limbs = Int::Large(value).limbs();
            LARGE_COST + limbs * (DIGITS_COST + limbs / 2)
        }
        Value::Float(_) => FLOAT_COST,
        Value::Complex(_) => 2 * FLOAT_COST,
        Value::Str(text) => LARGE_COST + meter::limbs_of(text.len()),
        _ => ITEM_COST,
    })
}

/// Returns true if an integer has at most [`DECIMAL_DIGITS`] digits.
fn is_printable(value: &IBig) -> bool {
    // Most integers need no comparison.
    value.bit_len() <= SURELY_PRINTABLE || value.clone().abs() < IBig::from(10).pow(DECIMAL_DIGITS)
}

/// Counts bytes instead of writing them.
#[derive(Default)]
struct Counter {
    bytes: usize,
}

impl Write for Counter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes += text.len();
        Ok(())
    }
}

/// The form of a float without a fraction: `1.0`, or `1` within a complex number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Point {
    Always,
    IfNeeded,
}

/// Leaves out a real part of positive zero.
fn complex(value: Complex, out: &mut impl Write) -> fmt::Result {
    let has_real = value.re != 0.0 || value.re.is_sign_negative();
    if has_real {
        out.write_char('(')?;
        float(value.re, Point::IfNeeded, out)?;
        if value.im.is_nan() || value.im.is_sign_positive() {
            out.write_char('+')?;
        }
    }
    float(value.im, Point::IfNeeded, out)?;
    out.write_str(if has_real { "j)" } else { "j" })
}

/// The shortest digits that read back as the same float: positional if the first of them is worth
/// 10^-4 to 10^15, otherwise with an exponent of at least two digits.
fn float(value: f64, point: Point, out: &mut impl Write) -> fmt::Result {
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
        -4..16 => decimal.positional(point, out),
        _ => decimal.scientific(out),
    }
}

/// Significant digits, and the power of ten of the first. That is not zero, unless it is the only
/// one.
struct Decimal {
    digits: [u8; Self::MOST],
    length: usize,
    exponent: i32,
}

impl Decimal {
    /// The most digits that a float needs to differ from its neighbours.
    const MOST: usize = 17;

    /// Reads `123.45` or `1.2345e67`.
    fn read(written: &str) -> Self {
        let (mantissa, exponent) = written.split_once('e').unwrap_or((written, "0"));
        let mut decimal = Self {
            digits: [b'0'; Self::MOST],
            length: 0,
            exponent: exponent.parse().unwrap_or_default(),
        };
        let mut before_point = true;
        // The exponent counts the digits before the point, from the first that is not zero.
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

    fn positional(&self, point: Point, out: &mut impl Write) -> fmt::Result {
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
        match (self.text(before_point, self.length), point) {
            ("", Point::Always) => out.write_str(".0"),
            ("", Point::IfNeeded) => Ok(()),
            (rest, _) => {
                out.write_char('.')?;
                out.write_str(rest)
            }
        }
    }

    fn scientific(&self, out: &mut impl Write) -> fmt::Result {
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
