//! Runs the steps: left to right, nothing twice, and nothing of a side that is skipped.

use super::Dialect;
use super::calls;
use super::code::{Binary, Code, Comparison, Step, Unary};
use super::compare;
use super::complex::Complex;
use super::error::Error;
use super::integer::{self, Int};
use super::limits::Meter;
use super::literal;
use super::operators;
use super::pile::Pile;
use super::value::{Kind, Value};
use super::words;

/// Every step finds its operands on the stack, because the grammar put them there first.
const BALANCED: &str = "a step's operands come before it";

/// The value of a text's code.
pub(super) fn run(
    code: &Code,
    text: &[u8],
    dialect: Dialect,
    meter: &mut Meter,
) -> Result<Value, Error> {
    let mut machine = Machine { code: code.as_slice(), text, dialect, meter, stack: Pile::new() };
    let mut place = 0;
    while let Some(&step) = machine.code.get(place) {
        place += 1;
        // Most steps by far are small integers and what is done with them.
        match step {
            Step::Start => {}
            Step::Int(value) => machine.stack.push(Value::Int(value)),
            Step::Binary(operator) if machine.small(operator) => {}
            _ => place = machine.step(step, place)?,
        }
    }
    Ok(machine.pop())
}

/// Values that wait for their operator.
type Stack = Pile<Value, 8>;

struct Machine<'c> {
    code: &'c [Step],
    text: &'c [u8],
    dialect: Dialect,
    meter: &'c mut Meter,
    stack: Stack,
}

