//! What a quiz server said: a pure state machine, text in, messages out.
//!
//! The first quiz servers put nothing between two messages, and TCP may deliver two of them in one
//! piece. So a message is known by what it is and by what came before it:
//!
//! | while | a message is | known by |
//! | --- | --- | --- |
//! | no question was asked | the first question | it starts with ` -> ` |
//! | | the server's refusal, or a greeting | anything else |
//! | a question is open | its verdict | anything but a question; `Correct answer`, `Wrong answer` |
//! | the answer was judged | the next question | it starts with ` -> ` |
//! | | the total | a number, alone or with a word right behind it: `8.75You did great!` |
//! | the total is known | the farewell | anything |
//!
//! A newline, or a NUL, ends a message wherever it stands.

use std::collections::VecDeque;

use memchr::memmem;

/// What stands before every question.
const ARROW: &[u8] = b" -> ";

/// What every verdict holds, one or the other: behind it a total may follow without a delimiter.
const VERDICTS: [&[u8]; 2] = [b"Correct answer", b"Wrong answer"];

/// One message of the server, without its delimiters and the blanks around it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum QuizMessage {
    /// A question, without its arrow.
    Question(Vec<u8>),
    /// What the last answer was worth.
    Verdict(Vec<u8>),
    /// The sum of the marks.
    Total(Vec<u8>),
    /// Anything else: a greeting, a refusal, the farewell.
    Text(Vec<u8>),
}

