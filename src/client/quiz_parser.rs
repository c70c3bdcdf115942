//! The parser of a quiz server's text: a state machine without I/O, which makes messages of text.
//!
//! The first quiz servers put nothing between two messages, and TCP may deliver two of them as one
//! piece. So a message is recognized by its text and by the state of the game:
//!
//! | state | message | recognized by |
//! | --- | --- | --- |
//! | no question yet | the first question | ` -> ` at its beginning |
//! | | a refusal, or a greeting | anything else |
//! | a question is open | its verdict | no ` -> `; it contains `Correct answer` or `Wrong answer` |
//! | the answer was judged | the next question | ` -> ` at its beginning |
//! | | the total | a number, alone or with a word right behind it: `8.75You did great!` |
//! | the total is known | the closing line | anything |
//!
//! A newline or a NUL always ends a message.

use std::collections::VecDeque;

use memchr::memmem;

/// The beginning of every question.
const ARROW: &[u8] = b" -> ";

/// The words in a verdict. A total may follow them without a delimiter.
const VERDICTS: [&[u8]; 2] = [b"Correct answer", b"Wrong answer"];

/// A message of the server, without delimiters and surrounding blanks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum QuizMessage {
    /// A question, without the arrow.
    Question(Vec<u8>),
    /// The verdict on the last answer.
    Verdict(Vec<u8>),
    /// The sum of the points.
    Total(Vec<u8>),
    /// Any other text: a greeting, a refusal, the closing line.
    Text(Vec<u8>),
}

impl QuizMessage {
    /// The text of a message of any kind.
    pub(super) fn text(&self) -> &[u8] {
        match self {
            Self::Question(text) | Self::Verdict(text) | Self::Total(text) | Self::Text(text) => {
                text
            }
        }
    }
}

/// The state of a game, see the table above.
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
    /// The parser of a game that has not begun.
    pub(super) fn new() -> Self {
        Self { phase: QuizPhase::Opening }
    }

    /// Adds the messages in `text` to `messages`. The end of `text` is the end of a message.
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

    /// Adds the messages in a text that has no question.
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
                if let Some((total, closing_line)) = split_total(text) {
                    self.phase = QuizPhase::Totalled;
                    messages.push_back(QuizMessage::Total(total.into()));
                    self.push_text(closing_line, messages);
                } else {
                    let (first, rest) = split_verdict(text);
                    messages.push_back(QuizMessage::Text(first.into()));
                    self.push_text(rest, messages);
                }
            }
        }
    }
}

/// Splits a text behind a verdict, if a total follows it without a delimiter.
fn split_verdict(text: &[u8]) -> (&[u8], &[u8]) {
    let end = VERDICTS.iter().find_map(|words| Some(memmem::find(text, words)? + words.len()));
    let Some(end) = end else { return (text, b"") };
    // The bytes beyond ASCII are those of the star and the thumb.
    let ornament = |&byte: &u8| byte >= 0x80 || matches!(byte, b' ' | b'!' | b'.');
    let total = end + text[end..].iter().take_while(|byte| ornament(byte)).count();
    match split_total(&text[total..]) {
        Some(_) => (text[..total].trim_ascii_end(), &text[total..]),
        None => (text, b""),
    }
}

/// Splits a text behind the total that it begins with. A number that is followed by a blank, as in
/// `3 questions to go`, is no total.
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

    fn text(text: &str) -> QuizMessage {
        QuizMessage::Text(text.into())
    }

    /// The messages in pieces of text that came one by one.
    fn parsed(pieces: &[&str]) -> Vec<QuizMessage> {
        let mut parser = QuizParser::new();
        let mut messages = VecDeque::new();
        for piece in pieces {
            parser.push(piece.as_bytes(), &mut messages);
        }
        messages.into()
    }

    /// The messages of one game.
    fn game() -> Vec<QuizMessage> {
        vec![
            question("3+4"),
            verdict("⭐ Correct answer ⭐"),
            question("5%2"),
            verdict("Wrong answer👎"),
            total("0.75"),
            text("Better luck next time!"),
        ]
    }

    #[test]
    fn messages_that_come_one_by_one_are_recognized() {
        let pieces = [
            " -> 3+4  ",
            "⭐ Correct answer ⭐",
            " -> 5%2  ",
            "Wrong answer👎",
            "0.75",
            "Better luck next time!",
        ];
        assert_eq!(parsed(&pieces), game());
    }

    #[test]
    fn lines_are_recognized() {
        let pieces = [
            " -> 3+4  ",
            "⭐ Correct answer ⭐\n -> 5%2  ",
            "Wrong answer👎\r\n0.75\nBetter luck next time!",
        ];
        assert_eq!(parsed(&pieces), game());
    }

    #[test]
    fn messages_without_delimiters_are_split() {
        let pieces = [
            " -> 3+4  ",
            "⭐ Correct answer ⭐ -> 5%2  ",
            "Wrong answer👎0.75Better luck next time!",
        ];
        assert_eq!(parsed(&pieces), game());
    }

    #[test]
    fn every_total_is_found_behind_either_verdict() {
        for sum in ["10", "8.75", "-2.5", "0"] {
            for judged in ["⭐ Correct answer ⭐", "Wrong answer👎"] {
                let piece = format!("{judged}{sum}Bravo!");
                let messages = parsed(&[" -> 3+4  ", &piece]);
                assert_eq!(messages[1..], [verdict(judged), total(sum), text("Bravo!")]);
            }
        }
    }

    #[test]
    fn a_refusal_is_plain_text() {
        let sentence = "I hope you make a wise choice next time!";
        assert_eq!(parsed(&[sentence]), [text(sentence)]);
        assert_eq!(parsed(&["3 players are here\n"]), [text("3 players are here")]);
    }

    #[test]
    fn a_number_is_a_total_only_after_a_verdict() {
        let messages = parsed(&["42\n -> 3+4  ", "7\n", "3 questions to go\n", "1.5.\n", "10\n"]);
        let expected = [
            text("42"),
            question("3+4"),
            verdict("7"),
            text("3 questions to go"),
            text("1.5."),
            total("10"),
        ];
        assert_eq!(messages, expected);
    }

    #[test]
    fn a_number_inside_a_verdict_is_no_total() {
        let messages = parsed(&[" -> 3+4  ", "Wrong answer, it was 7\n"]);
        assert_eq!(messages[1..], [verdict("Wrong answer, it was 7")]);
    }

    #[test]
    fn no_bytes_make_it_panic() {
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
