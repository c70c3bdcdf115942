//! The failures of the clients: each is one line with a hint, and an exit code for scripts.

use std::io;
use std::time::Duration;

use super::reply;
use crate::duration;
use crate::error::{Exit, Failure};
use crate::escape;

/// The longest part of a server's text in a failure, in characters.
const MAX_QUOTE: usize = 200;

/// No byte of a reply came within `timeout`.
pub(super) fn no_answer(timeout: Duration) -> Failure {
    Failure::new(Exit::NoAnswer, format!("no answer within {}", duration::format(timeout)))
        .hint("is the server busy with another client?")
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

/// The server closed the connection instead of replying. `got_text`: it had sent something before.
pub(super) fn closed_early(got_text: bool) -> Failure {
    let failure = Failure::new(Exit::Failed, "the server closed the connection before it answered");
    failure.hint(if got_text {
        "was it stopped, or does it answer only one message for each connection?"
    } else {
        "is the server full, or did it fail?"
    })
}

/// The quiz server closed the connection during the game.
pub(super) fn closed_mid_game() -> Failure {
    Failure::new(Exit::Failed, "the server closed the connection in the middle of the game")
        .hint("was it stopped, or does it take no answer but an integer?")
}

/// The player's input ended during the game.
pub(super) fn input_ended_mid_game() -> Failure {
    Failure::new(Exit::Failed, "the input ended in the middle of the game")
        .hint("one line each for yes, the name and every answer")
}

/// The server replied with `text` that it is full.
pub(super) fn server_busy(text: &[u8]) -> Failure {
    let first_line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let quote: String = escape::for_failure(first_line).chars().take(MAX_QUOTE).collect();
    Failure::new(Exit::Busy, format!("the server replied: {quote}"))
}

/// The connection failed in any other way.
pub(super) fn connection_failed(error: &io::Error) -> Failure {
    Failure::cannot("talk to the server", error)
}

/// True for a timeout of a socket, which Linux reports as "would block" (socket(7)).
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// True if the server has closed or reset the connection.
pub(super) fn is_disconnect(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    )
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
}
