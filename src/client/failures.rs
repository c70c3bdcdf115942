//! The failures of the clients: each is one line with a hint, and an exit code for scripts.

use std::io;
use std::time::Duration;

use super::reply;
use crate::duration;
use crate::error::{Exit, Failure};
use crate::escape;

/// The longest part of a server's text in a failure, in bytes.
const MAX_QUOTE: usize = 200;

/// The facts about a server that does not answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// It has sent something on this connection.
    pub(super) got_text: bool,
    /// It has answered a message.
    pub(super) answered: bool,
    /// The choice of a newline behind messages, where the user has it.
    pub(super) newline: Option<bool>,
}

impl Asked {
    /// A hint, with the option that may help where nothing was answered yet.
    fn hint(self, hint: &str) -> String {
        match self.newline {
            Some(true) if !self.answered => {
                format!("{hint} if it cannot take a newline, try --bare")
            }
            Some(false) => format!("{hint} if it waits for a newline, leave out --bare"),
            _ => hint.to_owned(),
        }
    }
}

/// No byte of a reply came within `timeout`, though the kernel of the server has connected us.
pub(super) fn no_answer(timeout: Duration, asked: Asked) -> Failure {
    let hint = if asked.got_text {
        "is the server busy?"
    } else {
        "connected, but perhaps still in the accept queue: \
         is the server busy with another client?"
    };
    Failure::new(Exit::NoAnswer, format!("no answer within {}", duration::format(timeout)))
        .hint(&asked.hint(hint))
}

/// A reply was not complete when `timeout` had passed.
pub(super) fn partial_answer(timeout: Duration) -> Failure {
    let text = format!("no complete answer within {}", duration::format(timeout));
    Failure::new(Exit::NoAnswer, text)
}

/// A reply was over the limit.
pub(super) fn reply_too_long() -> Failure {
    let text = format!("the server's reply is longer than {} bytes", reply::MAX_REPLY_LEN);
    Failure::new(Exit::Failed, text)
}

/// A message was over the limit.
pub(super) fn message_too_long(limit: usize) -> Failure {
    let text = format!("cannot send a message of more than {limit} bytes");
    Failure::new(Exit::Failed, text)
}

/// The server closed the connection instead of replying.
pub(super) fn closed_early(asked: Asked) -> Failure {
    let hint = if asked.answered {
        "was it stopped, or does it answer only one message for each connection?"
    } else {
        "is the server full, or did it fail?"
    };
    Failure::new(Exit::Failed, "the server closed the connection before it answered")
        .hint(&asked.hint(hint))
}

/// The server closed the connection while we waited for a message to send.
pub(super) fn closed_meanwhile() -> Failure {
    Failure::new(Exit::Failed, "the server closed the connection before the input ended")
        .hint("was it stopped, or was the pause between two messages too long?")
}

/// The server sent `count` texts that are no replies, the first of which is `first`.
pub(super) fn late_texts(count: u64, first: &[u8]) -> Failure {
    let first = escape::excerpt(first, MAX_QUOTE);
    let text = match count {
        1 => format!("the server sent \"{first}\" after a reply had ended"),
        _ => format!("the server sent {count} texts after a reply had ended, first \"{first}\""),
    };
    Failure::new(Exit::Failed, text)
        .hint("it pauses within a reply or answers twice, so answers may be incomplete")
}

/// The quiz server closed the connection during the game.
pub(super) fn closed_mid_game() -> Failure {
    Failure::new(Exit::Failed, "the server closed the connection in the middle of the game")
        .hint("was it stopped, or does it take no answer but an integer?")
}

/// The server sent `said` instead of a question.
pub(super) fn no_quiz(said: &[u8]) -> Failure {
    let said = escape::excerpt(said, MAX_QUOTE);
    Failure::new(Exit::Failed, format!("the server asks no question; it says \"{said}\""))
        .hint("is it a quiz server?")
}

/// The server went on sending `said`, but no question, until `timeout` had passed.
pub(super) fn no_question(timeout: Duration, said: &[u8]) -> Failure {
    let (timeout, said) = (duration::format(timeout), escape::excerpt(said, MAX_QUOTE));
    Failure::new(
        Exit::NoAnswer,
        format!("no question within {timeout}; the server says \"{said}\""),
    )
    .hint("is it a quiz server?")
}

/// The player's input ended during the game.
pub(super) fn input_ended_mid_game() -> Failure {
    Failure::new(Exit::Failed, "the input ended in the middle of the game")
        .hint("one line each for yes, the name and every answer")
}

/// The server replied with `text` that it is busy.
pub(super) fn server_busy(text: &[u8]) -> Failure {
    let first_line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let quote = escape::for_failure(escape::beginning(first_line, MAX_QUOTE));
    Failure::new(Exit::Busy, format!("the server replied: {quote}"))
}

/// The connection failed in any other way.
pub(super) fn connection_failed(error: &io::Error) -> Failure {
    Failure::cannot("talk to the server", error)
}

/// True if a socket's timeout has passed, which Linux reports as "would block" (socket(7)).
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_server_is_quoted_on_one_line_and_escaped() {
        let failure = server_busy(b"busy: \x1b[2Jtry later\nor never");
        assert_eq!(failure.to_string(), "the server replied: busy: \\x1b[2Jtry later");
        assert_eq!(failure.exit, Exit::Busy);
    }

    #[test]
    fn a_quote_of_a_busy_server_is_not_cut_within_a_character() {
        let words = "busy: ".to_owned() + &"x".repeat(MAX_QUOTE - 7);
        let failure = server_busy(format!("{words}ü").as_bytes());
        assert_eq!(failure.to_string(), format!("the server replied: {words}"));
    }
}
