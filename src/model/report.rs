//! What a process that served one connection tells the one that started it: one line, when the
//! connection has ended.

use std::fmt;

use crate::session::{CloseReason, Traffic};

/// The last word on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// The client's number.
    pub(super) client: u64,
    pub(super) ending: CloseReason,
    pub(super) messages: u64,
    pub(super) received: u64,
    pub(super) sent: u64,
}

impl Report {
    pub(super) fn new(client: u64, ending: CloseReason, traffic: &Traffic) -> Self {
        let (received, sent) = (traffic.received(), traffic.sent());
        Self { client, ending, messages: traffic.messages(), received, sent }
    }

    /// Reads what `to_string` made, without its newline.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut values = line.split(' ').zip(["client", "ending", "messages", "received", "sent"]);
        let mut value = || {
            let (pair, name) = values.next()?;
            pair.strip_prefix(name)?.strip_prefix('=')
        };
        Some(Self {
            client: value()?.parse().ok()?,
            ending: value().and_then(named)?,
            messages: value()?.parse().ok()?,
            received: value()?.parse().ok()?,
            sent: value()?.parse().ok()?,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, ending, messages, received, sent } = self;
        let ending = ending.name();
        let traffic = format_args!("messages={messages} received={received} sent={sent}");
        writeln!(out, "client={client} ending={ending} {traffic}")
    }
}

fn named(name: &str) -> Option<CloseReason> {
    CloseReason::ALL.into_iter().find(|ending| ending.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line_that_reads_back_for_every_ending() {
        for ending in CloseReason::ALL {
            let report = Report { client: 7, ending, messages: 1, received: 2, sent: u64::MAX };
            let line = report.to_string();
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(Report::parse(line.trim_end()), Some(report), "{line}");
        }
        for line in ["", "client=7", "client=7 ending=bored messages=1 received=2 sent=3"] {
            assert_eq!(Report::parse(line), None);
        }
    }
}
