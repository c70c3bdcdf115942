//! Why a connection ended: one closed list, for the log.

use std::fmt;

/// The first reason for which a connection could not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
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
    /// The server was told to stop.
    Drained,
    /// The server stopped without waiting any longer.
    Forced,
    /// A fault of this program.
    Broken,
}

impl fmt::Display for Ending {
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
            Self::Drained => "the server stops",
            Self::Forced => "the server stops at once",
            Self::Broken => "a fault in this server",
        })
    }
}
