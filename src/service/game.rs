//! The rules of the quiz, and the record of a game: questions, answers, marks.

use std::fmt;
use std::time::Duration;

use super::Peer;
use crate::arithmetic::Value;
use crate::escape;
use crate::random::Random;

/// The most questions of a game.
pub const MAX_QUESTIONS: u32 = 1000;

/// The most bytes of an answer that are recorded: more than any right one that is not mostly zeros.
const MAX_RECORDED_ANSWER: usize = 64;

/// The most bytes of a name that are recorded.
const MAX_RECORDED_NAME: usize = 256;

/// The quarters in a mark. A right answer adds a mark, a wrong one takes off a quarter.
const QUARTERS: i64 = 4;

/// The rules of a quiz, the same for all its players.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The seed of the first client's questions. Each client has the next seed.
    pub seed: u64,
    /// The number of questions, 1 to [`MAX_QUESTIONS`].
    pub questions: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self { seed: 0, questions: 10 }
    }
}

/// One game, finished or not.
#[derive(Clone, Debug)]
pub struct Game {
    /// The seed of its questions. A server started with this seed asks its first client the same.
    pub seed: u64,
    /// The client that played.
    pub peer: Peer,
    /// The player's name: at most 256 bytes of any value.
    pub name: Box<[u8]>,
    /// The number of questions in a game.
    pub questions: u32,
    /// The answers so far, in order.
    pub answers: Vec<Answer>,
    /// The time from the name to the last message.
    pub lasted: Duration,
}

impl Game {
    pub(super) fn new(rules: Rules, peer: Peer, name: &[u8]) -> Self {
        Self {
            seed: rules.seed.wrapping_add(peer.number.saturating_sub(1)),
            peer,
            name: escape::beginning(name, MAX_RECORDED_NAME).into(),
            questions: rules.questions,
            answers: Vec::new(),
            lasted: Duration::ZERO,
        }
    }

    /// True if every question was answered.
    pub fn is_over(&self) -> bool {
        self.answers.len() >= self.questions as usize
    }

    /// The marks as Python prints them: an integer until a wrong answer, a float from then on.
    pub fn total(&self) -> String {
        let quarters = self.quarters();
        let value = if self.answers.iter().all(|answer| answer.correct) {
            Value::Int(quarters / QUARTERS)
        } else {
            let quarters = i32::try_from(quarters).expect("a game has at most 1000 questions");
            Value::Float(f64::from(quarters) / 4.0)
        };
        let mut text = String::new();
        value.render(&mut text).expect("a string takes all that is written to it");
        text
    }

    /// The comment on the total: one for at least 9 marks of 10, another for more than 5. For any
    /// other number of questions the proportions are the same.
    pub(super) fn closing_line(&self) -> &'static str {
        let (tenths, all) = (self.quarters() * 10, i64::from(self.questions) * QUARTERS);
        if tenths >= 9 * all {
            "Bravo!"
        } else if tenths > 5 * all {
            "You did great!"
        } else {
            "Better luck next time!"
        }
    }

    fn quarters(&self) -> i64 {
        self.answers.iter().map(|answer| if answer.correct { QUARTERS } else { -1 }).sum()
    }
}

/// An answer and its mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The player's text: at most 64 bytes of any value.
    pub text: Box<[u8]>,
    /// True if it is right.
    pub correct: bool,
}

impl Answer {
    /// Marks this answer to `question`.
    pub(super) fn to(question: Question, text: &[u8]) -> Self {
        let correct = integer(text) == Some(question.answer());
        Self { text: escape::beginning(text, MAX_RECORDED_ANSWER).into(), correct }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Plus,
    Minus,
    Times,
    Modulo,
}

/// A question such as 3+4: an operation on two digits, the second of which is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    left: u32,
    operator: Operator,
    right: u32,
}

impl Question {
    pub(super) fn draw(random: &mut Random) -> Self {
        let left = random.below(10);
        let right = 1 + random.below(9);
        let operator = match random.below(4) {
            0 => Operator::Plus,
            1 => Operator::Minus,
            2 => Operator::Times,
            _ => Operator::Modulo,
        };
        Self { left, operator, right }
    }

