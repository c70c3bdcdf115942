//! What the server said, as it is shown: exactly its text for a program, harmless for a person.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::ops::ControlFlow;

use crate::error::Failure;

/// How a reply is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintMode {
    /// To a program: the bytes as they came, alone.
    Raw,
    /// To a person who did not type the question: alone, control characters escaped.
    Escaped,
    /// To a person in a conversation: `Server replied: 66`, control characters escaped.
    Labelled,
}

/// Where replies go.
#[derive(Debug)]
pub struct Printer<W> {
    to: W,
    mode: PrintMode,
}

/// Whether the conversation goes on: it breaks when nobody reads the output any more.
pub(super) type Flow = ControlFlow<()>;

impl<W: Write> Printer<W> {
    /// Replies go to `to`.
    pub fn new(to: W, mode: PrintMode) -> Self {
        Self { to, mode }
    }

    /// Shows the reply to a question.
    pub(super) fn reply(&mut self, text: &[u8]) -> Result<Flow, Failure> {
        match self.mode {
            PrintMode::Raw => self.line("", text),
            PrintMode::Escaped => self.line("", escaped(text).as_bytes()),
            PrintMode::Labelled => self.line("Server replied: ", escaped(text).as_bytes()),
        }
    }

    /// Shows what the server said without being asked: a greeting, or more of the reply before.
    pub(super) fn unsolicited(&mut self, text: &[u8]) -> Result<Flow, Failure> {
        match self.mode {
            PrintMode::Raw => self.line("", text),
            PrintMode::Escaped | PrintMode::Labelled => self.line("", escaped(text).as_bytes()),
        }
    }

    /// Says something of our own to the person.
    pub(super) fn remark(&mut self, text: &str) -> Result<Flow, Failure> {
        self.line("", text.as_bytes())
    }

    fn line(&mut self, label: &str, text: &[u8]) -> Result<Flow, Failure> {
        match self.write_line(label, text) {
            Ok(()) => Ok(Flow::Continue(())),
            // `socklab client ... | head -1`: its reader has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Flow::Break(())),
            Err(error) => Err(Failure::cannot("write to standard output", &error)),
        }
    }

    /// One write, and flushed: who reads a pipe wants the reply now.
    fn write_line(&mut self, label: &str, text: &[u8]) -> io::Result<()> {
        self.to.write_all(&[label.as_bytes(), text, b"\n"].concat())?;
        self.to.flush()
    }
}

/// `text` with everything that could command a terminal made visible: control characters (but
/// for the newline, alone or after a carriage return), bytes that are not UTF-8, and the
/// characters that reorder text.
pub(super) fn escaped(text: &[u8]) -> String {
    let mut shown = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        let mut letters = chunk.valid().chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\r' if letters.peek() == Some(&'\n') => {}
                '\t' | '\r' => shown.extend(letter.escape_default()),
                _ if letter != '\n' && letter.is_ascii_control() => {
                    write_hex(&mut shown, letter as u32);
                }
                _ if is_control_like(letter) => shown.extend(letter.escape_unicode()),
                _ => shown.push(letter),
            }
        }
        for byte in chunk.invalid() {
            write_hex(&mut shown, u32::from(*byte));
        }
    }
    shown
}

/// Whether a character beyond ASCII is obeyed rather than shown: the C1 controls, and the
/// bidirectional marks, embeddings, overrides and isolates.
fn is_control_like(letter: char) -> bool {
    matches!(
        letter,
        '\u{80}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

fn write_hex(to: &mut String, code: u32) {
    write!(to, "\\x{code:02x}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(how: PrintMode, text: &[u8]) -> Vec<u8> {
        let mut printer = Printer::new(Vec::new(), how);
        assert!(printer.reply(text).unwrap().is_continue());
        printer.to
    }

    #[test]
    fn a_program_reads_the_bytes_as_they_came_and_a_newline() {
        assert_eq!(shown(PrintMode::Raw, b"\x1b[31m\xff"), b"\x1b[31m\xff\n");
    }

    #[test]
    fn a_person_in_a_conversation_reads_who_speaks() {
        assert_eq!(shown(PrintMode::Labelled, b"66"), b"Server replied: 66\n");
    }

    #[test]
    fn a_terminal_is_not_commanded() {
        assert_eq!(shown(PrintMode::Escaped, b"\x1b]0;title\x07"), b"\\x1b]0;title\\x07\n");
        assert_eq!(escaped(b"\0\t\x08\x7f\r"), "\\x00\\t\\x08\\x7f\\r");
        assert_eq!(escaped("\u{9b}31m \u{202e}66".as_bytes()), "\\u{9b}31m \\u{202e}66");
        assert_eq!(escaped(b"\x9b31m\xff"), "\\x9b31m\\xff");
    }

    #[test]
    fn lines_and_letters_of_any_language_stay_as_they_are() {
        assert_eq!(escaped("⭐ ja 👎 \\n".as_bytes()), "⭐ ja 👎 \\n");
        assert_eq!(escaped(b"sum: 17\r\nproduct: 60\n"), "sum: 17\nproduct: 60\n");
    }

    #[test]
    fn an_output_that_nobody_reads_ends_the_conversation_quietly() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert!(Printer::new(Closed, PrintMode::Raw).reply(b"66").unwrap().is_break());
    }
}
