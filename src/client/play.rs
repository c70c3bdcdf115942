//! The command `play`: the quiz, played by a person on a terminal or by a program through a pipe.
//!
//! The player sends a yes or a no, the name, and an answer to each question until the server names
//! the total. The server decides how many questions there are.
//!
//! Each message is sent as a line, to which our own server replies without pauses. The first quiz
//! servers compare the whole text received with `yes`, so that to them a yes with a newline is a
//! no. Therefore, if a yes is refused, the client connects again and sends no newlines.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::batch::read_line;
use super::connection::{Connection, now};
use super::failures::{closed_mid_game, input_ended_mid_game};
use super::printer::Printer;
use super::quiz_connection::QuizConnection;
use super::quiz_parser::QuizMessage;
use super::terminal::{LineEditor, Prompt, ask_address};
use super::{address, missing_address, print_mode};
use crate::error::Failure;

/// The rules that a person reads before the game.
const RULES: &str = "\
The quiz:
- The server asks small sums, usually ten, and waits for each answer.
- Every answer is an integer; a % b is the remainder of a divided by b.
- A right answer earns 1 point, a wrong one costs 0.25.
";

/// The words that begin the game, in lower or upper case. Every server of this game knows them.
const YES: [&str; 3] = ["yes", "y", "yess"];

/// The length of the countdown, in seconds.
const COUNTDOWN: u32 = 3;

/// The configuration of the player.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's name or address, as in [`super::Config::host`].
    pub host: Option<String>,
    /// The server's port, as in [`super::Config::port`].
    pub port: Option<u16>,
    /// The time limit for connecting, and for each message of the server.
    pub timeout: Duration,
}

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

/// Connects and plays one game.
pub fn run(config: &Config) -> Result<(), Failure> {
    let on_terminal = io::stdin().is_terminal();
    let mut editor = LineEditor::default();
    let address = match (&config.host, config.port) {
        (None, None) if on_terminal => ask_address(|prompt| editor.line(prompt))?,
        (None, None) => return Err(missing_address("play")),
        (host, port) => Some(address(host.as_deref(), port)),
    };
    let Some((host, port)) = address else { return Ok(()) };
    let mut printer = Printer::new(io::stdout().lock(), print_mode(false));
    let connect = || Connection::open(&host, port, config.timeout);
    if on_terminal {
        let typed = |prompt| Ok(editor.line(prompt)?.map(String::into_bytes));
        play(connect, typed, &mut printer, Player::Person { second: Duration::from_secs(1) })
    } else {
        let mut input = io::stdin().lock();
        let piped = |_| {
            let mut line = Vec::new();
            Ok(read_line(&mut input, &mut line)?.then_some(line))
        };
        play(connect, piped, &mut printer, Player::Program)
    }
}

/// Plays one game.
///
/// `connect` is called once, or a second time for a server that wants no newlines. `typed` shows a
/// prompt and returns the player's next line, or `None` at the end of input.
pub fn play(
    connect: impl FnMut() -> Result<Connection, Failure>,
    typed: impl FnMut(Prompt) -> Result<Option<Vec<u8>>, Failure>,
    printer: &mut Printer<impl Write>,
    player: Player,
) -> Result<(), Failure> {
    match (QuizClient { typed, printer, player }).play(connect) {
        Ok(()) | Err(EarlyExit::Left) => Ok(()),
        Err(EarlyExit::Failed(failure)) => Err(failure),
    }
}

/// The reason why a game ends early.
enum EarlyExit {
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
struct QuizClient<'o, T, W> {
    typed: T,
    printer: &'o mut Printer<W>,
    player: Player,
}

impl<T, W> QuizClient<'_, T, W>
where
    T: FnMut(Prompt) -> Result<Option<Vec<u8>>, Failure>,
    W: Write,
{
    fn play(
        &mut self,
        mut connect: impl FnMut() -> Result<Connection, Failure>,
    ) -> Result<(), EarlyExit> {
        let mut server = QuizConnection::new(connect()?, b"\n");
        if let Some(greeting) = server.greeting()? {
            self.show("", &greeting)?;
        }
        if self.is_person() {
            self.show("", RULES.as_bytes())?;
        }
        let Some(ready) = self.next_line(Prompt::Ready)? else { return Ok(()) };
        let ready = ready.trim_ascii();
        if !is_yes(ready) {
            return self.decline(&mut server, ready);
        }
        let mut name = None;
        let mut opening = self.begin(&mut server, ready, &mut name)?;
        if let Opening::Refusal(_) = opening {
            log::debug!("refused after a yes: connecting again, to send without newlines");
            drop(server);
            server = QuizConnection::new(connect()?, b"");
            opening = self.begin(&mut server, ready, &mut name)?;
        }
        match opening {
            Opening::Question(question) => self.answer_all(&mut server, question),
            Opening::Refusal(texts) => texts.iter().try_for_each(|text| self.show("", text)),
        }
    }

    /// Sends a no, and shows the server's reply.
    fn decline(&mut self, server: &mut QuizConnection, ready: &[u8]) -> Result<(), EarlyExit> {
        server.send_message(ready)?;
        match server.next_message()? {
            Some(message) => self.show("", message.text()),
            None => Err(server.closed_early().into()),
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
            let name = match name {
                Some(name) => name,
                none => none.insert(self.require_line(Prompt::Name)?),
            };
            server.send_message(name)?;
            self.count_down(server)?;
        }
        let mut texts: Vec<Vec<u8>> = Vec::new();
        loop {
            match server.next_message()? {
                Some(QuizMessage::Question(question)) => {
                    texts.iter().try_for_each(|text| self.show("", text))?;
                    return Ok(Opening::Question(question));
                }
                Some(message) => texts.push(message.text().into()),
                None if texts.is_empty() => return Err(server.closed_early().into()),
                None => return Ok(Opening::Refusal(texts)),
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
            let answer = self.require_line(Prompt::Answer)?;
            server.send_message(&answer)?;
            question = loop {
                match server.next_message()?.ok_or_else(closed_mid_game)? {
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
        if let Some(QuizMessage::Text(closing_line)) = server.next_message()? {
            self.show("", &closing_line)?;
        }
        self.show("", time_taken(taken).as_bytes())
    }

    /// The player's next line; without it the game ends.
    fn require_line(&mut self, prompt: Prompt) -> Result<Vec<u8>, EarlyExit> {
        match self.next_line(prompt)? {
            Some(line) => Ok(line),
            None if self.is_person() => Err(EarlyExit::Left),
            None => Err(input_ended_mid_game().into()),
        }
    }

    /// The player's next line; a person is prompted again after a blank one.
    fn next_line(&mut self, prompt: Prompt) -> Result<Option<Vec<u8>>, EarlyExit> {
        loop {
            let Some(line) = (self.typed)(prompt)? else { return Ok(None) };
            let line = first_line(&line);
            if self.is_person() {
                match line.trim_ascii() {
                    b"" => continue,
                    b"exit" | b"quit" if prompt == Prompt::Answer => return Ok(None),
                    _ => {}
                }
            }
            return Ok(Some(line.into()));
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
