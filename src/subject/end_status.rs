//! The end of a process, as its parent learns it.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::signal::Signal;

/// The lowest exit status with which a shell reports a signal that ended its command.
const SHELL_SIGNALS: i32 = 128;

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndStatus {
    /// It exited with this status.
    Exit(i32),
    /// A signal ended it.
    Signal(i32),
}

impl EndStatus {
    /// The exit status with which a shell would report this end.
    pub fn shell_status(self) -> u8 {
        let status = match self {
            Self::Exit(status) => status,
            Self::Signal(signal) => SHELL_SIGNALS + signal,
        };
        u8::try_from(status).unwrap_or(u8::MAX)
    }

    /// The signal that ended the process, or the command of a shell that passed it on.
    pub fn signal(self) -> Option<Signal> {
        let number = match self {
            Self::Exit(status) => status - SHELL_SIGNALS,
            Self::Signal(signal) => signal,
        };
        Signal::try_from(number).ok()
    }

    /// The end in a supervisor's report: `exit 1`, `signal 8`.
    pub(super) fn encode(self) -> String {
        match self {
            Self::Exit(status) => format!("exit {status}"),
            Self::Signal(signal) => format!("signal {signal}"),
        }
    }

    /// The end that [`encode`](Self::encode) has written.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let (kind, number) = text.split_once(' ')?;
        let number = number.parse().ok()?;
        match kind {
            "exit" => Some(Self::Exit(number)),
            "signal" => Some(Self::Signal(number)),
            _ => None,
        }
    }
}

impl From<ExitStatus> for EndStatus {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(status), _) => Self::Exit(status),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

impl fmt::Display for EndStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.signal()) {
            (Self::Exit(status), Some(signal)) => {
                write!(out, "exit status {status} ({})", signal.as_str())
            }
            (Self::Exit(status), None) => write!(out, "exit status {status}"),
            (Self::Signal(_), Some(signal)) => out.write_str(signal.as_str()),
            (Self::Signal(number), None) => write!(out, "signal {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_as_a_user_knows_it() {
        assert_eq!(EndStatus::Signal(8).to_string(), "SIGFPE");
        assert_eq!(EndStatus::Exit(1).to_string(), "exit status 1");
        assert_eq!(EndStatus::Exit(136).to_string(), "exit status 136 (SIGFPE)");
    }

    #[test]
    fn an_end_survives_the_way_to_the_parent() {
        for end in [EndStatus::Exit(0), EndStatus::Signal(11)] {
            assert_eq!(EndStatus::decode(&end.encode()), Some(end));
        }
    }
}
