//! The calculator's language: Python's arithmetic, to the byte, without running code.
//!
//! [`evaluate`] returns what `str(eval(text))` returns in Python 3.11, for the part of Python that
//! is arithmetic, in bounded time and memory. A text takes one of two ways:
//!
//! - Nearly all requests are a few small integers. `fast_path` computes them while it reads.
//! - Any other text is read once, by `lexer` and `grammar`, which compile it to `bytecode`; `vm`
//!   runs that. A text that is not of the language has the error of the first token that does not
//!   fit.
//!
//! | rule | files |
//! | --- | --- |
//! | the form of numbers, names and operators | `token`, `cursor`, `lexer`, `literal`, `identifier` |
//! | the precedence of operators, brackets | `grammar`, on the stack of `pending`, with `precedence` |
//! | the error of a text that does not fit | `syntax_error` |
//! | the order of evaluation | `bytecode`, `vm` |
//! | values and their types | `value` |
//! | operators by the types of their operands | `operators`, `compare`, `power`, `sequence` |
//! | arithmetic of one type | `integer`, `float`, `complex` |
//! | arithmetic of two types | `number`, `int_float` |
//! | functions | `calls`, with `convert`, `rounding`, `aggregates` |
//! | the printed form of a value | `render` |
//! | texts of errors | `error`, or beside the rule |
//! | sizes, and the work of one request | `limits`, counted by `meter` |

mod aggregates;
mod bytecode;
mod calls;
mod compare;
mod complex;
mod convert;
mod cursor;
mod dialect;
mod error;
mod fast_path;
mod float;
mod grammar;
mod identifier;
mod inline_vec;
mod int_float;
mod integer;
mod lexer;
pub mod limits;
mod literal;
mod meter;
mod number;
mod operators;
mod pending;
mod power;
mod precedence;
mod render;
mod rounding;
mod sequence;
mod syntax_error;
mod token;
mod value;
mod vm;

pub use dialect::Dialect;
pub use error::{Class, Error};
pub use value::{Complex, Function, Kind, Value};

use bytecode::Bytecode;
use limits::{BYTE_COST, FAST_BYTE_COST, TEXT_BYTES, WORK};
use meter::Meter;

/// The outcome of a text.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Its value, or the error that it raises.
    pub outcome: Result<Value, Error>,
    /// The cost of reading the text, computing its value and writing that, in products of 64-bit
    /// limbs: a unit is about 1 ns of processor time, and at most 4 ns.
    pub work: u64,
}

/// Evaluates a text.
pub fn evaluate(text: &[u8], dialect: Dialect) -> Evaluation {
    match evaluate_fast(text, dialect) {
        Some(value) => {
            Evaluation { outcome: Ok(Value::Int(value)), work: text.len() as u64 * FAST_BYTE_COST }
        }
        None => evaluate_full(text, dialect),
    }
}

/// Evaluates a text of a few small integers, for [`FAST_BYTE_COST`] a byte.
/// Any other text is for [`evaluate_full`].
#[inline]
pub fn evaluate_fast(text: &[u8], dialect: Dialect) -> Option<i64> {
    if dialect == Dialect::Python { fast_path::evaluate(text) } else { None }
}

/// Evaluates any text, without trying [`evaluate_fast`].
pub fn evaluate_full(text: &[u8], dialect: Dialect) -> Evaluation {
    match evaluate_within(text, dialect, WORK) {
        Ok(evaluation) => evaluation,
        Err(_) => unreachable!("any text may do this work, or its evaluation is an error"),
    }
}

/// The same for at most `most_work` products of 64-bit limbs. A text that takes more fails with the
/// work that was done until that was known.
pub fn evaluate_within(text: &[u8], dialect: Dialect, most_work: u64) -> Result<Evaluation, u64> {
    let mut meter = Meter::within(most_work);
    let outcome = answer(text, dialect, &mut meter);
    let work = meter.spent();
    if meter.is_exceeded() { Err(work) } else { Ok(Evaluation { outcome, work }) }
}

