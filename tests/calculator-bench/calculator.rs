//! Times expressions, from their bytes to the bytes of the answer, in socklab and in two other
//! crates where they share the syntax. An integer of rhai has 64 bits; every number of fasteval is
//! a float.

use std::fmt::{self, Display, Formatter, Write as _};

use divan::{Bencher, black_box};
use fasteval::EmptyNamespace;
use rhai::{Dynamic, Engine};
use socklab::arithmetic::{Dialect, evaluate};

/// Bytes of the longest answer. The buffer is allocated before the measurement.
const ANSWER: usize = 1 << 16;

fn main() {
    divan::main();
}

/// An expression, and its index in the list.
#[derive(Clone, Copy)]
struct Expression {
    index: usize,
    text: &'static str,
}

/// The index identifies it for `scripts/measure-calculator`.
impl Display for Expression {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{:02} {:.36}", self.index, self.text)
    }
}

/// The expressions that have this mark.
fn marked(mark: &str) -> Vec<Expression> {
    let lines = include_str!("expressions").lines().filter(|line| !line.starts_with('#'));
    let all = lines.enumerate().map(|(index, line)| {
        let (marks, text) = line.split_once(' ').expect("marks, a space, an expression");
        (marks, Expression { index, text })
    });
    all.filter(|(marks, _)| marks.contains(mark)).map(|(_, expression)| expression).collect()
}

#[divan::bench(args = marked(""))]
fn socklab(bencher: Bencher, expression: Expression) {
    let mut answer = String::with_capacity(ANSWER);
    bencher.bench_local(|| {
        answer.clear();
        match evaluate(black_box(expression.text.as_bytes()), Dialect::Python).outcome {
            Ok(value) => value.render(&mut answer),
            Err(error) => error.render(&mut answer),
        }
        .expect("a string takes all that is written to it");
        black_box(answer.as_bytes());
    });
}

#[divan::bench(args = marked("r"))]
fn rhai(bencher: Bencher, expression: Expression) {
    let engine = Engine::new();
    let mut answer = String::with_capacity(ANSWER);
    bencher.bench_local(|| {
        answer.clear();
        let value: Dynamic = engine
            .eval_expression(black_box(expression.text))
            .expect("the mark says that rhai supports it");
        write!(answer, "{value}").expect("a string takes all that is written to it");
        black_box(answer.as_bytes());
    });
}

#[divan::bench(args = marked("f"))]
fn fasteval(bencher: Bencher, expression: Expression) {
    let mut answer = String::with_capacity(ANSWER);
    bencher.bench_local(|| {
        answer.clear();
        let value = fasteval::ez_eval(black_box(expression.text), &mut EmptyNamespace)
            .expect("the mark says that fasteval supports it");
        write!(answer, "{value}").expect("a string takes all that is written to it");
        black_box(answer.as_bytes());
    });
}