impl QuizMessage {
    /// The message, whatever it is.
    pub(super) fn text(&self) -> &[u8] {
        match self {
            Self::Question(text) | Self::Verdict(text) | Self::Total(text) | Self::Text(text) => {
                text
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QuizPhase {
    Opening,
    Asked,
    Judged,
    Totalled,
}

/// The parser of one game.
#[derive(Debug)]
pub(super) struct QuizParser {
    phase: QuizPhase,
}

impl QuizParser {
    /// Nothing was said yet.
    pub(super) fn new() -> Self {
        Self { phase: QuizPhase::Opening }
    }

    /// Adds to `messages` the messages of `text`, which ends where a message ends.
    pub(super) fn push(&mut self, text: &[u8], messages: &mut VecDeque<QuizMessage>) {
        for line in text.split(|byte| matches!(byte, b'\n' | b'\0')) {
            self.push_line(line, messages);
        }
    }

    fn push_line(&mut self, line: &[u8], messages: &mut VecDeque<QuizMessage>) {
        if self.phase == QuizPhase::Totalled {
            return self.push_text(line, messages);
        }
        let Some(arrow) = memmem::find(line, ARROW) else {
            return self.push_text(line, messages);
        };
        self.push_text(&line[..arrow], messages);
        let mut rest = &line[arrow + ARROW.len()..];
        loop {
            let next = memmem::find(rest, ARROW);
            let question = &rest[..next.unwrap_or(rest.len())];
            messages.push_back(QuizMessage::Question(question.trim_ascii().into()));
            self.phase = QuizPhase::Asked;
            let Some(arrow) = next else { return };
            rest = &rest[arrow + ARROW.len()..];
        }
    }

    /// What is no question.
    fn push_text(&mut self, text: &[u8], messages: &mut VecDeque<QuizMessage>) {
        let text = text.trim_ascii();
        if text.is_empty() {
            return;
        }
        match self.phase {
            QuizPhase::Opening | QuizPhase::Totalled => {
                messages.push_back(QuizMessage::Text(text.into()));
            }
            QuizPhase::Asked => {
                self.phase = QuizPhase::Judged;
                let (verdict, rest) = split_verdict(text);
                messages.push_back(QuizMessage::Verdict(verdict.into()));
                self.push_text(rest, messages);
            }
            QuizPhase::Judged => {
                if let Some((total, farewell)) = split_total(text) {
                    self.phase = QuizPhase::Totalled;
                    messages.push_back(QuizMessage::Total(total.into()));
                    self.push_text(farewell, messages);
                } else {
                    let (words, rest) = split_verdict(text);
                    messages.push_back(QuizMessage::Text(words.into()));
                    self.push_text(rest, messages);
                }
            }
        }
    }
}

/// A verdict and the total that follows it in the same breath, if one does.
fn split_verdict(text: &[u8]) -> (&[u8], &[u8]) {
    let end = VERDICTS.iter().find_map(|words| Some(memmem::find(text, words)? + words.len()));
    let Some(end) = end else { return (text, b"") };
    // Beyond ASCII is the star, or the thumb.
    let ornament = |&byte: &u8| byte >= 0x80 || matches!(byte, b' ' | b'!' | b'.');
    let total = end + text[end..].iter().take_while(|byte| ornament(byte)).count();
    match split_total(&text[total..]) {
        Some(_) => (text[..total].trim_ascii_end(), &text[total..]),
        None => (text, b""),
    }
}

/// The number that `text` starts with and what stands right behind it, unless that is more of the
/// same sentence: `3 questions to go` holds no total.
fn split_total(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(text.starts_with(b"-"));
    let whole = sign + digits(sign);
    if whole == sign {
        return None;
    }
    let mut end = whole;
    if text.get(whole) == Some(&b'.') && digits(whole + 1) > 0 {
        end = whole + 1 + digits(whole + 1);
    }
    let rest = &text[end..];
    let glued = rest.first().is_none_or(|&byte| byte.is_ascii_alphabetic() || byte >= 0x80);
    glued.then_some((&text[..end], rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(text: &str) -> QuizMessage {
        QuizMessage::Question(text.into())
    }

    fn verdict(text: &str) -> QuizMessage {
        QuizMessage::Verdict(text.into())
    }

    fn total(text: &str) -> QuizMessage {
        QuizMessage::Total(text.into())
    }

    fn words(text: &str) -> QuizMessage {
        QuizMessage::Text(text.into())
    }

    /// What a fresh ear makes of pieces that came one by one.
    fn heard(pieces: &[&str]) -> Vec<QuizMessage> {
        let mut parser = QuizParser::new();
        let mut messages = VecDeque::new();
        for piece in pieces {
            parser.push(piece.as_bytes(), &mut messages);
        }
        messages.into()
    }

    /// The game that every delivery of it must yield.
    fn game() -> Vec<QuizMessage> {
        vec![
            question("3+4"),
            verdict("⭐ Correct answer ⭐"),
            question("5%2"),
            verdict("Wrong answer👎"),
            total("0.75"),
            words("Better luck next time!"),
        ]
    }

    #[test]
    fn messages_that_come_one_by_one_are_known() {
        let pieces = [
            " -> 3+4  ",
            "⭐ Correct answer ⭐",
            " -> 5%2  ",
            "Wrong answer👎",
            "0.75",
            "Better luck next time!",
        ];
        assert_eq!(heard(&pieces), game());
    }

    #[test]
    fn lines_are_known() {
        let pieces = [
            " -> 3+4  ",
            "⭐ Correct answer ⭐\n -> 5%2  ",
            "Wrong answer👎\r\n0.75\nBetter luck next time!",
        ];
        assert_eq!(heard(&pieces), game());
    }

    #[test]
    fn glued_messages_are_taken_apart() {
        let pieces = [
            " -> 3+4  ",
            "⭐ Correct answer ⭐ -> 5%2  ",
            "Wrong answer👎0.75Better luck next time!",
        ];
        assert_eq!(heard(&pieces), game());
    }

    #[test]
    fn every_total_is_found_behind_either_verdict() {
        for sum in ["10", "8.75", "-2.5", "0"] {
            for judged in ["⭐ Correct answer ⭐", "Wrong answer👎"] {
                let piece = format!("{judged}{sum}Bravo!");
                let messages = heard(&[" -> 3+4  ", &piece]);
                assert_eq!(messages[1..], [verdict(judged), total(sum), words("Bravo!")]);
            }
        }
    }

    #[test]
    fn a_refusal_is_only_words() {
        let sentence = "I hope you make a wise choice next time!";
        assert_eq!(heard(&[sentence]), [words(sentence)]);
        assert_eq!(heard(&["3 players are here\n"]), [words("3 players are here")]);
    }

    #[test]
    fn a_number_is_a_total_only_where_one_is_due() {
        let messages = heard(&["42\n -> 3+4  ", "7\n", "3 questions to go\n", "1.5.\n", "10\n"]);
        let expected = [
            words("42"),
            question("3+4"),
            verdict("7"),
            words("3 questions to go"),
            words("1.5."),
            total("10"),
        ];
        assert_eq!(messages, expected);
    }

    #[test]
    fn a_number_inside_a_verdict_is_no_total() {
        let messages = heard(&[" -> 3+4  ", "Wrong answer, it was 7\n"]);
        assert_eq!(messages[1..], [verdict("Wrong answer, it was 7")]);
    }

    #[test]
    fn any_bytes_at_all_are_heard_without_a_panic() {
        let alphabet = [b" -> ".as_slice(), b"Correct answer", b"-", b"1", b".", b"\xff", b"\n"];
        for n in 0..7_usize.pow(5) {
            let mut parser = QuizParser::new();
            let mut messages = VecDeque::new();
            let piece = |place| alphabet[n / 7_usize.pow(place) % 7];
            parser.push(&(0..5).map(piece).collect::<Vec<_>>().concat(), &mut messages);
            parser.push(b"1Bravo!", &mut messages);
        }
    }
}