fn answer(text: &[u8], dialect: Dialect, meter: &mut Meter) -> Result<Value, Error> {
    if text.len() > TEXT_BYTES {
        let message = format!("text too long (limit {TEXT_BYTES} bytes)");
        return Err(Error::Formatted(Class::Syntax, message.into()));
    }
    meter.charge(text.len() as u64 * BYTE_COST)?;
    let mut code = Bytecode::new();
    grammar::parse(text, dialect, &mut code)?;
    let value = vm::run(&code, text, dialect, meter)?;
    render::check(&value, meter)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// The calculator's reply.
    fn reply(text: &str) -> String {
        let mut out = String::new();
        match evaluate(text.as_bytes(), Dialect::Python).outcome {
            Ok(value) => value.render(&mut out).unwrap(),
            Err(error) => error.render(&mut out).unwrap(),
        }
        out
    }

    #[track_caller]
    fn replies(rows: &[(&str, &str)]) {
        for (text, expected) in rows {
            assert_eq!(reply(text), *expected, "{text}");
        }
    }

    const UNPRINTABLE: &str = "ValueError: Exceeds the limit (4300 digits) for integer string \
                               conversion; use sys.set_int_max_str_digits() to increase the limit";

    /// A random text for the fast path, or one that nearly is.
    fn nearly_plain(random: &mut Random) -> String {
        const PIECES: &str =
            "1,2,30,7,0,12,9223372036854775807,+,-,*,//,%,(,), ,+,-,*,(,),3,/,**,00";
        let pieces: Vec<_> = PIECES.split(',').collect();
        let mut text = String::new();
        let mut below = |bound: usize| random.below(u32::try_from(bound).unwrap()) as usize;
        for _ in 0..=below(9) {
            text.push_str(pieces[below(pieces.len())]);
        }
        text
    }

    #[test]
    fn the_fast_path_agrees_with_the_full_evaluation() {
        let mut random = Random::new(1);
        let mut answered = 0;
        for _ in 0..200_000 {
            let text = nearly_plain(&mut random);
            if let Some(value) = fast_path::evaluate(text.as_bytes()) {
                answered += 1;
                let full = evaluate_full(text.as_bytes(), Dialect::Python).outcome;
                assert!(matches!(full, Ok(Value::Int(full)) if full == value), "{text}: {full:?}");
            }
        }
        assert!(answered > 10_000, "{answered} texts took the fast path");
    }

    #[test]
    fn operators_bind_as_in_python() {
        replies(&[
            ("1 + 2", "3"),
            ("1+2*3-4", "3"),
            ("(3*4-5)/7", "1.0"),
            ("-2**2", "-4"),
            ("2**-1", "0.5"),
            ("2**3**2", "512"),
            ("2**-2**2", "0.0625"),
            ("10-5-2", "3"),
            ("1+2<<3", "24"),
            ("6|1^3&2", "7"),
            ("--+~5", "-6"),
        ]);
    }

    #[test]
    fn integers_floor_and_never_overflow() {
        replies(&[
            ("-7//2", "-4"),
            ("-7%2", "1"),
            ("7%-2", "-1"),
            ("9223372036854775807+1", "9223372036854775808"),
            ("-9223372036854775808//-1", "9223372036854775808"),
            ("-9223372036854775808%-1", "0"),
            ("2**64-2**64+5", "5"),
            ("-2**64//3", "-6148914691236517206"),
            ("1<<64>>60", "16"),
            ("-5>>1<<2", "-12"),
        ]);
    }

    #[test]
    fn floats_are_printed_as_in_python() {
        replies(&[
            ("0.1+0.2", "0.30000000000000004"),
            ("1e16", "1e+16"),
            ("1e15", "1000000000000000.0"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("5e-324", "5e-324"),
            ("1e300*1e10", "inf"),
            ("1e400-1e400", "nan"),
            ("-0.0", "-0.0"),
            ("5.0%-0.5", "-0.0"),
            ("-7.5//2", "-4.0"),
        ]);
    }

    #[test]
    fn integers_become_floats_rounded_correctly() {
        replies(&[
            ("(2**53+1)*1.0", "9007199254740992.0"),
            ("(2**53+3)*1.0", "9007199254740996.0"),
            ("(2**64+2**11)*1.0", "1.8446744073709552e+19"),
            ("(2**64+2**11+1)*1.0", "1.8446744073709556e+19"),
            ("10**400/10**399", "10.0"),
            ("1/3**700", "0.0"),
            ("3/2**1075", "1e-323"),
            ("5/2**1076", "5e-324"),
            ("1/2**1075", "0.0"),
            ("(2**1024-2**970)/1", "OverflowError: integer division result too large for a float"),
            ("(2**1024-2**970-1)/1", "1.7976931348623157e+308"),
        ]);
    }

    #[test]
    fn errors_are_worded_as_in_python() {
        replies(&[
            ("1/0", "ZeroDivisionError: division by zero"),
            ("1//0", "ZeroDivisionError: integer division or modulo by zero"),
            ("1%0", "ZeroDivisionError: integer modulo by zero"),
            ("1.0%0", "ZeroDivisionError: float modulo"),
            ("0**-1", "ZeroDivisionError: 0.0 cannot be raised to a negative power"),
            ("10.0**400", "OverflowError: (34, 'Numerical result out of range')"),
            ("10**400*1.0", "OverflowError: int too large to convert to float"),
            ("1<<-1", "ValueError: negative shift count"),
            ("1.5&2", "TypeError: unsupported operand type(s) for &: 'float' and 'int'"),
            ("~1.5", "TypeError: bad operand type for unary ~: 'float'"),
            ("1/0 + x", "ZeroDivisionError: division by zero"),
            ("x + 1/0", "NameError: name 'x' is not defined"),
            ("1 +", "SyntaxError: invalid syntax (<string>, line 1)"),
            ("1/0 )", "SyntaxError: unmatched ')' (<string>, line 1)"),
        ]);
    }

    #[test]
    fn an_integer_that_is_too_large_is_refused_before_it_is_computed() {
        replies(&[
            ("9**9**9", UNPRINTABLE),
            ("-9**9**9", UNPRINTABLE),
            ("1<<10**9", UNPRINTABLE),
            ("10**4300", UNPRINTABLE),
            ("9**9**9**9", "OverflowError: integer too large (limit 262144 bits)"),
            ("2**262144-1", "OverflowError: integer too large (limit 262144 bits)"),
            ("2**262143%7", "1"),
            ("1<<2**80", "OverflowError: too many digits in integer"),
            ("0<<2**80", "0"),
            ("(-1)**2**80", "1"),
            ("-1>>2**80", "-1"),
        ]);
        let computing = |text: &str| {
            evaluate(text.as_bytes(), Dialect::Python).work - text.len() as u64 * BYTE_COST
        };
        assert_eq!(computing("9**9**9"), 0);
        assert!(computing("9**9999") > 0);
    }

    #[test]
    fn nesting_is_limited_and_chains_are_not() {
        replies(&[
            (&format!("{}1{}", "(".repeat(200), ")".repeat(200)), "1"),
            (&format!("{}1", "-".repeat(998)), "1"),
            (
                &format!("{}1", "-".repeat(1_001)),
                "RecursionError: maximum recursion depth exceeded during compilation",
            ),
            (&format!("1{}", "+1".repeat(30_000)), "30001"),
        ]);
    }
}
