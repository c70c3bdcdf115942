//! The client of one game: the prompts to the player and the messages of the server, in order.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::connection::{Connection, now};
use super::failures::{closed_mid_game, input_ended_mid_game, no_quiz};
use super::printer::Printer;
use super::quiz_connection::{QuizConnection, Received};
use super::quiz_parser::QuizMessage;
use super::terminal::Prompt;
use crate::error::Failure;
use crate::service::REFUSAL;

/// The rules that a person reads before the game.
const RULES: &str = "\
The quiz:
- The server asks small sums, usually ten, and waits for each answer.
- Every answer is an integer; a % b is the remainder of a divided by b.
- A right answer earns 1 point, a wrong one costs 0.25.
";

/// The words that begin the game, in lower or upper case. Every server of this game knows them.
const YES: [&str; 3] = ["yes", "y", "yess"];

/// The most bytes that are kept of what a server says before its first question.
const MAX_OPENING: usize = 16 * 1024;

/// The length of the countdown, in seconds.
const COUNTDOWN: u32 = 3;

/// The kind of player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Player {
    /// A person, who reads the rules and a countdown before the first question, may leave at any
    /// prompt, and whose blank lines are ignored.
    Person {
        /// The time between two numbers of the countdown.
        second: Duration,
    },
    /// A program, each of whose lines is a message, and which must play to the end.
    Program,
}

/// The result of a prompt.
#[derive(Debug)]
pub enum Typed {
    /// The player's next line.
    Line(Vec<u8>),
    /// The input has ended.
    End,
    /// The server closed the connection while no line came.
    ServerClosed,
}

impl From<Option<String>> for Typed {
    fn from(line: Option<String>) -> Self {
        line.map_or(Self::End, |line| Self::Line(line.into_bytes()))
    }
}

/// The reason why a game ends early.
pub(super) enum EarlyExit {
    /// The person leaves, or the reader of the output has left.
    Left,
    Failed(Failure),
}

impl From<Failure> for EarlyExit {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The server's reaction to a yes and a name.
enum Opening {
    /// The first question.
    Question(Vec<u8>),
    /// Texts instead of a question.
    Refusal(Vec<Vec<u8>>),
}

/// The client of one game.
pub(super) struct QuizClient<'o, T, W> {
    pub(super) typed: T,
    pub(super) printer: &'o mut Printer<W>,
    pub(super) player: Player,
}

