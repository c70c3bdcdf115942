//! Four operations: two numbers in, what each of them makes of the two back; or one of them by its
//! name.
//!
//! | the client says | it reads | then |
//! | --- | --- | --- |
//! | `12,5` or `12 5` | four lines | the end |
//! | `divide 12 5`, or `add`, `subtract`, `multiply` | the one result | the next message |
//! | anything else | why not | the end, unless it named an operation |

use std::fmt::Write as _;
use std::time::Instant;

use super::{Event, Framing, Next, Output, Service};
use crate::arithmetic::{Class, Dialect, evaluate};

/// The operations, by their names: to ask for one, and before its result.
const OPERATIONS: [(&str, &str, char); 4] = [
    ("add", "Addition", '+'),
    ("subtract", "Subtraction", '-'),
    ("multiply", "Multiplication", '*'),
    ("divide", "Division", '/'),
];

/// What each byte of a message counts for each operation: it is checked, copied and read.
const BYTE_WORK: u64 = 32;

const EXPECTED: &str = "ValueError: expected two numbers, such as 12,5 or add 12 5";

const BY_ZERO: &str = "undefined (division by zero)";

/// Computes with two numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fourops;

impl Service for Fourops {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, event: Event<'_>, _: Instant, out: &mut Output<'_>) -> Next {
        let Event::Message(text) = event else { return Next::Read };
        let text = String::from_utf8_lossy(text);
        let text = text.trim();
        let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let named = OPERATIONS.iter().find(|(name, ..)| first.eq_ignore_ascii_case(name));
        let mut work = text.len() as u64 * BYTE_WORK;
        let reply = match named {
            Some(&(_, _, operator)) => {
                operands(rest).map(|pair| result(&pair, operator, &mut work))
            }
            None => operands(text).map(|pair| all_four(&pair, out.is_a_line(), &mut work)),
        };
        out.charge(work);
        out.write(reply.as_deref().unwrap_or(EXPECTED).as_bytes());
        if named.is_some() { Next::Read } else { Next::Close }
    }
}

/// A line for each operation. The last newline is the session's to write, if it writes one.
fn all_four(pair: &[String; 2], is_a_line: bool, work: &mut u64) -> String {
    let mut lines = String::new();
    for (_, title, operator) in OPERATIONS {
        let result = result(pair, operator, work);
        writeln!(lines, "{title}: {result}").expect("a string takes all that is written to it");
    }
    if is_a_line {
        lines.pop();
    }
    lines
}

/// What Python prints of the operation's result. What that is in work is added.
fn result([left, right]: &[String; 2], operator: char, work: &mut u64) -> String {
    let expression = format!("({left}){operator}({right})");
    let answer = evaluate(expression.as_bytes(), Dialect::Python);
    *work += answer.work + expression.len() as u64 * BYTE_WORK;
    let mut text = String::new();
    match answer.outcome {
        Ok(value) => value.render(&mut text),
        Err(error) if error.class() == Class::ZeroDivision => text.write_str(BY_ZERO),
        Err(error) => error.render(&mut text),
    }
    .expect("a string takes all that is written to it");
    text
}

/// Two numbers with a comma or blanks between them, as the calculator reads them.
fn operands(text: &str) -> Option<[String; 2]> {
    let (left, right) =
        text.split_once(',').or_else(|| text.trim().split_once(char::is_whitespace))?;
    Some([number(left.trim())?, number(right.trim())?])
}

/// A decimal number as Python's `int()` or `float()` takes it, as a literal of the language: that
/// one may not begin with zeros.
fn number(text: &str) -> Option<String> {
    let decimal = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if !decimal || text.parse::<f64>().is_err() {
        return None;
    }
    let digits = text.trim_start_matches(['+', '-']);
    let sign = if text.starts_with('-') { "-" } else { "" };
    let significant = digits.trim_start_matches('0');
    let zero = if significant.starts_with(|first: char| first.is_ascii_digit()) { "" } else { "0" };
    Some(format!("{sign}{zero}{significant}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_a_literal_of_the_language() {
        for (text, literal) in [
            ("12", "12"),
            ("007", "7"),
            ("000", "0"),
            ("-0", "-0"),
            ("+5", "5"),
            ("-.5", "-0.5"),
            ("5.", "5."),
            ("00.25", "0.25"),
            ("1e3", "1e3"),
            ("0e3", "0e3"),
        ] {
            assert_eq!(number(text).as_deref(), Some(literal), "{text}");
        }
        for text in ["", "-", "1-2", "1,2", "inf", "nan", "0x10", "1__0", ".", "e5", "1 2", "--1"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn results_are_pythons() {
        let all = |text| all_four(&operands(text).unwrap(), true, &mut 0);
        let lines = "Addition: 17\nSubtraction: 7\nMultiplication: 60\nDivision: 2.4";
        assert_eq!(all("12,5"), lines);
        assert_eq!(all("12 \t 5"), lines);
        assert_eq!(all(" 12 , 5 "), lines);
        assert_eq!(
            all("1.5,0"),
            "Addition: 1.5\nSubtraction: 1.5\nMultiplication: 0.0\n\
             Division: undefined (division by zero)"
        );
        assert_eq!(result(&operands("0.1,0.2").unwrap(), '+', &mut 0), "0.30000000000000004");
        assert_eq!(
            result(&operands("9999999999999999999,1").unwrap(), '+', &mut 0),
            "10000000000000000000"
        );
    }
}
