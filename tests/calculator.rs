//! The calculator answers what Python 3.11 answers, to the byte, but for some texts of
//! `SyntaxError`; and it answers every text.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde::Deserialize;
use socklab::arithmetic::{self, Dialect, Evaluation, limits};
use socklab::random::Random;

/// Expressions and their replies, as `scripts/calculator-corpus` wrote them.
const CORPUS: &str = include_str!("calculator/corpus.jsonl");

#[derive(Deserialize)]
struct Row {
    /// The rule that it shows.
    shows: String,
    expression: String,
    answer: String,
}

fn reply(text: &[u8], dialect: Dialect) -> (String, Evaluation) {
    let answer = arithmetic::evaluate(text, dialect);
    let mut reply = String::new();
    match &answer.outcome {
        Ok(value) => value.render(&mut reply),
        Err(error) => error.render(&mut reply),
    }
    .unwrap();
    (reply, answer)
}

#[test]
fn every_reply_is_as_recorded() {
    let mut differences = Vec::new();
    let mut count = 0;
    for line in CORPUS.lines() {
        let row: Row = serde_json::from_str(line).unwrap();
        let (reply, _) = reply(row.expression.as_bytes(), Dialect::Python);
        count += 1;
        if reply != row.answer {
            let Row { shows, expression, answer } = row;
            differences.push(format!("{shows}: {expression}\n  want {answer}\n  got  {reply}"));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {count}:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(count > 500, "only {count} rows");
}

#[test]
fn the_dialect_integer_divides_as_c_does() {
    for (text, answer) in [
        ("30 / 10", "3"),
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("7 / -2", "-3"),
        ("-7 % 2", "-1"),
        ("7 % -2", "1"),
        ("1 + 2 * 3", "7"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("1 % 0", "ZeroDivisionError: integer modulo by zero"),
        ("2 ** 10", "1024"),
        ("(-9223372036854775807 - 1) / -1", "9223372036854775808"),
        ("-10**20 / 3", "-33333333333333333333"),
        ("-10**20 % 7", "-2"),
    ] {
        assert_eq!(reply(text.as_bytes(), Dialect::Integer).0, answer, "{text}");
    }
    // It has no other numbers, not as intermediate results either.
    for text in ["1.5", "2j", "2 ** -1", "float(1)", "complex(1)", "1 + 0.5", "(1, 2.0)"] {
        let refusal = "SyntaxError: unsupported expression (<string>, line 1)";
        assert_eq!(reply(text.as_bytes(), Dialect::Integer).0, refusal, "{text}");
    }
}

/// A fixed sequence of numbers.
struct Numbers(Random);

impl Numbers {
    fn next(&mut self) -> usize {
        usize::try_from(self.0.draw() >> 32).unwrap()
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() % limit
    }
}

/// Checks that a text has a reply, within the limits.
fn is_answered(text: &[u8]) {
    for dialect in [Dialect::Python, Dialect::Integer] {
        let (reply, answer) = reply(text, dialect);
        let text = text.escape_ascii();
        assert!(!reply.is_empty(), "{text}");
        assert!(reply.len() <= limits::REPLY_BYTES, "{text}: {} bytes", reply.len());
        assert!(answer.work <= limits::WORK, "{text}: {} products", answer.work);
    }
}

#[test]
fn bytes_that_are_no_text_are_a_syntax_error() {
    for text in [&b"12\xff"[..], b"12\xc3", b"1\xc32", b"\x0c \xff", b"'\xff'", b"#\xff"] {
        let expected = "SyntaxError: invalid syntax (<string>, line 1)";
        assert_eq!(reply(text, Dialect::Python).0, expected);
    }
    // Wherever it is, and whatever else is wrong.
    for text in [&b"1\0"[..], b"\x0c \0", b"1 2\0", b"1 #\0", b"'\0'"] {
        let expected = "SyntaxError: source code string cannot contain null bytes";
        assert_eq!(reply(text, Dialect::Python).0, expected);
    }
}

#[test]
fn any_bytes_are_answered() {
    let mut numbers = Numbers(Random::new(1));
    for _ in 0..20_000 {
        let length = numbers.below(40);
        let text: Vec<u8> = (0..length).map(|_| numbers.next().to_le_bytes()[0]).collect();
        is_answered(&text);
    }
}

#[test]
fn any_tokens_of_the_language_are_answered() {
    const TOKENS: &str = "0~1~2~9~10~0x1f~1e308~1.5~.5~2j~True~False~(~)~(~)~,~+~-~*~/~//~%~**~<<~\
        >>~&~|~^~~~<~==~!=~ and ~ or ~ not ~ if ~ else ~abs(~round(~min(~max(~pow(~divmod(~int(~\
        float(~bool(~complex(~sum(~len(~hex(~x~9999999999999999999~ ~#~'~\u{d7}~_~.~[~]~lambda~:~=";
    let tokens: Vec<_> = TOKENS.split('~').collect();
    let mut numbers = Numbers(Random::new(2));
    for _ in 0..50_000 {
        let length = numbers.below(14);
        let text: String = (0..length).map(|_| tokens[numbers.below(tokens.len())]).collect();
        is_answered(text.as_bytes());
    }
}

#[test]
fn texts_that_could_stall_are_answered() {
    let digits = "9".repeat(4096);
    for text in [
        "9**9**9".to_owned(),
        "9**9**9**9".to_owned(),
        "1<<10**9".to_owned(),
        "(".repeat(4096),
        "-".repeat(4096),
        "1+".repeat(2047) + "1",
        format!("{digits}*{digits}"),
        format!("{digits}**9"),
        "round(1e308, 10**9)".to_owned(),
        "(1,2)*1000000".to_owned(),
        "((((1,)*99)*99)*99)*99".to_owned(),
        "pow(3,9**9999,7**9000)".to_owned(),
        "2**262143%7".to_owned(),
        "max(hex(1)*21845),".repeat(200),
        "float(hex(1)*21845)".to_owned(),
        "hex(1)*21845,".repeat(300),
        "not ".repeat(1000) + "1",
        "1 if 1 else ".repeat(300) + "1",
        "abs(".repeat(150) + "1" + &")".repeat(150),
        "abs(".repeat(200) + "1 2",
        "x[(".repeat(100) + "1 2",
        "f(x={1:".repeat(100) + "1 2",
        "lambda x=(y:=".repeat(100) + "1 2",
        "lambda: ".repeat(8_000) + "1 2",
        "1 if 1 else ".repeat(5_000) + "1 2",
        "(1 if (1) else (2 3) for ".repeat(100),
    ] {
        is_answered(text.as_bytes());
    }
}

#[test]
fn small_integers_are_evaluated_without_an_allocation() {
    for text in ["1 + 2", "(3*4-5)/7", "-(7 // 2) % 5", "2 ** 10", "1 < 2", "255 & 15"] {
        let info = allocation_counter::measure(|| {
            let answer = arithmetic::evaluate(text.as_bytes(), Dialect::Python);
            assert!(answer.outcome.is_ok());
        });
        assert_eq!(info.count_total, 0, "{text}");
    }
}
