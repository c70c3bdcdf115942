//! Messages from a pipe and from the command line, sent in lock-step with their replies.

use std::io::{BufRead, Read, Write};

use super::connection::{Connection, MAX_MESSAGE};
use super::printer::{Flow, Printer};
use crate::error::Failure;
use crate::escape;

/// Sends each line of `input` as it comes, and prints the replies in order.
///
/// The last line may lack its newline. An empty input is a success, if the connection is made.
pub fn ask_lines(
    server: &mut Connection,
    mut input: impl BufRead,
    printer: &mut Printer<impl Write>,
) -> Result<(), Failure> {
    log_greeting(server)?;
    let mut line = Vec::new();
    while read_line(&mut input, &mut line)? {
        if ask(server, &line, printer)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Sends each line of each of `expressions`, and prints the replies in order.
pub fn ask_each(
    server: &mut Connection,
    expressions: &[String],
    printer: &mut Printer<impl Write>,
) -> Result<(), Failure> {
    log_greeting(server)?;
    for message in expressions.iter().flat_map(|expression| messages_of(expression)) {
        if ask(server, message.as_bytes(), printer)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Sends one message and prints the reply. Text that has arrived since the previous reply is
/// printed first.
pub(super) fn ask(
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

/// The lines of `text`, each of which is a message, since a newline ends one. An empty text is an
/// empty message.
pub(super) fn messages_of(text: &str) -> impl Iterator<Item = &str> {
    text.strip_suffix('\n').unwrap_or(text).split('\n')
}

/// A greeting is logged, because it is not one of the replies.
fn log_greeting(server: &mut Connection) -> Result<(), Failure> {
    if let Some(text) = server.greeting()? {
        log::info!("greeting of the server: {}", escape::for_log(&text));
    }
    Ok(())
}

/// Reads the next line into `line`, without its newline. False at the end of input. Of a line over
/// the limit only one byte more than the limit is read, so that it is refused when sent.
pub(super) fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, Failure> {
    const LINE_LIMIT: u64 = MAX_MESSAGE as u64 + 1;
    line.clear();
    let read = input.by_ref().take(LINE_LIMIT).read_until(b'\n', line);
    let read = read.map_err(|error| Failure::cannot("read standard input", &error))?;
    line.pop_if(|last| *last == b'\n');
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut input: &[u8]) -> Vec<Vec<u8>> {
        let mut line = Vec::new();
        let mut lines = Vec::new();
        while read_line(&mut input, &mut line).unwrap() {
            lines.push(line.clone());
        }
        lines
    }

    #[test]
    fn a_last_line_without_a_newline_is_a_line() {
        assert_eq!(lines(b"1 + 2\n\n3"), [&b"1 + 2"[..], b"", b"3"]);
        assert_eq!(lines(b"1 + 2\n"), [b"1 + 2"]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn of_a_line_over_the_limit_enough_is_read_to_refuse_it() {
        let mut longest = vec![b'1'; MAX_MESSAGE];
        longest.push(b'\n');
        assert_eq!(lines(&longest)[0].len(), MAX_MESSAGE);
        assert!(lines(&vec![b'1'; 3 * MAX_MESSAGE])[0].len() > MAX_MESSAGE);
    }

    #[test]
    fn each_line_of_a_text_is_a_message() {
        assert_eq!(messages_of("1 + 2\n3\n").collect::<Vec<_>>(), ["1 + 2", "3"]);
        assert_eq!(messages_of("").collect::<Vec<_>>(), [""]);
    }
}
