//! The dialogue with a person on a terminal.

use std::io::Write;

use super::batch::messages_of;
use super::connection::Connection;
use super::failures;
use super::printer::{Flow, Printer};
use super::{DEFAULT_HOST, DEFAULT_PORT};
use crate::error::Failure;
use crate::net::address::parse_host;

/// A prompt for the user's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// The server's host.
    Host,
    /// The server's port.
    Port,
    /// The next message.
    Message,
    /// A yes or a no to another message.
    Continue,
    /// A yes or a no to the quiz.
    Ready,
    /// The player's name.
    Name,
    /// The answer to a question of the quiz.
    Answer,
}

impl Prompt {
    /// The text before the cursor.
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

/// Sends what the user types and prints the replies, until `exit`, `quit`, an end of input, or
/// until the server closes the connection.
///
/// `typed` shows a prompt and returns the line typed, or `None` at the end of input.
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
        // A pasted text may have several lines. A blank line is a slip of the finger.
        for message in messages_of(&line).filter(|message| !message.trim().is_empty()) {
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

/// Sends one message and prints the reply. Text that has arrived since the previous reply is
/// printed first.
fn ask(
    server: &mut Connection,
    message: &[u8],
    printer: &mut Printer<impl Write>,
) -> Result<Flow, Failure> {
    if let Some(text) = server.unsolicited()?
        && printer.unsolicited(&text)?.is_break()
    {
        return Ok(Flow::Break(()));
    }
    let reply = server.ask(message)?;
    printer.reply(&reply)
}

/// Prompts for the server's address; `None` at the end of input.
pub(super) fn ask_address(
    mut typed: impl FnMut(Prompt) -> Result<Option<String>, Failure>,
) -> Result<Option<(String, u16)>, Failure> {
    let host = loop {
        let Some(host) = typed(Prompt::Host)? else { return Ok(None) };
        if host.trim().is_empty() {
            break DEFAULT_HOST.to_owned();
        }
        // What is no host is asked for again; the prompt shows a valid one.
        if let Ok(host) = parse_host(&host) {
            break host.to_owned();
        }
    };
    loop {
        let Some(port) = typed(Prompt::Port)? else { return Ok(None) };
        let port = port.trim();
        if port.is_empty() {
            return Ok(Some((host, DEFAULT_PORT)));
        }
        // The same for the port.
        if let Ok(port @ 1..) = port.parse() {
            return Ok(Some((host, port)));
        }
    }
}

/// Ends the dialogue after the server has closed the connection: a failure if it never replied.
fn server_closed(
    server: &Connection,
    printer: &mut Printer<impl Write>,
    answers: u64,
) -> Result<(), Failure> {
    if answers == 0 {
        return Err(failures::closed_early(server.asked()));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A user who types these lines and ends the input.
    fn typing(
        lines: &'static [&'static str],
    ) -> impl FnMut(Prompt) -> Result<Option<String>, Failure> {
        let mut lines = lines.iter();
        move |_| Ok(lines.next().map(|&line| line.into()))
    }

    #[test]
    fn an_empty_line_takes_the_default_address() {
        let address = ask_address(typing(&["", " "])).unwrap();
        assert_eq!(address, Some(("127.0.0.1".into(), 5000)));
    }

    #[test]
    fn the_port_is_asked_for_until_it_is_valid() {
        let address = ask_address(typing(&[" ::1 ", "http", "0", "70000", "80"])).unwrap();
        assert_eq!(address, Some(("::1".into(), 80)));
    }

    #[test]
    fn the_host_is_asked_for_until_it_is_one() {
        let address = ask_address(typing(&["5000", "", "80"])).unwrap();
        assert_eq!(address, Some(("127.0.0.1".into(), 80)));
        let address = ask_address(typing(&["localhost:80", "[::1]", "80"])).unwrap();
        assert_eq!(address, Some(("::1".into(), 80)));
    }

    #[test]
    fn an_end_of_input_at_the_address_prompts_is_no_address() {
        assert_eq!(ask_address(typing(&[])).unwrap(), None);
        assert_eq!(ask_address(typing(&["localhost"])).unwrap(), None);
    }

    #[test]
    fn only_yes_or_no_answers_whether_to_continue() {
        assert!(confirm_continue(&mut typing(&["", "what?", "Y"])).unwrap());
        assert!(!confirm_continue(&mut typing(&["No"])).unwrap());
        assert!(!confirm_continue(&mut typing(&[])).unwrap());
    }
}
