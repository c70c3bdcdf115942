//! Messages that take long, and what they are charged. No test here measures time, but for the
//! search, which is run by `scripts/slow-messages`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod expression;
mod search;

use std::env;
use std::time::Duration;

use socklab::arithmetic::limits::{BYTE_COST, WORK};
use socklab::arithmetic::{Dialect, evaluate};

/// Limbs of `1<<262143`, one of the largest integers.
const LIMBS: u64 = 4_096;

/// Limbs that hold a string of the most bytes.
const STRING: u64 = 65_536 / 8;

/// Messages, each as a piece that is repeated, and the products or passes over limbs that they
/// take at least.
const STALLS: &[(&str, usize, u64)] = &[
    // Comparisons, one for each element but the first.
    ("max((1<<262143,)*1000)", 1, 999 * LIMBS),
    ("min((-1<<262142,)*1000)", 1, 999 * LIMBS),
    ("((1<<262143)+1)in(1<<262143,)*1000", 1, 1_000 * LIMBS),
    ("(1<<262143,)*1000==(1<<262143,)*1000", 1, 1_000 * LIMBS),
    ("(1<<262143,)*1000<(1<<262143,)*1000", 1, 1_000 * LIMBS),
    ("(((1<<262143,)*25,)*40,)!=(((1<<262143,)*25,)*40,)", 1, 1_000 * LIMBS),
    ("1<<262143==1<<262143==1<<262143,", 20, 40 * LIMBS),
    ("max((hex(1)*21845,)*1000)", 1, 999 * (STRING - 1)),
    ("hex(1)*20000 in hex(2)+hex(1)*20000", 1, 120_000),
    ("max(1,1e308),", 300, 300),
    // One operand in the text, made and gone through.
    ("1<<262143,", 40, 40 * LIMBS),
    ("-(1<<262143),", 30, 60 * LIMBS),
    ("~(1<<262143),", 30, 60 * LIMBS),
    ("abs(-(1<<262143)),", 22, 66 * LIMBS),
    ("-(1<<262143)&-2,", 24, 60 * LIMBS),
    ("(1<<262143)//3<1,", 24, 48 * LIMBS),
    ("round(3**80000,-20000)<1", 1, 1_982 * 1_982 / 4),
    ("hex(1)*21845,", 30, 30 * STRING),
    ("float(hex(1)*21845)", 1, 3 * (STRING - 1)),
    ("int(bin(1<<65000),2)", 1, 2 * 65_000),
    ("round(1e308,323),", 24, 24 * (309 + 323)),
    ("(1,)*9999<2", 1, 9_999),
    ("sum((9<<62,)*9999)", 1, 9_998 * 2),
    ("sum((.1,)*9999)", 1, 9_998),
    // Digits, counted and written.
    ("9**4500", 1, 223 * 223 / 2),
    ("(10**4290,)*15", 1, 2 * 15 * 223 * 223 / 2),
    ("(.1,)*9999", 1, 2 * 9_999 * 5),
    ("(9<<1128,)*99", 1, 2 * 99 * 340),
    // The worst that the search found, in this tree and before comparisons were charged.
    ("max(((1<<211312),)*999)", 1, 998 * 3_302),
    ("(1e16,1j)*4999", 1, 9_998),
    ("pow(3,(1<<7052)-1,(1<<392)//3),", 5, 5 * 7_052 * 2 * 7 * 7),
    ("pow((1<<182864)//3,1,9<<709),", 20, 20 * (2_858 - 12) * 12),
    ("(1<<226905)%(10**1231-1),", 10, 10 * (3_546 - 64) * 64),
    ("divmod(1-(1<<220461),7**990),", 20, 20 * (3_445 - 44) * 44),
    ("2%pow(7**50,-1,10**38-1),", 110, 110 * 127),
    ("round(1.7976931348623157e308,63),", 124, 124 * (309 + 63)),
    ("complex(-(1<<339),5e-324),", 150, 150 * 30),
    ("sum((~((1<<175)-1),-9223372036854775808)*4999)", 1, 9_997 * 3),
];

/// The work charged for a text.
fn work(text: &str) -> u64 {
    evaluate(text.as_bytes(), Dialect::Python).work
}

#[test]
fn a_message_that_takes_long_is_charged_for_it() {
    for (piece, repetitions, operations) in STALLS {
        let charged = work(&piece.repeat(*repetitions));
        assert!(charged >= *operations, "{piece}: {charged} of {operations}");
        assert!(charged <= WORK, "{piece}: {charged}");
    }
}

