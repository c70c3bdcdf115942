//! What can go wrong between the client and a server, in words: each failure is one line that says
//! what to look at, and the exit code a script can act on.

use std::io;
use std::time::Duration;

use super::connection::MAX_QUESTION;
use super::reply;
use crate::error::{Exit, Failure};
use crate::escape;

/// How much of a server's text fits into a failure's one line, in characters.
const MAX_QUOTE: usize = 200;

/// No address of the host took the connection within `timeout`; the last one's error.
pub(super) fn cannot_connect(
    host: &str,
    port: u16,
    timeout: Duration,
    error: &io::Error,
) -> Failure {
    if is_timeout(error) {
        return no_answer(timeout);
    }
    let place =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let failure = Failure::cannot(format!("connect to {place}"), error);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => failure.hint("is the server started?"),
        _ => failure,
    }
}

/// Not a byte came within `timeout`.
pub(super) fn no_answer(timeout: Duration) -> Failure {
    Failure::new(Exit::NoAnswer, format!("no answer within {}", format_duration(timeout)))
        .hint("is the server busy with another client?")
}

/// The server was still sending when `timeout` had passed.
pub(super) fn partial_answer(timeout: Duration) -> Failure {
    let text = format!("only a part of the answer within {}", format_duration(timeout));
    Failure::new(Exit::NoAnswer, text)
}

/// A reply is over the limit.
pub(super) fn reply_too_long() -> Failure {
    let text = format!("the server's reply is longer than {} bytes", reply::MAX_REPLY_LEN);
    Failure::new(Exit::Failed, text)
}

/// A question is over the limit.
pub(super) fn message_too_long() -> Failure {
    let text = format!("cannot send a message of more than {MAX_QUESTION} bytes");
    Failure::new(Exit::Failed, text)
}

/// The server closed the connection instead of answering; whether it had said anything before.
pub(super) fn closed_early(got_text: bool) -> Failure {
    let failure = Failure::new(Exit::Failed, "the server closed the connection before it answered");
    failure.hint(if got_text {
        "was it stopped, or does it answer only one message for each connection?"
    } else {
        "is the server full, or did it fail?"
    })
}

/// The quiz server closed the connection while the game was on.
pub(super) fn closed_mid_game() -> Failure {
    Failure::new(Exit::Failed, "the server closed the connection in the middle of the game")
        .hint("was it stopped, or does it take no answer but an integer?")
}

/// The player's input ended while the game was on.
pub(super) fn input_ended_mid_game() -> Failure {
    Failure::new(Exit::Failed, "the input ended in the middle of the game")
        .hint("one line each for yes, the name and every answer")
}

/// The server said that it is full: `text`.
pub(super) fn server_busy(text: &[u8]) -> Failure {
    let first_line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let quote: String = escape::for_terminal(first_line).chars().take(MAX_QUOTE).collect();
    Failure::new(Exit::Busy, format!("the server replied: {quote}"))
}

/// The connection failed in a way that is nobody's habit.
pub(super) fn connection_failed(error: &io::Error) -> Failure {
    Failure::cannot("talk to the server", error)
}

/// A socket whose timeout passed says "would block".
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// The server left without the ceremony of an end of input.
pub(super) fn is_disconnect(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    )
}

/// `2 s`, `500 ms`, `250 us`.
fn format_duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    match () {
        () if micros.is_multiple_of(1_000_000) => format!("{} s", micros / 1_000_000),
        () if micros.is_multiple_of(1000) => format!("{} ms", micros / 1000),
        () => format!("{micros} us"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_spoken_in_the_largest_whole_unit() {
        assert_eq!(format_duration(Duration::from_secs(2)), "2 s");
        assert_eq!(format_duration(Duration::from_millis(500)), "500 ms");
        assert_eq!(format_duration(Duration::from_millis(1500)), "1500 ms");
        assert_eq!(format_duration(Duration::from_micros(250)), "250 us");
    }

    #[test]
    fn a_connect_that_takes_too_long_is_no_answer() {
        let error = io::Error::from(io::ErrorKind::TimedOut);
        let failure = cannot_connect("127.0.0.1", 5000, Duration::from_secs(2), &error);
        assert_eq!(
            failure.to_string(),
            "no answer within 2 s (is the server busy with another client?)"
        );
        assert_eq!(failure.exit, Exit::NoAnswer);
    }

    #[test]
    fn an_ipv6_host_is_shown_in_brackets() {
        let refused = io::Error::from_raw_os_error(rustix::io::Errno::CONNREFUSED.raw_os_error());
        let failure = cannot_connect("::1", 5000, Duration::from_secs(2), &refused);
        assert_eq!(
            failure.to_string(),
            "cannot connect to [::1]:5000: connection refused (is the server started?)"
        );
    }

    #[test]
    fn a_busy_server_is_quoted_on_one_harmless_line() {
        let failure = server_busy(b"busy: \x1b[2Jtry later\nor never");
        assert_eq!(failure.to_string(), "the server replied: busy: \\x1b[2Jtry later");
        assert_eq!(failure.exit, Exit::Busy);
    }
}
