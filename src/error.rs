//! Failures: one line for the user, with the action, its object, the cause and a hint, and an exit
//! code for scripts.

use std::path::Path;
use std::{fmt, io};

use nix::errno::Errno;

/// The exit code of a command that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command failed.
    Failed = 1,
    /// The command line is invalid.
    Usage = 2,
    /// The server replied that it is busy.
    Busy = 3,
    /// No answer came within the time limit.
    NoAnswer = 4,
    /// A server under test never listened.
    NotListening = 5,
    /// `with` could not start its server (as env(1) exits if it fails itself).
    WithFailed = 125,
    /// The command of `with` cannot be run.
    CannotRun = 126,
    /// The command of `with` does not exist.
    NoProgram = 127,
}

/// The failure of a command: `cannot <verb> <object>: <cause> (<hint>)`, or another sentence.
#[derive(Debug)]
pub struct Failure {
    text: String,
    /// Lines that belong to it, such as the output of another program.
    details: Vec<String>,
    /// The exit code of the command.
    pub exit: Exit,
}

impl Failure {
    /// A failed system call: `cannot listen on 127.0.0.1:5000: address already in use`. `action`
    /// is a verb and its object.
    pub fn cannot(action: impl fmt::Display, cause: &io::Error) -> Self {
        Self::new(Exit::Failed, format!("cannot {action}: {}", cause_of(cause)))
    }

    /// A failure with a sentence of its own, without a full stop.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { text: text.into(), details: Vec::new(), exit }
    }

    /// The same failure with another exit code.
    #[must_use]
    pub fn exit_with(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// Adds lines that belong to it.
    #[must_use]
    pub fn with_details(self, details: Vec<String>) -> Self {
        Self { details, ..self }
    }

    /// The lines that belong to it.
    pub fn details(&self) -> &[String] {
        &self.details
    }

    /// Adds a hint in parentheses.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        self.text = format!("{} ({hint})", self.text);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// The failure to open a file.
pub fn cannot_open(path: impl AsRef<Path>, cause: &io::Error) -> Failure {
    Failure::cannot(format_args!("open {}", path.as_ref().display()), cause)
}

/// The system's text for an error, without Rust's `(os error 98)`: `address already in use`.
pub fn cause_of(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// The name of an error as errno(3) lists it: `ECONNRESET`.
pub fn errno(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(known) => format!("{known:?}"),
        None => error.to_string(),
    }
}

/// True if the error means that the peer has closed or reset the connection.
pub fn is_disconnect(error: &io::Error) -> bool {
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
    fn a_failure_is_one_line_with_verb_object_cause_and_hint() {
        let refused = io::Error::from_raw_os_error(rustix::io::Errno::CONNREFUSED.raw_os_error());
        let failure =
            Failure::cannot("connect to 127.0.0.1:5000", &refused).hint("is the server running?");
        assert_eq!(
            failure.to_string(),
            "cannot connect to 127.0.0.1:5000: connection refused (is the server running?)"
        );
        assert_eq!(failure.exit as i32, 1);
    }
}
