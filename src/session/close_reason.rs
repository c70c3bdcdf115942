//! Why a connection ended: one closed list, for the log.

use std::fmt;

/// The first reason for which a connection could not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer closed its sending half, and all that it had sent was answered.
    PeerClosed,
    /// The peer reset the connection, or closed it before it was answered.
    PeerReset,
    /// The network or the machine failed the connection: a timeout, an unreachable host.
    Lost,
    /// The service said its last word.
    Served,
    /// A message was over the limit.
    TooLong,
    /// No byte moved for the time allowed, and none was owed.
    Idle,
    /// A message did not arrive whole within the time allowed.
    TooSlow,
    /// Replies stood unread for the time allowed.
    Unread,
    /// The server was full.
    Refused,
    /// The server was told to stop.
    Drained,
    /// The server stopped without waiting any longer.
    Forced,
    /// A fault of this program.
    Broken,
}

impl CloseReason {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 12] = [
        Self::PeerClosed,
        Self::PeerReset,
        Self::Lost,
        Self::Served,
        Self::TooLong,
        Self::Idle,
        Self::TooSlow,
        Self::Unread,
        Self::Refused,
        Self::Drained,
        Self::Forced,
        Self::Broken,
    ];

    /// Its name among the counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::PeerClosed => "peer-closed",
            Self::PeerReset => "peer-reset",
            Self::Lost => "lost",
            Self::Served => "served",
            Self::TooLong => "too-long",
            Self::Idle => "idle",
            Self::TooSlow => "too-slow",
            Self::Unread => "unread",
            Self::Refused => "refused",
            Self::Drained => "drained",
            Self::Forced => "forced",
            Self::Broken => "broken",
        }
    }

    /// The reason of a connection whose socket was shut down, or failed, because it was to end at
    /// once: from within, that looks like the peer's doing.
    #[must_use]
    pub fn or_forced(self) -> Self {
        match self {
            Self::PeerClosed | Self::PeerReset | Self::Lost => Self::Forced,
            earlier => earlier,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::PeerClosed => "it closed the connection",
            Self::PeerReset => "it reset the connection",
            Self::Lost => "the connection broke",
            Self::Served => "the service is done",
            Self::TooLong => "its message was too long",
            Self::Idle => "it was idle for too long",
            Self::TooSlow => "its message took too long to arrive",
            Self::Unread => "it did not read its replies",
            Self::Refused => "the server is full",
            Self::Drained => "the server stops",
            Self::Forced => "the server stops at once",
            Self::Broken => "a fault in this server",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_in_a_place_of_its_own() {
        for (place, close_reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(close_reason as usize, place, "{}", close_reason.name());
        }
        assert_eq!(
            CloseReason::Broken as usize + 1,
            CloseReason::ALL.len(),
            "the last one is declared last"
        );
    }
}
