//! The commands `client`, which asks a server, ours or anybody's, and shows what it replies, and
//! `play`, which has a quiz server ask.
//!
//! The questions of `client` come from a terminal, from a pipe or from the command line; whichever
//! it is, they are asked in lock-step: the next one is sent when the reply to the last one is
//! complete.
//!
//! | where to read | what |
//! | --- | --- |
//! | `reply` | when a reply is complete, as a pure state machine |
//! | `connection` | connecting, asking and hearing within the time allowed |
//! | `batch` | questions from a pipe and from the command line |
//! | `terminal` | the conversation with a person |
//! | [`play`] | the quiz, played by a person or a program |
//! | `quiz_connection` | the server's side of a quiz: its messages, one by one |
//! | `quiz_parser` | what a quiz server's text means, as a pure state machine |
//! | `failures` | the failures, as one line each |
//! | `printer` | how a reply is shown to a program and to a person |

mod batch;
mod connection;
mod failures;
pub mod play;
mod printer;
mod quiz_connection;
mod quiz_parser;
mod reply;
mod terminal;

use std::io::{self, IsTerminal};
use std::time::Duration;

pub use batch::{ask_each, ask_lines};
pub use connection::Connection;
pub use printer::{PrintMode, Printer};
pub use terminal::{Prompt, talk};

use crate::error::{Exit, Failure};
use terminal::{LineEditor, ask_address};

/// The host that is offered to who names none.
pub const DEFAULT_HOST: &str = "127.0.0.1";

/// The port of who names none.
pub const DEFAULT_PORT: u16 = 5000;

/// The time for connecting and for each reply: what the first client of this kind waited before it
/// took the server for busy.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// What the client is to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's name or address. Without it a person is asked for it and the port; a program
    /// must give it.
    pub host: Option<String>,
    /// The server's port, [`DEFAULT_PORT`] with a host alone.
    pub port: Option<u16>,
    /// Questions that are asked instead of those from standard input.
    pub expressions: Vec<String>,
    /// For connecting, and for each reply.
    pub timeout: Duration,
    /// Asks after each answer whether to continue; only in a conversation on a terminal.
    pub confirm: bool,
}

/// Connects, asks everything there is to ask, and leaves.
pub fn run(config: &Config) -> Result<(), Failure> {
    let on_terminal = io::stdin().is_terminal();
    let mut editor = LineEditor::default();
    let mut typed = |prompt| editor.line(prompt);
    let address = match (&config.host, config.port) {
        (None, None) if on_terminal => ask_address(&mut typed)?,
        (None, None) => return Err(missing_address("client")),
        (host, port) => Some(address(host.as_deref(), port)),
    };
    let Some((host, port)) = address else { return Ok(()) };
    let conversation = on_terminal && config.expressions.is_empty();
    let mut printer = Printer::new(io::stdout().lock(), print_mode(conversation));
    let mut server = Connection::open(&host, port, config.timeout)?;
    if !config.expressions.is_empty() {
        ask_each(&mut server, &config.expressions, &mut printer)
    } else if on_terminal {
        talk(&mut server, typed, &mut printer, config.confirm)
    } else {
        ask_lines(&mut server, io::stdin().lock(), &mut printer)
    }
}

/// Who reads the replies: `socklab client | tee answers` types at a terminal, but a program reads.
fn print_mode(conversation: bool) -> PrintMode {
    match (io::stdout().is_terminal(), conversation) {
        (true, true) => PrintMode::Labelled,
        (true, false) => PrintMode::Escaped,
        (false, _) => PrintMode::Raw,
    }
}

/// The address of who named at least a part of it.
fn address(host: Option<&str>, port: Option<u16>) -> (String, u16) {
    (host.unwrap_or(DEFAULT_HOST).into(), port.unwrap_or(DEFAULT_PORT))
}

fn missing_address(command: &str) -> Failure {
    let text = "the client needs HOST and PORT when its input is not a terminal";
    let example = format!("for example: socklab {command} {DEFAULT_HOST} {DEFAULT_PORT}");
    Failure::new(Exit::Usage, text).hint(&example)
}