impl Machine<'_> {
    /// An operator on two small integers with a small result, put in the place of the left one.
    #[inline]
    fn small(&mut self, operator: Binary) -> bool {
        if let [.., left, Value::Int(second)] = self.stack.as_mut_slice()
            && let Value::Int(first) = *left
            && let Some(result) = integer::small(operator, first, *second)
            && (self.dialect == Dialect::Python || result.kind() == Kind::Int)
        {
            *left = result;
            self.stack.drop_last(1);
            return true;
        }
        false
    }

    /// Takes one step and returns the place of the next, which is `next` unless it jumps.
    fn step(&mut self, step: Step, next: usize) -> Result<usize, Error> {
        let (value, operands) = match step {
            Step::Start => return Ok(next),
            Step::Int(value) => (Value::Int(value), 0),
            Step::Bool(value) => (Value::Bool(value), 0),
            Step::Float(value) => (Value::Float(value), 0),
            Step::Imaginary(value) => (Complex { re: 0.0, im: value }.into(), 0),
            Step::Large(span) => (literal::large_value(span.of(self.text)).into(), 0),
            Step::None => (Value::None, 0),
            Step::Ellipsis => (Value::Ellipsis, 0),
            Step::Function(function) => (Value::Function(function), 0),
            Step::Unary(operator) => (operators::unary(operator, self.top())?, 1),
            Step::Binary(operator) => {
                let [.., left, right] = self.stack.as_slice() else { unreachable!("{BALANCED}") };
                match operators::binary(operator, left, right, self.meter) {
                    Err(Error::TooLarge) => return Err(self.refusal(next)),
                    value => (value?, 2),
                }
            }
            Step::Not => (Value::Bool(!self.top().is_true()), 1),
            Step::Compare(comparison) => (Value::Bool(self.compare(comparison)?), 2),
            Step::Tuple(count) => {
                self.tuple(count as usize);
                return Ok(next);
            }
            Step::Call(count) => return self.call(count as usize, next).map(|()| next),
            Step::Chain(..) | Step::And(_) | Step::Or(_) | Step::Jump(_) | Step::Branch(_) => {
                return self.jump(step, next);
            }
            Step::Name(_) | Step::CallNamed(_) | Step::Subscript | Step::Unsupported => {
                return Err(self.complaint(step));
            }
        };
        self.stack.drop_last(operands);
        self.keep(value)?;
        Ok(next)
    }

    /// The steps that decide where to go on.
    fn jump(&mut self, step: Step, next: usize) -> Result<usize, Error> {
        match step {
            Step::Chain(comparison, end) => {
                if self.compare(comparison)? {
                    let right = self.pop();
                    self.pop();
                    self.stack.push(right);
                    return Ok(next);
                }
                self.stack.drop_last(2);
                self.stack.push(Value::Bool(false));
                Ok(end as usize)
            }
            Step::And(end) if !self.top().is_true() => Ok(end as usize),
            Step::Or(end) if self.top().is_true() => Ok(end as usize),
            Step::Jump(place) => Ok(place as usize),
            Step::Branch(place) if self.pop().is_true() => Ok(place as usize),
            Step::And(_) | Step::Or(_) => {
                self.pop();
                Ok(next)
            }
            _ => Ok(next),
        }
    }

    fn compare(&self, comparison: Comparison) -> Result<bool, Error> {
        let [.., left, right] = self.stack.as_slice() else { unreachable!("{BALANCED}") };
        compare::holds(comparison, left, right)
    }

    fn tuple(&mut self, count: usize) {
        let mut items: Vec<Value> = (0..count).map(|_| self.pop()).collect();
        items.reverse();
        self.stack.push(items.into());
    }

    fn call(&mut self, count: usize, next: usize) -> Result<(), Error> {
        let (below, arguments) = split(&self.stack, count);
        let value = match below.last() {
            Some(Value::Function(function)) => {
                let function = *function;
                calls::call(function, arguments, self.meter)
            }
            other => {
                let kind = other.map_or(Kind::None, Value::kind).name();
                return Err(Error::arguments(format!("'{kind}' object is not callable")));
            }
        };
        match value {
            Err(Error::TooLarge) => Err(self.refusal(next)),
            value => {
                let value = value?;
                self.stack.drop_last(count + 1);
                self.keep(value)
            }
        }
    }

    /// What a step says that has no value in any case.
    fn complaint(&self, step: Step) -> Error {
        match step {
            Step::Name(span) => Error::Name(words::spelling(span.of(self.text)).into()),
            Step::CallNamed(count) => match split(&self.stack, count as usize).0.last() {
                Some(Value::Function(function)) => calls::named_argument(*function),
                other => {
                    let kind = other.map_or(Kind::None, Value::kind).name();
                    Error::arguments(format!("'{kind}' object is not callable"))
                }
            },
            Step::Subscript => match split(&self.stack, 1).0.last() {
                Some(Value::Tuple(_) | Value::Text(_)) | None => Error::unsupported(),
                Some(Value::Function(function)) if function.is_type() => {
                    Error::arguments(format!("type '{}' is not subscriptable", function.name()))
                }
                Some(other) => Error::arguments(format!(
                    "'{}' object is not subscriptable",
                    other.kind().name()
                )),
            },
            _ => Error::unsupported(),
        }
    }

    /// Refused is an integer beyond the limit. If it was to be the answer, at most with another
    /// sign, then all that matters is that it cannot be printed.
    fn refusal(&self, mut next: usize) -> Error {
        while let Some(step) = self.code.get(next) {
            next = match step {
                Step::Start | Step::Unary(Unary::Plus | Unary::Minus) => next + 1,
                Step::Jump(place) => *place as usize,
                _ => return Error::TooLarge,
            };
        }
        Error::Unprintable
    }

    /// Puts a result on the stack.
    fn keep(&mut self, value: Value) -> Result<(), Error> {
        match &value {
            Value::Large(large) => self.meter.count_limbs(Int::Large(large).limbs())?,
            Value::Float(_) | Value::Complex(_) if self.dialect == Dialect::Integer => {
                return Err(Error::unsupported());
            }
            _ => {}
        }
        self.stack.push(value);
        Ok(())
    }

    fn top(&self) -> &Value {
        self.stack.last().expect(BALANCED)
    }

    fn pop(&mut self) -> Value {
        self.stack.pop().expect(BALANCED)
    }
}

/// The last so many values, and those below them.
fn split(stack: &Stack, count: usize) -> (&[Value], &[Value]) {
    let values = stack.as_slice();
    values.split_at_checked(values.len().wrapping_sub(count)).expect(BALANCED)
}
