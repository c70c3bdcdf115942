//! Runs the ops: left to right, nothing twice, and nothing of a side that is skipped.

use super::Dialect;
use super::bytecode::{Binary, Bytecode, Comparison, Op, Unary};
use super::calls;
use super::compare;
use super::complex::Complex;
use super::error::Error;
use super::identifier;
use super::inline_vec::InlineVec;
use super::integer::{self, Int};
use super::limits::Meter;
use super::literal;
use super::operators;
use super::value::{Kind, Value};

/// Every op finds its operands on the stack, because the grammar put them there first.
const BALANCED: &str = "a op's operands come before it";

/// The value of a text's code.
pub(super) fn run(
    code: &Bytecode,
    text: &[u8],
    dialect: Dialect,
    meter: &mut Meter,
) -> Result<Value, Error> {
    let mut vm = Vm { code: code.ops(), text, dialect, meter, stack: InlineVec::new() };
    let mut index = 0;
    while let Some(&op) = vm.code.get(index) {
        index += 1;
        // Most ops by far are small integers and what is done with them.
        match op {
            Op::Start => {}
            Op::Int(value) => vm.stack.push(Value::Int(value)),
            Op::Binary(operator) if vm.small(operator) => {}
            _ => index = vm.execute(op, index)?,
        }
    }
    Ok(vm.pop())
}

/// Values that wait for their operator.
type Stack = InlineVec<Value, 8>;

struct Vm<'c> {
    code: &'c [Op],
    text: &'c [u8],
    dialect: Dialect,
    meter: &'c mut Meter,
    stack: Stack,
}

impl Vm<'_> {
    /// An operator on two small integers with a small result, put in the index of the left one.
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

    /// Takes one op and returns the index of the next, which is `next` unless it jumps.
    fn execute(&mut self, op: Op, next: usize) -> Result<usize, Error> {
        let (value, operands) = match op {
            Op::Start => return Ok(next),
            Op::Int(value) => (Value::Int(value), 0),
            Op::Bool(value) => (Value::Bool(value), 0),
            Op::Float(value) => (Value::Float(value), 0),
            Op::Imaginary(value) => (Complex { re: 0.0, im: value }.into(), 0),
            Op::Large(span) => (literal::large_value(span.of(self.text)).into(), 0),
            Op::None => (Value::None, 0),
            Op::Ellipsis => (Value::Ellipsis, 0),
            Op::Function(function) => (Value::Function(function), 0),
            Op::Unary(operator) => (operators::unary(operator, self.top())?, 1),
            Op::Binary(operator) => {
                let [.., left, right] = self.stack.as_slice() else { unreachable!("{BALANCED}") };
                match operators::binary(operator, left, right, self.meter) {
                    Err(Error::TooLarge) => return Err(self.too_large(next)),
                    value => (value?, 2),
                }
            }
            Op::Not => (Value::Bool(!self.top().is_true()), 1),
            Op::Compare(comparison) => (Value::Bool(self.compare(comparison)?), 2),
            Op::Tuple(count) => {
                self.tuple(count as usize);
                return Ok(next);
            }
            Op::Call(count) => return self.call(count as usize, next).map(|()| next),
            Op::Chain(..) | Op::And(_) | Op::Or(_) | Op::Jump(_) | Op::Branch(_) => {
                return self.jump(op, next);
            }
            Op::Name(_) | Op::CallNamed(_) | Op::Subscript | Op::Unsupported => {
                return Err(self.raise(op));
            }
        };
        self.stack.drop_last(operands);
        self.push_result(value)?;
        Ok(next)
    }

    /// The ops that decide where to go on.
    fn jump(&mut self, op: Op, next: usize) -> Result<usize, Error> {
        match op {
            Op::Chain(comparison, end) => {
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
            Op::And(end) if !self.top().is_true() => Ok(end as usize),
            Op::Or(end) if self.top().is_true() => Ok(end as usize),
            Op::Jump(index) => Ok(index as usize),
            Op::Branch(index) if self.pop().is_true() => Ok(index as usize),
            Op::And(_) | Op::Or(_) => {
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
            Err(Error::TooLarge) => Err(self.too_large(next)),
            value => {
                let value = value?;
                self.stack.drop_last(count + 1);
                self.push_result(value)
            }
        }
    }

    /// What a op says that has no value in any case.
    fn raise(&self, op: Op) -> Error {
        match op {
            Op::Name(span) => Error::Name(identifier::spelling(span.of(self.text)).into()),
            Op::CallNamed(count) => match split(&self.stack, count as usize).0.last() {
                Some(Value::Function(function)) => calls::named_argument(*function),
                other => {
                    let kind = other.map_or(Kind::None, Value::kind).name();
                    Error::arguments(format!("'{kind}' object is not callable"))
                }
            },
            Op::Subscript => match split(&self.stack, 1).0.last() {
                Some(Value::Tuple(_) | Value::Str(_)) | None => Error::unsupported(),
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
    fn too_large(&self, mut next: usize) -> Error {
        while let Some(op) = self.code.get(next) {
            next = match op {
                Op::Start | Op::Unary(Unary::Plus | Unary::Minus) => next + 1,
                Op::Jump(index) => *index as usize,
                _ => return Error::TooLarge,
            };
        }
        Error::Unprintable
    }

    /// Puts a result on the stack.
    fn push_result(&mut self, value: Value) -> Result<(), Error> {
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
