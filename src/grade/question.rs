//! Questions to a server and the judgement of its answers.
//!
//! The values of all questions of a grading differ, so that a late answer is never taken for the
//! next one. An answer is compared as a number, wherever in the reply it stands: `3`, `3.0` and
//! `Result: 3` have the same value.

use std::collections::HashSet;
use std::ops::Range;

use super::Service;
use super::numbers::{equal, numbers, sums};
use super::text::{c_text, find, without_digits, words};
use crate::random::Random;

/// The largest term of a sum, difference or quotient.
const MAX_TERM: u32 = 999;

/// The largest factor.
const MAX_FACTOR: u32 = 99;

/// The most attempts to find an answer that no other question has.
const MAX_ATTEMPTS: u32 = 10_000;

/// A yes to a quiz.
const CONSENT: &str = "yes";

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Its words: two operands and an operator, or one word.
    words: Vec<String>,
    /// The answer that must come.
    answer: Answer,
}

/// The answer that must come to a question.
#[derive(Clone, Debug)]
enum Answer {
    Number(f64),
    Text(String),
    /// Any text.
    Greeting,
    /// A sum: the next question of a quiz.
    Sum,
}

/// The source of questions.
#[derive(Debug)]
pub(super) struct Questions {
    service: Service,
    random: Random,
    asked: HashSet<u32>,
}

impl Questions {
    pub(super) fn new(service: Service, seed: u64) -> Self {
        Self { service, random: Random::new(seed), asked: HashSet::new() }
    }

    /// A question whose answer no other question of this grading has. Of the operators it takes the
    /// one that works first: the others have a test of their own.
    pub(super) fn draw(&mut self) -> Question {
        self.with('+')
    }

    /// A question with this operator, if the service knows operators.
    pub(super) fn with(&mut self, operator: char) -> Question {
        match self.service {
            Service::Calc => self.sum(operator),
            Service::Echo => {
                let word = self.word();
                Question { words: vec![word.clone()], answer: Answer::Text(word) }
            }
            Service::Hello => Question { words: vec![self.word()], answer: Answer::Greeting },
            Service::Quiz => Question { words: vec![CONSENT.to_owned()], answer: Answer::Sum },
        }
    }

    fn sum(&mut self, operator: char) -> Question {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (mut left, mut right) = (self.operand(MAX_TERM), self.operand(MAX_TERM));
            let value = match operator {
                '+' => left + right,
                '-' => {
                    left += right;
                    left - right
                }
                '*' => {
                    (left, right) = (self.operand(MAX_FACTOR), self.operand(MAX_FACTOR));
                    left * right
                }
                _ => {
                    right = self.operand(MAX_FACTOR);
                    let value = left;
                    left *= right;
                    value
                }
            };
            // A reply that repeats the question has its operands as well.
            let distinct = value != left && value != right && !self.asked.contains(&value);
            if distinct || attempts > MAX_ATTEMPTS {
                self.asked.insert(value);
                let words = vec![left.to_string(), operator.to_string(), right.to_string()];
                return Question { words, answer: Answer::Number(f64::from(value)) };
            }
        }
    }

    fn operand(&mut self, most: u32) -> u32 {
        2 + self.random.below(most - 1)
    }

    fn word(&mut self) -> String {
        format!("word{:06}", self.random.below(1_000_000))
    }
}

impl Question {
    /// The answer of a player, which brings the next question of a quiz.
    pub(super) fn of_player(answer: i64) -> Self {
        Self { words: vec![answer.to_string()], answer: Answer::Sum }
    }

    /// True if a quiz is to ask its next question.
    pub(super) fn is_of_quiz(&self) -> bool {
        matches!(self.answer, Answer::Sum)
    }

    /// The text, with or without blanks between its words.
    pub(super) fn text(&self, blanks: bool) -> String {
        self.words.join(if blanks { " " } else { "" })
    }

    /// The question and its answer.
    pub(super) fn sum_text(&self) -> String {
        format!("{} is {}", self.text(true), self.answer_text())
    }

