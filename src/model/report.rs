//! The report of a process that served one connection to the process that started it: one line,
//! written when the connection has ended.

use std::fmt;

use crate::choice::Choice;
use crate::session::{CloseReason, Traffic};

/// The end of a connection, and its traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// The client's number.
    pub(super) client: u64,
    pub(super) close_reason: CloseReason,
    pub(super) messages: u64,
    pub(super) received: u64,
    pub(super) sent: u64,
}

impl Report {
    pub(super) fn new(client: u64, close_reason: CloseReason, traffic: &Traffic) -> Self {
        let (received, sent) = (traffic.received(), traffic.sent());
        Self { client, close_reason, messages: traffic.messages(), received, sent }
    }

    /// The report that `to_string` made into this line, without its newline.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut values = line.split(' ').zip(["client", "reason", "messages", "received", "sent"]);
        let mut value = || {
            let (pair, name) = values.next()?;
            pair.strip_prefix(name)?.strip_prefix('=')
        };
        Some(Self {
            client: value()?.parse().ok()?,
            close_reason: value().and_then(CloseReason::named)?,
            messages: value()?.parse().ok()?,
            received: value()?.parse().ok()?,
            sent: value()?.parse().ok()?,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, close_reason, messages, received, sent } = self;
        let reason = close_reason.name();
        let traffic = format_args!("messages={messages} received={received} sent={sent}");
        writeln!(out, "client={client} reason={reason} {traffic}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line_that_reads_back_for_every_reason() {
        for &close_reason in CloseReason::ALL {
            let report =
                Report { client: 7, close_reason, messages: 1, received: 2, sent: u64::MAX };
            let line = report.to_string();
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(Report::parse(line.trim_end()), Some(report), "{line}");
        }
        for line in ["", "client=7", "client=7 reason=bored messages=1 received=2 sent=3"] {
            assert_eq!(Report::parse(line), None);
        }
    }
}
