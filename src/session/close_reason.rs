//! The reasons for which connections end: one closed list, for the log and the counters.

use std::fmt;

use crate::choice::choices;

choices! {
    /// The first reason to end a connection.
    pub enum CloseReason {
        /// The peer closed its sending half, and all that it had sent was answered.
        PeerClosed = "peer-closed",
        /// The peer reset the connection, or closed it before it was answered.
        PeerReset = "peer-reset",
        /// The network or the machine failed the connection: a timeout, an unreachable host.
        Lost = "lost",
        /// The service closed the connection.
        Served = "served",
        /// A message was over the limit.
        TooLong = "too-long",
        /// No byte moved for the time allowed, and no reply was owed.
        Idle = "idle",
        /// A message did not arrive whole within the time allowed.
        TooSlow = "too-slow",
        /// Replies stood unread for the time allowed.
        Unread = "unread",
        /// The server was full.
        Refused = "refused",
        /// Its address had as many connections as it may have.
        SourceLimit = "source-limit",
        /// The server stopped, and waited for the connection to end.
        Drained = "drained",
        /// The server stopped without waiting, or without waiting any longer.
        Forced = "forced",
        /// A bug in this program.
        Broken = "broken",
    }
}

impl CloseReason {
    /// The reason of a connection that the server cut. Its session saw an end or a failure of the
    /// socket, which looks like the peer's.
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
            Self::SourceLimit => "its address has too many connections",
            Self::Drained => "the server stops",
            Self::Forced => "the server stops at once",
            Self::Broken => "a fault in this server",
        })
    }
}