    fn answer(self) -> i64 {
        let (left, right) = (i64::from(self.left), i64::from(self.right));
        match self.operator {
            Operator::Plus => left + right,
            Operator::Minus => left - right,
            Operator::Times => left * right,
            Operator::Modulo => left % right,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match self.operator {
            Operator::Plus => '+',
            Operator::Minus => '-',
            Operator::Times => '*',
            Operator::Modulo => '%',
        };
        write!(out, "{}{operator}{}", self.left, self.right)
    }
}

/// A decimal integer that Python's `int()` accepts: `7`, `+7`, `007`, `1_0`. A number too large for
/// the type becomes its largest value, which is no right answer.
fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let mut value = 0_i64;
    for group in digits.split(|&byte| byte == b'_') {
        if group.is_empty() || !group.iter().all(u8::is_ascii_digit) {
            return None;
        }
        for digit in group {
            value = value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
        }
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn game(right: usize, wrong: usize) -> Game {
        let address = Some(([127, 0, 0, 1], 4242).into());
        let rules = Rules::default();
        let mut game = Game::new(rules, Peer { number: 1, address }, b"Bob");
        let answer = |correct| Answer { text: Box::from(*b"7"), correct };
        game.answers = vec![answer(true); right];
        game.answers.extend(vec![answer(false); wrong]);
        game
    }

    #[test]
    fn a_total_is_printed_as_in_python_and_has_its_closing_line() {
        for (right, total, closing_line) in [
            (10, "10", "Bravo!"),
            (9, "8.75", "You did great!"),
            (6, "5.0", "Better luck next time!"),
            (7, "6.25", "You did great!"),
            (2, "0.0", "Better luck next time!"),
            (0, "-2.5", "Better luck next time!"),
        ] {
            let game = game(right, 10 - right);
            assert_eq!((&*game.total(), game.closing_line()), (total, closing_line));
        }
        assert_eq!(game(0, 0).total(), "0");
    }

    #[test]
    fn no_text_of_a_player_is_cut_within_a_character() {
        let text = |most: usize| "x".repeat(most - 1) + "ü";
        let peer = Peer { number: 1, address: None };
        let game = Game::new(Rules::default(), peer, text(MAX_RECORDED_NAME).as_bytes());
        assert_eq!(*game.name, vec![b'x'; MAX_RECORDED_NAME - 1]);
        let question = Question { left: 3, operator: Operator::Plus, right: 7 };
        let answer = Answer::to(question, text(MAX_RECORDED_ANSWER).as_bytes());
        assert_eq!(*answer.text, vec![b'x'; MAX_RECORDED_ANSWER - 1]);
    }

    #[test]
    fn an_answer_is_right_in_every_form_that_python_accepts() {
        let question = Question { left: 3, operator: Operator::Plus, right: 7 };
        for text in ["10", "+10", "0010", "1_0"] {
            assert!(Answer::to(question, text.as_bytes()).correct, "{text}");
        }
        for text in
            ["", "ten", "10.0", "1__0", "_10", "10_", "-10", "+-10", "- 10", "1 0", "\u{661}"]
        {
            assert!(!Answer::to(question, text.as_bytes()).correct, "{text}");
        }
        let endless = [b'9'; 4096];
        assert_eq!(integer(&endless), Some(i64::MAX));
        assert_eq!(Answer::to(question, &endless).text.len(), MAX_RECORDED_ANSWER);
        assert_eq!(integer(b"-0"), Some(0));
    }

    #[test]
    fn questions_have_all_digits_and_operators_and_none_divides_by_zero() {
        let mut random = Random::new(1);
        let drawn: Vec<String> =
            (0..10_000).map(|_| Question::draw(&mut random).to_string()).collect();
        for left in '0'..='9' {
            for operator in "+-*%".chars() {
                for right in '1'..='9' {
                    assert!(drawn.contains(&format!("{left}{operator}{right}")));
                }
            }
        }
        assert!(drawn.iter().all(|question| question.len() == 3 && !question.ends_with('0')));
    }
}