    /// The text that each right answer has, if it is known.
    pub(super) fn value_text(&self) -> Option<String> {
        match &self.answer {
            Answer::Number(value) => Some(value.to_string()),
            Answer::Text(text) => Some(text.clone()),
            Answer::Greeting | Answer::Sum => None,
        }
    }

    /// The answer in words.
    pub(super) fn answer_text(&self) -> String {
        match &self.answer {
            Answer::Number(value) => value.to_string(),
            Answer::Text(text) => format!("\"{text}\""),
            Answer::Greeting => "a greeting".to_owned(),
            Answer::Sum => "a question".to_owned(),
        }
    }
}

/// The shape of a server's right answers, learnt from some of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shape {
    /// The index of the value among the numbers of the reply, from the end.
    from_end: usize,
    /// The text behind the value without its digits, if it is always the same.
    tail: Option<Vec<u8>>,
    /// The length of a reply, if it is always the same and the text behind the value is not: it is
    /// padded.
    padded: Option<usize>,
    /// The numbers before the value, if they are always the same: a code, as in `200 66`.
    codes: Vec<f64>,
    /// The words of right answers, in lower case.
    words: HashSet<String>,
    /// True if something that is no answer is behind a NUL.
    leftovers: bool,
}

impl Shape {
    /// The shape of these replies, or none if one of them is not right in it.
    pub(super) fn learn(answers: &[(Question, Vec<u8>)]) -> Option<Self> {
        let words = answers.iter().flat_map(|(_, reply)| words(c_text(reply))).collect();
        let most = answers.iter().map(|(_, reply)| numbers(c_text(reply)).len()).min()?;
        let mut shapes = (0..most.max(1)).map(|from_end| Self { from_end, ..Self::default() });
        let shape = shapes.find(|shape| {
            answers.iter().all(|(question, reply)| shape.is_right(question, reply))
        })?;
        let tail = same(answers, |(question, reply)| shape.rest(question, reply)).flatten();
        let padded = same(answers, |(_, reply)| reply.len()).filter(|_| tail.is_none());
        let codes = same(answers, |(_, reply)| shape.before(reply)).unwrap_or_default();
        let leftovers = answers
            .iter()
            .any(|(_, reply)| reply[c_text(reply).len()..].iter().any(|&byte| byte != 0));
        Some(Self { tail, padded, codes, words, leftovers, ..shape })
    }

    /// True if the reply has the right answer.
    pub(super) fn is_right(&self, question: &Question, reply: &[u8]) -> bool {
        match &question.answer {
            Answer::Number(value) => self.number(reply).is_some_and(|(_, it)| equal(it, *value)),
            Answer::Text(text) => find(reply, text).is_some(),
            Answer::Greeting => !reply.is_empty(),
            Answer::Sum => !sums(reply).is_empty(),
        }
    }

    /// True if the reply is right and nothing more will come.
    pub(super) fn is_whole(&self, question: &Question, reply: &[u8]) -> bool {
        let ends = match &self.tail {
            Some(tail) => self.rest(question, reply).as_ref() == Some(tail),
            None => self.padded == Some(reply.len()),
        };
        ends && self.is_right(question, reply)
    }

    /// The text behind the value of a reply, without its digits: a counter or a time may stand
    /// there. None if more digits may come.
    fn rest(&self, question: &Question, reply: &[u8]) -> Option<Vec<u8>> {
        let rest = match &question.answer {
            Answer::Number(_) => self.number(reply).map(|(at, _)| &reply[at.end..]),
            Answer::Text(text) => find(reply, text).map(|at| &reply[at + text.len()..]),
            Answer::Greeting => None,
            Answer::Sum => sums(reply).last().map(|(at, _)| &reply[at.end..]),
        }?;
        (!rest.last().is_some_and(u8::is_ascii_digit)).then(|| without_digits(rest))
    }

    /// A right answer of the server: a number before its value that differs from the others is no
    /// code, but its process or the time.
    pub(super) fn note_right(&mut self, reply: &[u8]) {
        if self.before(reply) != self.codes {
            self.codes.clear();
        }
    }

