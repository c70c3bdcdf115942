//! What the server said, as it is shown: exactly its text for a program, harmless for a person.

use std::io::{self, Write};
use std::ops::ControlFlow;

use crate::error::Failure;
use crate::escape::for_terminal;

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
            PrintMode::Escaped => self.line("", for_terminal(text).as_bytes()),
            PrintMode::Labelled => self.line("Server replied: ", for_terminal(text).as_bytes()),
        }
    }

    /// Shows what the server said without being asked: a greeting, or more of the reply before.
    pub(super) fn unsolicited(&mut self, text: &[u8]) -> Result<Flow, Failure> {
        match self.mode {
            PrintMode::Raw => self.line("", text),
            PrintMode::Escaped | PrintMode::Labelled => {
                self.line("", for_terminal(text).as_bytes())
            }
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
    fn a_person_reads_control_characters_escaped() {
        assert_eq!(shown(PrintMode::Escaped, b"\x1b]0;title\x07"), b"\\x1b]0;title\\x07\n");
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
