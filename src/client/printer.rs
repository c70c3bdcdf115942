//! The output of the clients: the exact text for a program, escaped text for a person.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, write};

use crate::error::Failure;
use crate::escape::for_terminal;

/// The form in which a reply is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintMode {
    /// For a program: the bytes as they came.
    Raw,
    /// For a person who did not type the message: control characters are escaped.
    Escaped,
    /// For a person in a dialogue: `Server replied: 66`, control characters are escaped.
    Labelled,
}

/// The output of a client.
#[derive(Debug)]
pub struct Printer<W> {
    to: W,
    mode: PrintMode,
}

/// The decision to continue. It breaks when the reader of the output has closed it.
pub(super) type Flow = ControlFlow<()>;

impl<W: Write> Printer<W> {
    /// A printer that writes to `to`.
    pub fn new(to: W, mode: PrintMode) -> Self {
        Self { to, mode }
    }

    /// Prints a reply.
    pub(super) fn reply(&mut self, text: &[u8]) -> Result<Flow, Failure> {
        match self.mode {
            PrintMode::Raw => self.line("", text),
            PrintMode::Escaped => self.line("", for_terminal(text).as_bytes()),
            PrintMode::Labelled => self.line("Server replied: ", for_terminal(text).as_bytes()),
        }
    }

    /// Prints text that is no reply: a greeting, or the late rest of the previous reply.
    pub(super) fn unsolicited(&mut self, text: &[u8]) -> Result<Flow, Failure> {
        match self.mode {
            PrintMode::Raw => self.line("", text),
            PrintMode::Escaped | PrintMode::Labelled => {
                self.line("", for_terminal(text).as_bytes())
            }
        }
    }

    /// Prints a remark of our own.
    pub(super) fn remark(&mut self, text: &str) -> Result<Flow, Failure> {
        self.line("", text.as_bytes())
    }

    fn line(&mut self, label: &str, text: &[u8]) -> Result<Flow, Failure> {
        match self.write_line(label, text) {
            Ok(()) => Ok(Flow::Continue(())),
            // The reader has left: `socklab client ... | head -1`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Flow::Break(())),
            Err(error) => Err(Failure::cannot("write to standard output", &error)),
        }
    }

    /// Writes a line in one call and flushes it, since the reader of a pipe waits for it.
    fn write_line(&mut self, label: &str, text: &[u8]) -> io::Result<()> {
        self.to.write_all(&[label.as_bytes(), text, b"\n"].concat())?;
        self.to.flush()
    }
}

/// A descriptor that is written to without a buffer. It may be non-blocking, which a program that
/// shares it decides: then what does not fit is waited for.
#[derive(Debug)]
pub struct Unbuffered<F>(pub F);

impl<F: AsFd> Write for Unbuffered<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match write(&self.0, bytes) {
                Err(Errno::AGAIN) => {
                    match poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(Errno::INTR) => {}
                written => return Ok(written?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::{Read, pipe};
    use std::thread;

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    #[test]
    fn a_non_blocking_output_is_waited_for() {
        let (mut from, to) = pipe().unwrap();
        let flags = fcntl_getfl(&to).unwrap();
        fcntl_setfl(&to, flags | OFlags::NONBLOCK).unwrap();
        // More than a pipe holds.
        let line = vec![b'6'; 1 << 20];
        let mut printer = Printer::new(Unbuffered(to), PrintMode::Raw);
        let read = move || {
            let mut read = Vec::new();
            from.read_to_end(&mut read).unwrap();
            read
        };
        let reader = thread::Builder::new().spawn(read).unwrap();
        assert!(printer.reply(&line).unwrap().is_continue());
        drop(printer);
        assert_eq!(reader.join().unwrap(), [&line[..], b"\n"].concat());
    }

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
    fn a_person_in_a_dialogue_reads_labelled_replies() {
        assert_eq!(shown(PrintMode::Labelled, b"66"), b"Server replied: 66\n");
    }

    #[test]
    fn a_person_reads_control_characters_escaped() {
        assert_eq!(shown(PrintMode::Escaped, b"\x1b]0;title\x07"), b"\\x1b]0;title\\x07\n");
    }

    #[test]
    fn an_output_without_a_reader_ends_the_dialogue_without_an_error() {
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
