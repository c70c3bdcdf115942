//! The conversation with a person: prompts, line editing, history.

use std::io::{self, IsTerminal, Write};

use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Behavior, Editor};

use super::batch::{ask, questions_of};
use super::connection::Connection;
use super::printer::Printer;
use super::{DEFAULT_HOST, DEFAULT_PORT};
use crate::error::{Exit, Failure};

/// What the person is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// The host to connect to.
    Host,
    /// The port to connect to.
    Port,
    /// The next message.
    Message,
    /// Whether there will be a next message.
    Continue,
    /// Whether the quiz may begin.
    Ready,
    /// The player's name.
    Name,
    /// The answer to the quiz's question.
    Answer,
}

impl Prompt {
    /// The question as it stands before the cursor.
    pub fn text(self) -> String {
        match self {
            Self::Host => format!("Enter Host IP Address [{DEFAULT_HOST}]: "),
            Self::Port => format!("Enter the Port Number [{DEFAULT_PORT}]: "),
            Self::Message => "Please enter the message to the server: ".into(),
            Self::Continue => "Do you wish to continue? Y/N ".into(),
            Self::Ready => "Are you ready? (Yes/No) ".into(),
            Self::Name => "Your name: ".into(),
            Self::Answer => "Your answer: ".into(),
        }
    }
}

/// Talks until the person leaves (by `exit`, `quit` or an end of input) or the server does.
///
/// `typed` shows a prompt and returns the line typed, or `None` for an end of input.
pub fn talk(
    server: &mut Connection,
    mut typed: impl FnMut(Prompt) -> Result<Option<String>, Failure>,
    printer: &mut Printer<impl Write>,
    confirm: bool,
) -> Result<(), Failure> {
    let mut unsolicited = server.greeting()?;
    let mut answers = 0_u64;
    loop {
        if let Some(text) = unsolicited
            && printer.unsolicited(&text)?.is_break()
        {
            return Ok(());
        }
        if server.is_closed() {
            return server_closed(server, printer, answers);
        }
        let Some(line) = typed(Prompt::Message)? else { return Ok(()) };
        // Several lines come by pasting. A line of blanks is a slip of the finger.
        for message in questions_of(&line).filter(|message| !message.trim().is_empty()) {
            if matches!(message.trim(), "exit" | "quit") {
                return Ok(());
            }
            if ask(server, message.as_bytes(), printer)?.is_break() {
                return Ok(());
            }
            answers += 1;
            if confirm && !confirm_continue(&mut typed)? {
                return Ok(());
            }
        }
        unsolicited = server.unsolicited()?;
    }
}

/// Asks where the server is; `None` when the person leaves instead.
pub(super) fn ask_address(
    mut typed: impl FnMut(Prompt) -> Result<Option<String>, Failure>,
) -> Result<Option<(String, u16)>, Failure> {
    let Some(host) = typed(Prompt::Host)? else { return Ok(None) };
    let host = if host.trim().is_empty() { DEFAULT_HOST } else { host.trim() };
    loop {
        let Some(port) = typed(Prompt::Port)? else { return Ok(None) };
        let port = port.trim();
        if port.is_empty() {
            return Ok(Some((host.into(), DEFAULT_PORT)));
        }
        // What is no port is asked for again: the prompt shows what one looks like.
        if let Ok(port @ 1..) = port.parse() {
            return Ok(Some((host.into(), port)));
        }
    }
}

/// The server closed the connection between two messages: the end of a conversation, but a
/// failure when it never said anything.
fn server_closed(
    server: &Connection,
    printer: &mut Printer<impl Write>,
    answers: u64,
) -> Result<(), Failure> {
    if answers == 0 {
        return Err(server.closed_early());
    }
    printer.remark("The server closed the connection.").map(|_| ())
}

fn confirm_continue(
    typed: &mut impl FnMut(Prompt) -> Result<Option<String>, Failure>,
) -> Result<bool, Failure> {
    loop {
        let Some(line) = typed(Prompt::Continue)? else { return Ok(false) };
        match line.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => {}
        }
    }
}

/// The terminal's lines, edited; the messages among them are remembered.
#[derive(Default)]
pub(super) struct LineEditor {
    /// Made when the first line is read: what never asks never touches the terminal.
    editor: Option<Editor<(), MemHistory>>,
}

impl LineEditor {
    /// Shows a prompt and reads a line; `None` at Ctrl-D, and at Ctrl-C, which leaves as well.
    pub(super) fn line(&mut self, prompt: Prompt) -> Result<Option<String>, Failure> {
        let editor = match &mut self.editor {
            Some(editor) => editor,
            none => none.insert(new_editor().map_err(cannot_read)?),
        };
        match editor.readline(&prompt.text()) {
            Ok(line) => {
                if prompt == Prompt::Message {
                    editor.add_history_entry(&line).map_err(cannot_read)?;
                }
                Ok(Some(line))
            }
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
            // The prompt's reader left; nobody is there to be told.
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
            Err(error) => Err(cannot_read(error)),
        }
    }
}

fn new_editor() -> rustyline::Result<Editor<(), MemHistory>> {
    // When the replies go to a file, the prompts go to the terminal all the same.
    let behavior = if io::stdout().is_terminal() { Behavior::Stdio } else { Behavior::PreferTerm };
    let config = rustyline::Config::builder().behavior(behavior).build();
    Editor::with_history(config, MemHistory::new())
}

fn cannot_read(error: ReadlineError) -> Failure {
    match error {
        ReadlineError::Io(error) => Failure::cannot("read from the terminal", &error),
        other => Failure::new(Exit::Failed, format!("cannot read from the terminal: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A person who types these lines, then ends the input.
    fn typing(
        lines: &'static [&'static str],
    ) -> impl FnMut(Prompt) -> Result<Option<String>, Failure> {
        let mut lines = lines.iter();
        move |_| Ok(lines.next().map(|&line| line.into()))
    }

    #[test]
    fn the_enter_key_alone_takes_the_defaults() {
        let address = ask_address(typing(&["", " "])).unwrap();
        assert_eq!(address, Some(("127.0.0.1".into(), 5000)));
    }

    #[test]
    fn a_port_is_asked_for_until_it_is_one() {
        let address = ask_address(typing(&[" ::1 ", "http", "0", "70000", "80"])).unwrap();
        assert_eq!(address, Some(("::1".into(), 80)));
    }

    #[test]
    fn who_leaves_at_the_first_prompts_is_not_connected() {
        assert_eq!(ask_address(typing(&[])).unwrap(), None);
        assert_eq!(ask_address(typing(&["localhost"])).unwrap(), None);
    }

    #[test]
    fn only_a_clear_word_ends_or_continues() {
        assert!(confirm_continue(&mut typing(&["", "what?", "Y"])).unwrap());
        assert!(!confirm_continue(&mut typing(&["No"])).unwrap());
        assert!(!confirm_continue(&mut typing(&[])).unwrap());
    }
}
