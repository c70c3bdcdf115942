//! The command `play`: the quiz, played by a person on a terminal or by a program through a pipe.
//!
//! The player sends a yes or a no, the name, and an answer to each question until the server names
//! the total. The server decides how many questions there are.
//!
//! Each message is sent as a line, to which our own server replies without pauses. The first quiz
//! servers compare the whole text received with `yes`, so that to them a yes with a newline is a
//! no. Therefore, if a yes is refused, the client connects again and sends no newlines.

use std::io::{self, IsTerminal, Write};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::stdio::{stdin, stdout};

use super::connection::Connection;
use super::line_editor::LineEditor;
use super::line_input::{LineInput, Waited};
use super::printer::{Printer, Unbuffered};
use super::quiz_client::{EarlyExit, QuizClient};
pub use super::quiz_client::{Player, Typed};
use super::terminal::Prompt;
use super::{print_mode, server_address};
use crate::error::Failure;

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

/// Connects and plays one game.
pub fn run(config: &Config) -> Result<(), Failure> {
    let on_terminal = io::stdin().is_terminal();
    let mut editor = LineEditor::default();
    let given = (config.host.as_deref(), config.port);
    let typed = |prompt| editor.line(prompt);
    let Some((host, port)) = server_address("play", given, on_terminal, typed)? else {
        return Ok(());
    };
    let mut printer = Printer::new(Unbuffered(stdout()), print_mode(false));
    let connect = || Connection::open(&host, port, config.timeout);
    if on_terminal {
        let typed = |prompt, _: BorrowedFd<'_>| Ok(editor.line(prompt)?.into());
        play(connect, typed, &mut printer, Player::Person { second: Duration::from_secs(1) })
    } else {
        let mut input = LineInput::new(stdin());
        let piped = |_, server: BorrowedFd<'_>| {
            let mut line = Vec::new();
            Ok(match input.next(&mut line, server, PollFlags::RDHUP)? {
                Waited::Line => Typed::Line(line),
                Waited::End => Typed::End,
                Waited::Server => Typed::ServerClosed,
            })
        };
        play(connect, piped, &mut printer, Player::Program)
    }
}

/// Plays one game.
///
/// `connect` is called once, or a second time for a server that wants no newlines. `typed` shows a
/// prompt and waits for the player's next line; it is given the socket, to watch it meanwhile.
pub fn play(
    connect: impl FnMut() -> Result<Connection, Failure>,
    typed: impl FnMut(Prompt, BorrowedFd<'_>) -> Result<Typed, Failure>,
    printer: &mut Printer<impl Write>,
    player: Player,
) -> Result<(), Failure> {
    match (QuizClient { typed, printer, player }).play(connect) {
        Ok(()) | Err(EarlyExit::Left) => Ok(()),
        Err(EarlyExit::Failed(failure)) => Err(failure),
    }
}
