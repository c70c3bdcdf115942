//! The virtual machine, which runs bytecode on a stack of values.

use super::bytecode::{Binary, Bytecode, Comparison, Op, Unary};
use super::calls;
use super::compare;
use super::dialect::Dialect;
use super::error::Error;
use super::identifier;
use super::inline_vec::InlineVec;
use super::integer::Int;
use super::literal;
use super::meter::Meter;
use super::operators;
use super::token::Literal;
use super::value::{Complex, Function, Kind, Value};
use crate::choice::Choice;

/// The grammar emits the operands of an op before the op.
const BALANCED: &str = "the operands of an op are on the stack";

/// The cost of making a tuple of values that are written in the text, in limb products.
const TUPLE_COST: u64 = 32;

/// The cost of a unary operator, besides reading its byte, in limb products.
const SIGN_COST: u64 = 8;

/// Runs the code of a text; returns its value.
pub(super) fn run(
    code: &Bytecode,
    text: &[u8],
    dialect: Dialect,
    meter: &mut Meter,
) -> Result<Value, Error> {
    let mut vm = Vm { code: code.ops(), text, dialect, meter, stack: InlineVec::new() };
    let mut next = 0;
    while let Some(&op) = vm.code.get(next) {
        next = vm.execute(op, next + 1)?;
    }
    Ok(vm.pop())
}

/// Values that wait for their operator.
type Stack = InlineVec<Value, 6>;

struct Vm<'c> {
    code: &'c [Op],
    text: &'c [u8],
    dialect: Dialect,
    meter: &'c mut Meter,
    stack: Stack,
}

impl Vm<'_> {
    /// Executes one op. Returns the index of the op that follows: `next`, unless it jumps.
    #[expect(clippy::inline_always, reason = "most ops are less work than a call")]
    #[inline(always)]
    fn execute(&mut self, op: Op, next: usize) -> Result<usize, Error> {
        match op {
            Op::Start => {}
            Op::Number(Literal::Int(value)) => self.stack.push(Value::Int(value)),
            Op::Binary(operator) => self.binary(operator, next)?,
            Op::Number(literal) => {
                let value = self.number(literal);
                self.push_result(value)?;
            }
            Op::Bool(value) => self.stack.push(Value::Bool(value)),
            Op::None => self.stack.push(Value::None),
            Op::Ellipsis => self.stack.push(Value::Ellipsis),
            Op::Function(function) => self.stack.push(Value::Function(function)),
            Op::Unary(operator) => {
                self.meter.charge(SIGN_COST)?;
                let operand = self.stack.last().expect(BALANCED);
                let value = operators::unary(operator, operand, self.meter)?;
                self.replace(1, value)?;
            }
            Op::Not => {
                let value = Value::Bool(!self.top().is_true());
                self.replace(1, value)?;
            }
            Op::Compare(comparison) => {
                let value = Value::Bool(self.compare(comparison)?);
                self.replace(2, value)?;
            }
            Op::Tuple(count) => self.tuple(count as usize)?,
            Op::Call(count) => self.call(count as usize, next)?,
            Op::Chain(..) | Op::And(_) | Op::Or(_) | Op::Jump(_) | Op::Branch(_) => {
                return self.jump(op, next);
            }
            Op::Name(_) | Op::CallNamed(_) | Op::Subscript | Op::Unsupported => {
                return Err(self.raise(op));
            }
        }
        Ok(next)
    }

    fn number(&self, literal: Literal) -> Value {
        match literal {
            Literal::Int(value) => Value::Int(value),
            Literal::Large(span) => literal::large_value(span.of(self.text)).into(),
            Literal::Float(value) => Value::Float(value),
            Literal::Imaginary(value) => Complex { re: 0.0, im: value }.into(),
        }
    }

    #[inline]
    fn binary(&mut self, operator: Binary, next: usize) -> Result<(), Error> {
        let [.., left, right] = self.stack.as_mut_slice() else { unreachable!("{BALANCED}") };
        match operators::binary(operator, left, right, self.meter) {
            Ok(value) => *left = value,
            Err(Error::TooLarge) => return Err(self.too_large(next)),
            Err(error) => return Err(error),
        }
        self.stack.drop_last(1);
        self.check_result()
    }

    /// Executes an op that may jump.
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

    fn compare(&mut self, comparison: Comparison) -> Result<bool, Error> {
        let [.., left, right] = self.stack.as_slice() else { unreachable!("{BALANCED}") };
        compare::holds(comparison, left, right, self.meter)
    }

    fn tuple(&mut self, count: usize) -> Result<(), Error> {
        self.meter.charge(TUPLE_COST)?;
        let mut items: Vec<Value> = (0..count).map(|_| self.pop()).collect();
        items.reverse();
        self.stack.push(items.into());
        Ok(())
    }

    fn call(&mut self, count: usize, next: usize) -> Result<(), Error> {
        let function = self.callee(count)?;
        let (_, arguments) = split(&self.stack, count);
        match calls::call(function, arguments, self.meter) {
            Err(Error::TooLarge) => Err(self.too_large(next)),
            value => self.replace(count + 1, value?),
        }
    }

    /// The function below `count` arguments.
    fn callee(&self, count: usize) -> Result<Function, Error> {
        match split(&self.stack, count).0.last() {
            Some(Value::Function(function)) => Ok(*function),
            other => {
                let kind = other.map_or(Kind::None, Value::kind).name();
                Err(Error::arguments(format!("'{kind}' object is not callable")))
            }
        }
    }

    /// The error of an op that never has a value.
    fn raise(&self, op: Op) -> Error {
        match op {
            Op::Name(span) => Error::Name(identifier::spelling(span.of(self.text)).into()),
            Op::CallNamed(count) => {
                self.callee(count as usize).map_or_else(|error| error, calls::named_argument)
            }
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

    /// The error for an integer beyond the limit. If it would have been the answer, with or without
    /// another sign, then Python's error is that it cannot be printed.
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

    /// Replaces operands by their result.
    #[inline]
    fn replace(&mut self, operands: usize, value: Value) -> Result<(), Error> {
        self.stack.drop_last(operands);
        self.push_result(value)
    }

    #[inline]
    fn push_result(&mut self, value: Value) -> Result<(), Error> {
        self.stack.push(value);
        self.check_result()
    }

    /// Refuses the value on top if it is beyond a limit or not of the dialect.
    #[inline]
    fn check_result(&mut self) -> Result<(), Error> {
        match self.stack.last() {
            Some(Value::Large(large)) => self.meter.count_integer(Int::Large(large).limbs()),
            Some(Value::Str(text)) => self.meter.count_string(text.len()),
            Some(Value::Float(_) | Value::Complex(_)) if self.dialect == Dialect::Integer => {
                Err(Error::unsupported())
            }
            _ => Ok(()),
        }
    }

    fn top(&self) -> &Value {
        self.stack.last().expect(BALANCED)
    }

    fn pop(&mut self) -> Value {
        self.stack.pop().expect(BALANCED)
    }
}

/// The values below the last `count`, and these.
fn split(stack: &Stack, count: usize) -> (&[Value], &[Value]) {
    let values = stack.as_slice();
    values.split_at_checked(values.len().wrapping_sub(count)).expect(BALANCED)
}
