//! Conversations without a person: from a pipe and from the command line, in lock-step.

use std::io::{BufRead, Read, Write};

use super::connection::{Connection, MAX_QUESTION};
use super::printer::{Flow, Printer};
use crate::error::Failure;
use crate::escape;

/// Asks each line of `input`, as it comes, and shows the replies in order.
///
/// A last line without a newline is asked too. No line, no question: then only the connecting is
/// tried, and an empty input is a success.
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

/// Asks each line of each of `expressions` and shows the replies in order.
pub fn ask_each(
    server: &mut Connection,
    expressions: &[String],
    printer: &mut Printer<impl Write>,
) -> Result<(), Failure> {
    log_greeting(server)?;
    for question in expressions.iter().flat_map(|expression| questions_of(expression)) {
        if ask(server, question.as_bytes(), printer)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Asks one question and shows the reply, after what has come since the reply before.
pub(super) fn ask(
    server: &mut Connection,
    question: &[u8],
    printer: &mut Printer<impl Write>,
) -> Result<Flow, Failure> {
    if let Some(text) = server.unsolicited()?
        && printer.unsolicited(&text)?.is_break()
    {
        return Ok(Flow::Break(()));
    }
    let reply = server.ask(question)?;
    printer.reply(&reply)
}

/// The lines of `text`, each a question of its own, since a newline ends a message. An empty text
/// is one empty question.
pub(super) fn questions_of(text: &str) -> impl Iterator<Item = &str> {
    text.strip_suffix('\n').unwrap_or(text).split('\n')
}

/// A greeting answers nothing, so it is not printed among the answers.
fn log_greeting(server: &mut Connection) -> Result<(), Failure> {
    if let Some(text) = server.greeting()? {
        log::info!("the server greets: {}", escape::for_terminal(&text));
    }
    Ok(())
}

/// Reads the next line into `line`, without its newline; whether there was one. A line over the
/// limit is read no further than the byte too many that has it refused.
pub(super) fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, Failure> {
    const LINE_LIMIT: u64 = MAX_QUESTION as u64 + 1;
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
    fn a_line_over_the_limit_is_read_far_enough_to_be_refused() {
        let mut longest = vec![b'1'; MAX_QUESTION];
        longest.push(b'\n');
        assert_eq!(lines(&longest)[0].len(), MAX_QUESTION);
        assert!(lines(&vec![b'1'; 3 * MAX_QUESTION])[0].len() > MAX_QUESTION);
    }

    #[test]
    fn each_line_of_a_text_is_a_question() {
        assert_eq!(questions_of("1 + 2\n3\n").collect::<Vec<_>>(), ["1 + 2", "3"]);
        assert_eq!(questions_of("").collect::<Vec<_>>(), [""]);
    }
}
