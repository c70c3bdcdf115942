//! Messages from a pipe and from the command line, sent in lock-step with their replies.

use std::io::Write;
use std::os::fd::AsFd;

use rustix::event::PollFlags;

use super::connection::Connection;
use super::failures;
use super::line_input::{LineInput, Waited};
use super::printer::Printer;
use crate::error::Failure;
use crate::escape;

/// Sends each line of `input` as it comes, and prints the replies in order.
///
/// The last line may lack its newline. An empty input is a success, if the connection is made.
pub fn ask_lines(
    server: &mut Connection,
    input: impl AsFd,
    printer: &mut Printer<impl Write>,
) -> Result<(), Failure> {
    log_greeting(server)?;
    let mut input = LineInput::new(input);
    let mut line = Vec::new();
    let mut late = LateTexts::default();
    loop {
        match input.next(&mut line, server.as_fd(), PollFlags::IN)? {
            Waited::Line => {
                late.receive(server)?;
                if printer.reply(&server.ask(&line)?)?.is_break() {
                    return Ok(());
                }
            }
            Waited::Server => {
                late.receive(server)?;
                if server.is_closed() {
                    return Err(failures::closed_meanwhile());
                }
            }
            Waited::End => return late.end(server),
        }
    }
}

/// Sends each line of each of `expressions`, and prints the replies in order.
pub fn ask_each(
    server: &mut Connection,
    expressions: &[String],
    printer: &mut Printer<impl Write>,
) -> Result<(), Failure> {
    log_greeting(server)?;
    let mut late = LateTexts::default();
    for message in expressions.iter().flat_map(|expression| messages_of(expression)) {
        late.receive(server)?;
        if printer.reply(&server.ask(message.as_bytes())?)?.is_break() {
            return Ok(());
        }
    }
    late.end(server)
}

/// The texts that came between a reply and the next message. A program that reads the replies in
/// order would take them for replies, so they are reported on stderr instead.
#[derive(Default)]
struct LateTexts {
    count: u64,
    first: Vec<u8>,
}

impl LateTexts {
    /// Receives what has come since the last reply.
    fn receive(&mut self, server: &mut Connection) -> Result<(), Failure> {
        let text = server.unsolicited()?;
        self.note(server, text);
        Ok(())
    }

    fn note(&mut self, server: &Connection, text: Option<Vec<u8>>) {
        let Some(text) = text else { return };
        if !server.has_answered() {
            return log_text("late greeting", &text);
        }
        log::warn!("after a reply the server sent \"{}\"", escape::for_log(&text));
        if self.count == 0 {
            self.first = text;
        }
        self.count += 1;
    }

    /// Fails if there were any, also behind the last reply.
    fn end(mut self, server: &mut Connection) -> Result<(), Failure> {
        let text = server.last_words()?;
        self.note(server, text);
        match self.count {
            0 => Ok(()),
            count => Err(failures::late_texts(count, &self.first)),
        }
    }
}

/// The lines of `text`, each of which is a message, since a newline ends one. An empty text is an
/// empty message.
pub(super) fn messages_of(text: &str) -> impl Iterator<Item = &str> {
    text.strip_suffix('\n').unwrap_or(text).split('\n')
}

/// A greeting is logged, because it is not one of the replies.
fn log_greeting(server: &mut Connection) -> Result<(), Failure> {
    if let Some(text) = server.greeting()? {
        log_text("greeting", &text);
    }
    Ok(())
}

fn log_text(kind: &str, text: &[u8]) {
    log::info!("{kind} of the server: {}", escape::for_log(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_a_text_is_a_message() {
        assert_eq!(messages_of("1 + 2\n3\n").collect::<Vec<_>>(), ["1 + 2", "3"]);
        assert_eq!(messages_of("").collect::<Vec<_>>(), [""]);
    }
}