    /// True if right answers end in a newline.
    pub(super) fn ends_in_newline(&self) -> bool {
        self.tail.as_ref().is_some_and(|tail| tail.ends_with(b"\n"))
    }

    /// True if a newline follows the value of right answers, at the end or before more text.
    pub(super) fn has_newline(&self) -> bool {
        self.tail.as_ref().is_some_and(|tail| tail.contains(&b'\n'))
    }

    /// True if an answer goes on behind a NUL, with what was in the buffer before.
    pub(super) fn has_leftovers(&self) -> bool {
        self.leftovers
    }

    /// True if a right answer is more than its value.
    pub(super) fn has_words(&self) -> bool {
        !self.words.is_empty()
    }

    /// True if the reply is an answer, and one that is no number.
    pub(super) fn is_error(&self, reply: &[u8]) -> bool {
        let reply = c_text(reply);
        let said = words(reply).into_iter().any(|word| !self.words.contains(&word));
        let coded = !self.codes.is_empty() && self.before(reply) != self.codes;
        said || coded || (numbers(reply).is_empty() && !reply.trim_ascii().is_empty())
    }

    /// True if the text has the answers to all questions, in their order.
    pub(super) fn has_answers(&self, text: &[u8], questions: &[Question]) -> bool {
        let texts = match self.padded {
            Some(length) if self.leftovers => text.chunks(length).map(c_text).collect(),
            _ => vec![text],
        };
        let mut rest = &texts.join(&b'\n')[..];
        questions.iter().all(|question| {
            let end = match &question.answer {
                // Nothing separates these answers: two of them look like one number.
                Answer::Number(value) if self.tail.as_deref() == Some(b"") => {
                    let value = value.to_string();
                    find(rest, &value).map(|at| at + value.len())
                }
                Answer::Number(value) => {
                    let mut found = numbers(rest).into_iter();
                    found.find(|(_, number)| equal(*number, *value)).map(|(at, _)| at.end)
                }
                Answer::Text(text) => find(rest, text).map(|at| at + text.len()),
                Answer::Greeting => (!rest.is_empty()).then_some(rest.len()),
                Answer::Sum => sums(rest).first().map(|(at, _)| at.end),
            };
            rest = &rest[end.unwrap_or(rest.len())..];
            end.is_some()
        })
    }

    fn number(&self, reply: &[u8]) -> Option<(Range<usize>, f64)> {
        numbers(c_text(reply)).into_iter().rev().nth(self.from_end)
    }

    /// The numbers before the value.
    fn before(&self, reply: &[u8]) -> Vec<f64> {
        let mut all: Vec<_> =
            numbers(c_text(reply)).into_iter().map(|(_, number)| number).collect();
        all.truncate(all.len().saturating_sub(self.from_end + 1));
        all
    }
}