impl<T, W> QuizClient<'_, T, W>
where
    T: FnMut(Prompt, BorrowedFd<'_>) -> Result<Typed, Failure>,
    W: Write,
{
    /// Plays until the total, or until the game ends early.
    pub(super) fn play(
        &mut self,
        mut connect: impl FnMut() -> Result<Connection, Failure>,
    ) -> Result<(), EarlyExit> {
        let mut server = QuizConnection::new(connect()?);
        if let Some(greeting) = server.greeting()? {
            self.show("", &greeting)?;
        }
        if self.is_person() {
            self.show("", RULES.as_bytes())?;
        }
        let ready = match self.next_line(Prompt::Ready, &server)? {
            Typed::Line(ready) => ready,
            Typed::End => return Ok(()),
            Typed::ServerClosed => return Err(server.closed_early().into()),
        };
        let ready = ready.trim_ascii();
        if !is_yes(ready) {
            return self.decline(&mut server, ready);
        }
        let mut name = None;
        let mut opening = self.begin(&mut server, ready, &mut name)?;
        if let Opening::Refusal(_) = opening {
            log::debug!("refused after a yes: connecting again, to send without newlines");
            drop(server);
            server = QuizConnection::new(connect()?.without_newlines());
            opening = self.begin(&mut server, ready, &mut name)?;
        }
        match opening {
            Opening::Question(question) => self.answer_all(&mut server, question),
            Opening::Refusal(texts) if texts.iter().any(|text| text == REFUSAL.as_bytes()) => {
                texts.iter().try_for_each(|text| self.show("", text))
            }
            Opening::Refusal(texts) => Err(no_quiz(&texts.join(&b'\n')).into()),
        }
    }

    /// Sends a no, and shows the server's reply.
    fn decline(&mut self, server: &mut QuizConnection, ready: &[u8]) -> Result<(), EarlyExit> {
        server.send_message(ready)?;
        match server.next_message()? {
            Received::Message(message) => self.show("", message.text()),
            Received::Closed => Err(server.closed_early().into()),
            Received::Silence | Received::Chatter => Err(server.no_answer().into()),
        }
    }

    /// Sends the yes and the name, and receives the server's reaction. The name is prompted for if
    /// it is not known yet.
    fn begin(
        &mut self,
        server: &mut QuizConnection,
        ready: &[u8],
        name: &mut Option<Vec<u8>>,
    ) -> Result<Opening, EarlyExit> {
        server.send_message(ready)?;
        server.await_refusal()?;
        if !server.is_closed() {
            if name.is_none() {
                *name = self.require_line(Prompt::Name, server)?;
            }
            if let Some(name) = name {
                server.send_message(name)?;
                self.count_down(server)?;
            }
        }
        self.receive_opening(server)
    }

    /// Receives the first question, and shows what comes before it.
    fn receive_opening(&mut self, server: &mut QuizConnection) -> Result<Opening, EarlyExit> {
        let mut texts: Vec<Vec<u8>> = Vec::new();
        let mut kept = 0;
        loop {
            match server.next_message()? {
                Received::Message(QuizMessage::Question(question)) => {
                    texts.iter().try_for_each(|text| self.show("", text))?;
                    return Ok(Opening::Question(question));
                }
                Received::Message(message) => {
                    kept += message.text().len() + 1;
                    if kept <= MAX_OPENING {
                        texts.push(message.text().into());
                    }
                }
                Received::Closed if texts.is_empty() => return Err(server.closed_early().into()),
                Received::Closed => return Ok(Opening::Refusal(texts)),
                Received::Silence if texts.is_empty() => return Err(server.no_answer().into()),
                Received::Silence => return Err(no_quiz(&texts.join(&b'\n')).into()),
                Received::Chatter => {
                    return Err(server.no_question(&texts.join(&b'\n')).into());
                }
            }
        }
    }

    /// Shows the countdown to a person. It ends early if the server closes the connection.
    fn count_down(&mut self, server: &mut QuizConnection) -> Result<(), EarlyExit> {
        let Player::Person { second } = self.player else { return Ok(()) };
        for left in (1..=COUNTDOWN).rev() {
            if server.is_closed() {
                break;
            }
            self.show("", format!("{left} ...").as_bytes())?;
            server.receive_for(second)?;
        }
        server.restart_deadline();
        Ok(())
    }

    /// Answers `question` and all that follow, until the total.
    fn answer_all(
        &mut self,
        server: &mut QuizConnection,
        mut question: Vec<u8>,
    ) -> Result<(), EarlyExit> {
        let start = now();
        let mut number = 1_u64;
        loop {
            self.show(&format!("Question {number} -> "), &question)?;
            let Some(answer) = self.require_line(Prompt::Answer, server)? else {
                return self.show_last_words(server);
            };
            server.send_message(&answer)?;
            question = loop {
                match next_of_game(server)? {
                    QuizMessage::Question(next) => break next,
                    QuizMessage::Verdict(text) | QuizMessage::Text(text) => {
                        self.show("", &text)?;
                    }
                    QuizMessage::Total(total) => {
                        let taken = now() - start;
                        self.show("Total: ", &total)?;
                        return self.finish(server, taken);
                    }
                }
            };
            number += 1;
        }
    }

    /// Shows the closing line, if the server sends one, and the time taken.
    fn finish(&mut self, server: &mut QuizConnection, taken: Duration) -> Result<(), EarlyExit> {
        match server.next_message()? {
            Received::Message(message) => self.show("", message.text())?,
            Received::Closed => {}
            Received::Silence | Received::Chatter => return Err(server.no_answer().into()),
        }
        self.show("", time_taken(taken).as_bytes())
    }

    /// Shows what a server said before it closed the connection during the game.
    fn show_last_words(&mut self, server: &mut QuizConnection) -> Result<(), EarlyExit> {
        while let Received::Message(message) = server.next_message()? {
            self.show("", message.text())?;
        }
        Err(closed_mid_game().into())
    }

    /// The player's next line; `None` if the server closes the connection before it comes.
    fn require_line(
        &mut self,
        prompt: Prompt,
        server: &impl AsFd,
    ) -> Result<Option<Vec<u8>>, EarlyExit> {
        match self.next_line(prompt, server)? {
            Typed::Line(line) => Ok(Some(line)),
            Typed::End if self.is_person() => Err(EarlyExit::Left),
            Typed::End => Err(input_ended_mid_game().into()),
            Typed::ServerClosed => Ok(None),
        }
    }

    /// The player's next line; a person is prompted again after a blank one.
    fn next_line(&mut self, prompt: Prompt, server: &impl AsFd) -> Result<Typed, EarlyExit> {
        loop {
            let line = match (self.typed)(prompt, server.as_fd())? {
                Typed::Line(line) => first_line(&line).to_vec(),
                ended => return Ok(ended),
            };
            if self.is_person() {
                match line.trim_ascii() {
                    b"" => continue,
                    b"exit" | b"quit" if prompt == Prompt::Answer => return Ok(Typed::End),
                    _ => {}
                }
            }
            return Ok(Typed::Line(line));
        }
    }

    fn is_person(&self) -> bool {
        self.player != Player::Program
    }

    fn show(&mut self, label: &str, text: &[u8]) -> Result<(), EarlyExit> {
        let flow = self.printer.unsolicited(&[label.as_bytes(), text].concat())?;
        if flow.is_break() { Err(EarlyExit::Left) } else { Ok(()) }
    }
}

/// The next message of a game that has begun.
fn next_of_game(server: &mut QuizConnection) -> Result<QuizMessage, Failure> {
    match server.next_message()? {
        Received::Message(message) => Ok(message),
        Received::Closed => Err(closed_mid_game()),
        Received::Silence | Received::Chatter => Err(server.no_answer()),
    }
}

fn is_yes(word: &[u8]) -> bool {
    YES.iter().any(|yes| word.eq_ignore_ascii_case(yes.as_bytes()))
}

/// The first line of `text`, since a message is one line, without a carriage return.
fn first_line(text: &[u8]) -> &[u8] {
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn time_taken(time: Duration) -> String {
    format!("Time taken: {:.1} seconds", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_words_mean_yes_in_any_case() {
        for word in ["yes", "YES", "y", "Yess"] {
            assert!(is_yes(word.as_bytes()), "{word}");
        }
        for word in ["", "no", "yes please", "ja"] {
            assert!(!is_yes(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn a_message_is_the_first_line() {
        assert_eq!(first_line(b"Bob\r\nMallory"), b"Bob");
        assert_eq!(first_line(b"Bob"), b"Bob");
        assert_eq!(first_line(b""), b"");
    }

    #[test]
    fn the_time_taken_has_tenths_of_a_second() {
        assert_eq!(time_taken(Duration::from_millis(12_340)), "Time taken: 12.3 seconds");
        assert_eq!(time_taken(Duration::from_millis(4)), "Time taken: 0.0 seconds");
    }
}
