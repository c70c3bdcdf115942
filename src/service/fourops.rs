//! The four operations: two numbers in, the results of all operations back, or of one by name.
//!
//! | the client sends | it reads | then |
//! | --- | --- | --- |
//! | `12,5` or `12 5` | four lines | the connection is closed |
//! | `divide 12 5`, or `add`, `subtract`, `multiply` | the result | the next message |
//! | an operation and anything else | an error | the next message |
//! | anything else | an error | the connection is closed |

use std::fmt::Write as _;
use std::time::Instant;

use super::{Event, Framing, Next, Output, Service};
use crate::arithmetic::{Class, Dialect, evaluate};

/// The operations: the name in a message, the title in a reply, the operator.
const OPERATIONS: [(&str, &str, char); 4] = [
    ("add", "Addition", '+'),
    ("subtract", "Subtraction", '-'),
    ("multiply", "Multiplication", '*'),
    ("divide", "Division", '/'),
];

/// The work of a byte of a message besides reading its expressions: it is checked and copied.
const BYTE_WORK: u64 = 32;

/// The work of a result besides evaluating it: the expression and the reply are put together.
const RESULT_WORK: u64 = 64;

/// The longest text that takes at most [`LIGHT_WORK`](super::LIGHT_WORK) whatever its operands are,
/// in bytes. A longer one is deferred.
const LIGHT_TEXT: usize = 128;

const EXPECTED: &str = "ValueError: expected two numbers, such as 12,5 or add 12 5";

const BY_ZERO: &str = "undefined (division by zero)";

/// A service that computes with two numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fourops;

impl Service for Fourops {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, event: Event<'_>, _: Instant, out: &mut Output<'_>) -> Next {
        let Event::Message(text) = event else { return Next::Read };
        if text.len() > LIGHT_TEXT && out.most_work() < u32::MAX {
            return Next::Defer;
        }
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

/// A line for each operation. If the session terminates replies by a newline, the last one is left
/// to it.
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

/// The text that Python prints of the operation's result. Its work is added.
fn result([left, right]: &[String; 2], operator: char, work: &mut u64) -> String {
    let expression = format!("({left}){operator}({right})");
    let answer = evaluate(expression.as_bytes(), Dialect::Python);
    *work += answer.work + RESULT_WORK;
    let mut text = String::new();
    match answer.outcome {
        Ok(value) => value.render(&mut text),
        Err(error) if error.class() == Class::ZeroDivision => text.write_str(BY_ZERO),
        Err(error) => error.render(&mut text),
    }
    .expect("a string takes all that is written to it");
    text
}

/// Two numbers, separated by a comma or by whitespace, as literals of the calculator's language.
fn operands(text: &str) -> Option<[String; 2]> {
    let (left, right) =
        text.split_once(',').or_else(|| text.trim().split_once(char::is_whitespace))?;
    Some([number(left.trim())?, number(right.trim())?])
}

/// A decimal number that Python's `int()` or `float()` accepts, as a literal of the calculator's
/// language, which allows no leading zeros.
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
    use super::super::{Delimiter, LIGHT_WORK};
    use super::*;
    use crate::buffer::Buffer;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn a_long_message_is_deferred_and_the_longest_other_is_light() {
        let step = |text: &str, most_work| {
            let mut buffer = Buffer::default();
            let mut out = Output::new(&mut buffer, Delimiter::Newline).with_most_work(most_work);
            let next = Fourops.step(Event::Message(text.as_bytes()), Instant::now(), &mut out);
            (next, out.work(), out.is_empty())
        };
        let digits = |n| "9".repeat(n);
        for length in [LIGHT_TEXT / 2, LIGHT_TEXT - 2] {
            let text = format!("{},{}", digits(length), digits(LIGHT_TEXT - 1 - length));
            let (next, work, _) = step(&text, LIGHT_WORK);
            assert!(next == Next::Close && work <= LIGHT_WORK, "{work}");
        }
        let long = format!("{},7", digits(4000));
        assert_eq!(step(&long, LIGHT_WORK), (Next::Defer, 0, true));
        let (next, work, _) = step(&long, u32::MAX);
        assert!(next == Next::Close && work > LIGHT_WORK, "{work}");
    }

    #[test]
    fn a_number_becomes_a_literal() {
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
    fn results_are_the_same_as_in_python() {
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