/// A property that is the same of all answers.
fn same<'a, A, T: PartialEq>(answers: &'a [A], of: impl Fn(&'a A) -> T) -> Option<T> {
    let mut all = answers.iter().map(of);
    let first = all.next()?;
    all.all(|it| it == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(value: f64) -> Question {
        Question {
            words: vec!["22".into(), "+".into(), "44".into()],
            answer: Answer::Number(value),
        }
    }

    fn learnt(replies: &[(f64, &str)]) -> Option<Shape> {
        let answers =
            replies.iter().map(|(value, text)| (question(*value), text.as_bytes().into()));
        Shape::learn(&answers.collect::<Vec<_>>())
    }

    #[test]
    fn a_value_is_found_wherever_it_stands() {
        for replies in [
            [(66.0, "66\n"), (12.0, "12\n")],
            [(66.0, "Result: 66.0"), (12.0, "Result: 12.0")],
            [(66.0, "22 + 44 = 66.00\n> "), (12.0, "5 + 7 = 12.00\n> ")],
            [(66.0, "66 (request 1)\n"), (12.0, "12 (request 2)\n")],
            [(-3.0, "2-5=-3"), (-4.0, "2-6=-4")],
            [(2856.0, "= 2,856"), (1583.0, "= 1,583.00")],
            [(2856.0, "2.856000e+03"), (12.0, "1.2E1 even")],
        ] {
            let shape = learnt(&replies).expect("both are right");
            for (value, text) in replies {
                assert!(shape.is_right(&question(value), text.as_bytes()), "{text}");
                assert!(!shape.is_right(&question(value + 1.0), text.as_bytes()), "{text}");
            }
        }
        assert_eq!(learnt(&[(66.0, "66\n"), (12.0, "13\n")]), None);
    }

    #[test]
    fn a_reply_is_whole_with_its_tail() {
        let shape = learnt(&[(66.0, "= 66\n> "), (12.0, "= 12\n> ")]).expect("both are right");
        assert!(shape.is_whole(&question(5.0), b"= 5\n> "));
        assert!(!shape.is_whole(&question(5.0), b"= 5\n"));
        assert!(!shape.ends_in_newline());
        let shape = learnt(&[(66.0, "66 (no 9)\n"), (12.0, "12 (no 10)\n")]).expect("right");
        assert!(shape.is_whole(&question(5.0), b"5 (no 11)\n"));
        assert!(!shape.is_whole(&question(5.0), b"5 (no 11)"));
    }

    #[test]
    fn an_error_is_an_answer_that_is_no_number() {
        let shape = learnt(&[(66.0, "Result: 66\n"), (12.0, "Result: 12\n")]).expect("right");
        for error in ["Invalid input", "Error 1: line 2", "Result: inf", "?", "Result: nan"] {
            assert!(shape.is_error(error.as_bytes()), "{error}");
        }
        for no_error in ["Result: 32720\n", "0", "", "\n"] {
            assert!(!shape.is_error(no_error.as_bytes()), "{no_error}");
        }
    }

    #[test]
    fn an_error_in_another_alphabet_may_have_a_number() {
        let shape = learnt(&[(66.0, "Ответ: 66\n"), (12.0, "Ответ: 12\n")]).expect("right");
        assert!(shape.is_error("На 0 делить нельзя\n".as_bytes()));
        assert!(!shape.is_error("Ответ: 0\n".as_bytes()));
        let shape = learnt(&[(66.0, "66\n"), (12.0, "12\n")]).expect("both are right");
        assert!(shape.is_error("除数不能为0\n".as_bytes()));
        // What was in a buffer before is no word.
        assert!(!shape.is_error(b"0\n\xb0\xff\x7f\xfe"));
    }

    #[test]
    fn a_code_before_the_value_tells_an_error() {
        let shape = learnt(&[(66.0, "200 66\n"), (12.0, "200 12\n")]).expect("both are right");
        assert!(shape.is_error(b"400\n") && shape.is_error(b"400 0\n"));
        assert!(!shape.is_error(b"200 0\n"));
        let shape = learnt(&[(66.0, "[601] 66\n"), (12.0, "[601] 12\n")]).expect("right");
        assert!(!shape.is_error(b"[601] 0\n") && shape.is_error(b"[602] 0\n"));
        let mut shape = shape;
        shape.note_right(b"[602] 5\n");
        assert!(!shape.is_error(b"[602] 0\n"));
        // A counter is none.
        let shape = learnt(&[(66.0, "1: 66\n"), (12.0, "2: 12\n")]).expect("both are right");
        assert!(!shape.is_error(b"3: 0\n"));
    }

    #[test]
    fn a_padded_reply_is_whole_with_its_length() {
        let shape = learnt(&[(66.0, "66\0\0"), (125.0, "125\0")]).expect("both are right");
        assert!(shape.is_whole(&question(5.0), b"5\0\0\0"));
        assert!(!shape.is_whole(&question(5.0), b"5\0"));
    }

    #[test]
    fn no_two_questions_have_the_same_answer() {
        let mut questions = Questions::new(Service::Calc, 7);
        let values: Vec<_> = (0..300).map(|_| questions.draw().answer_text()).collect();
        let different: HashSet<_> = values.iter().collect();
        assert_eq!(different.len(), values.len());
    }
}