/// Operations on the integers `A` and `B`, and the limbs or products that each takes, by the limbs
/// of both.
type Cost = fn(u64, u64) -> u64;
const OPERATIONS: &[(&str, Cost)] = &[
    ("A+B", u64::max),
    ("A-B", u64::max),
    ("A*B", |a, b| a * b),
    ("A//B", |a, b| (a + 1).saturating_sub(b) * b),
    ("A%B", |a, b| a.max(b).max((a + 1).saturating_sub(b) * b)),
    ("divmod(A,B)", |a, b| a.max(b).max((a + 1).saturating_sub(b) * b)),
    ("1/(A+B)", |a, b| 2 * a.max(b)),
    ("A**2", |a, _| 4 * a * a),
    ("A&B", u64::max),
    ("A|-B", |a, b| a.max(b) + b),
    ("A^B", u64::max),
    ("A<<640", |a, _| a + 10),
    ("A>>1", |a, _| a),
    ("-A", |a, _| a),
    ("~A", |a, _| a),
    ("abs(-A)", |a, _| 2 * a),
    ("A<B", u64::min),
    ("A>=B", u64::min),
    ("A==B", u64::min),
    ("A!=B", u64::min),
    ("A is B", u64::min),
    ("A<A+1<A+2", |a, _| 4 * a),
    ("A in(-B,B)", |a, b| b + 2 * a.min(b)),
    ("A not in(B,)", u64::min),
    ("(1,A)<(1,B)", u64::min),
    ("(A,B)==(A,B)", |a, b| a + b),
    ("max(A,B)", u64::min),
    ("min((A,B,A))", |a, b| 2 * a.min(b)),
    ("sum((A,B))", u64::max),
    ("round(A,-9)", |a, _| a),
    ("pow(A,9,B)", |a, b| 4 * 2 * b * b + (a + 1).saturating_sub(b) * b),
    ("hex(A)", |a, _| 16 * a),
    ("oct(A)", |a, _| 21 * a),
    ("bin(A)", |a, _| 64 * a),
    ("int(hex(A),16)", |a, _| 32 * a),
    ("hex(A)+hex(B)", |a, b| 18 * (a + b)),
    ("hex(A)*3", |a, _| 22 * a),
    ("hex(A)<hex(B)", |a, b| 16 * (a + b) + 2 * a.min(b)),
    ("hex(A)in hex(B)", |a, b| 32 * (a + b)),
];

#[test]
fn every_operation_is_charged_for_the_limbs_that_it_goes_through() {
    // An error about the number of arguments is the cheapest way not to print a result.
    let evaluated = |operands: &str| {
        let text = format!("len({operands},1)");
        work(&text) - text.len() as u64 * BYTE_COST
    };
    for (operation, cost) in OPERATIONS {
        for [a, b] in [[2, 2], [2, 64], [64, 2], [64, 64], [300, 20], [300, 300]] {
            let [left, right] = [a, b].map(|limbs| format!("((1<<{})-1)", 64 * limbs));
            let text = operation.replace('A', &left).replace('B', &right);
            // The operands are charged for as often as they are written.
            let made = operation.matches('A').count() as u64 * evaluated(&left)
                + operation.matches('B').count() as u64 * evaluated(&right);
            let charged = evaluated(&text) - made;
            // The first limb is free.
            let least = cost(a, b).saturating_sub(1);
            assert!(charged >= least, "{operation} of {a} and {b}: {charged} of {least}");
        }
    }
}

#[test]
fn nested_tuples_are_searched_once() {
    let nested = |item: &str| format!("{}{item}{}", "(".repeat(90), ",)".repeat(90));
    let large = "(1<<262143,)*90";
    for comparison in ["==", "!=", "<", ">="] {
        let text = format!("{}{comparison}{}", nested(large), nested(large));
        let charged = work(&text);
        assert!(charged > 90 * LIMBS, "{comparison}: {charged}");
        assert!(charged < 150 * LIMBS, "{comparison}: {charged}");
    }
}

/// Run by `scripts/slow-messages`, in a release build.
#[test]
#[ignore = "takes a minute, and needs a release build"]
fn no_message_takes_more_than_it_is_charged_for() {
    let number = |name, default| env::var(name).map_or(default, |value| value.parse().unwrap());
    let seconds = Duration::from_secs(number("SEARCH_SECONDS", 60));
    assert!(search::run(seconds, number("SEARCH_SEED", 1)), "a message is over a limit");
}
