//! Runs the steps.

use super::code::{Code, Step, Unary};
use super::error::{Class, Error};
use super::limits::Meter;
use super::literal;
use super::operators;
use super::pile::Pile;
use super::value::Value;

/// Every step finds its operands on the stack, because the grammar put them there first.
const BALANCED: &str = "an operator's operands come before it";

/// The value of a text's code.
pub(super) fn run(code: &Code, text: &str, meter: &mut Meter) -> Result<Value, Error> {
    let mut stack = Pile::<Value, 8>::new();
    let mut place = 0;
    while let Some(&step) = code.get(place) {
        place += 1;
        let value = match step {
            Step::Start => continue,
            Step::Int(value) => Ok(Value::Int(value)),
            Step::Float(value) => Ok(Value::Float(value)),
            Step::Large(span) => literal::large_value(span.of(text)).map(Value::from),
            Step::Name(span) => Err(Error::Name(span.of(text).into())),
            Step::Unary(operator) => {
                let operand = stack.pop().expect(BALANCED);
                operators::unary(operator, &operand)
            }
            Step::Binary(operator) => {
                let right = stack.pop().expect(BALANCED);
                let left = stack.pop().expect(BALANCED);
                operators::binary(operator, &left, &right, meter)
            }
        };
        match value {
            Ok(value) => stack.push(value),
            Err(Error::TooLarge) if is_answer(code, place) => return Err(Error::Unprintable),
            Err(error) => return Err(error),
        }
    }
    stack.pop().ok_or(Error::Fixed(Class::Syntax, "no value"))
}

/// Whether the value made before `place` is the answer, at most with another sign: then nothing is
/// needed of it but that it cannot be printed.
fn is_answer(code: &Code, mut place: usize) -> bool {
    while let Some(step) = code.get(place) {
        match step {
            Step::Start | Step::Unary(Unary::Plus | Unary::Minus) => place += 1,
            _ => return false,
        }
    }
    true
}
