//! The commands `client`, which sends messages to any server and prints its replies, and `play`,
//! which plays the quiz of a server.
//!
//! The messages of `client` come from a terminal, from a pipe or from the command line. They are
//! sent in lock-step: each one when the reply to the one before is complete.
//!
//! | where to read | what |
//! | --- | --- |
//! | `reply` | the end of a reply, as a state machine without I/O |
//! | `connection` | connecting, sending and receiving within time limits |
//! | `batch` | messages from a pipe and from the command line |
//! | `line_input` | the lines of a pipe, waited for without losing sight of the server |
//! | `terminal` | the dialogue with a person |
//! | `line_editor` | line editing and history |
//! | [`play`] | the quiz, played by a person or a program |
//! | `quiz_client` | one game: prompts and messages in order |
//! | `quiz_connection` | a connection that receives quiz messages one by one |
//! | `quiz_parser` | the kinds of quiz messages, told apart by a state machine without I/O |
//! | `failures` | the failures, one line each |
//! | `printer` | the output for a program and for a person |

mod batch;
mod connection;
mod failures;
mod line_editor;
mod line_input;
pub mod play;
mod printer;
mod quiz_client;
mod quiz_connection;
mod quiz_parser;
mod reply;
mod terminal;

use std::io::{self, IsTerminal};
use std::time::Duration;

use rustix::stdio::{stdin, stdout};

pub use batch::{ask_each, ask_lines};
pub use connection::Connection;
pub use printer::{PrintMode, Printer, Unbuffered};
pub use terminal::{Prompt, talk};

use crate::error::{Exit, Failure};
use line_editor::LineEditor;
use terminal::ask_address;

/// The default host.
pub const DEFAULT_HOST: &str = "127.0.0.1";

/// The default port.
pub const DEFAULT_PORT: u16 = 5000;

/// The default time limit for connecting and for each reply. The first client of this kind waited
/// as long before it called the server busy.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// The configuration of the client.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's name or address. On a terminal the user is prompted for it and the port if
    /// neither is given; a program must give one of them.
    pub host: Option<String>,
    /// The server's port; with a host alone [`DEFAULT_PORT`].
    pub port: Option<u16>,
    /// Messages that are sent instead of those from standard input.
    pub expressions: Vec<String>,
    /// The time limit for connecting, and for each reply.
    pub timeout: Duration,
    /// True to send messages without a newline, for a server that cannot take one.
    pub bare: bool,
    /// True if a prompt after each reply asks whether to continue; only on a terminal.
    pub confirm: bool,
}

/// Connects, sends every message, prints the replies and closes the connection.
pub fn run(config: &Config) -> Result<(), Failure> {
    let on_terminal = io::stdin().is_terminal();
    let mut editor = LineEditor::default();
    let mut typed = |prompt| editor.line(prompt);
    let given = (config.host.as_deref(), config.port);
    let Some((host, port)) = server_address("client", given, on_terminal, &mut typed)? else {
        return Ok(());
    };
    let dialogue = on_terminal && config.expressions.is_empty();
    let mut printer = Printer::new(Unbuffered(stdout()), print_mode(dialogue));
    let mut server = Connection::open(&host, port, config.timeout)?;
    if config.bare {
        server = server.without_newlines();
    }
    if !config.expressions.is_empty() {
        ask_each(&mut server, &config.expressions, &mut printer)
    } else if on_terminal {
        talk(&mut server, typed, &mut printer, config.confirm)
    } else {
        ask_lines(&mut server, stdin(), &mut printer)
    }
}

/// The mode that suits standard output: in `socklab client | tee answers` the messages come from a
/// terminal, but a program reads the replies.
fn print_mode(dialogue: bool) -> PrintMode {
    match (io::stdout().is_terminal(), dialogue) {
        (true, true) => PrintMode::Labelled,
        (true, false) => PrintMode::Escaped,
        (false, _) => PrintMode::Raw,
    }
}

/// The server's address: the one given, of which a missing part has its default, or the one typed
/// at a prompt on a terminal. `None` if the input ends there.
fn server_address(
    command: &str,
    (host, port): (Option<&str>, Option<u16>),
    on_terminal: bool,
    typed: impl FnMut(Prompt) -> Result<Option<String>, Failure>,
) -> Result<Option<(String, u16)>, Failure> {
    if host.is_some() || port.is_some() {
        return Ok(Some((host.unwrap_or(DEFAULT_HOST).into(), port.unwrap_or(DEFAULT_PORT))));
    }
    if on_terminal {
        return ask_address(typed);
    }
    let text = "the client needs HOST or PORT when its input is not a terminal";
    let example = format!("for example: socklab {command} {DEFAULT_HOST} {DEFAULT_PORT}");
    Err(Failure::new(Exit::Usage, text).hint(&example))
}
