//! The state that the sessions of one loop, thread or process share.

use std::fmt;
use std::sync::Arc;

use super::{Limits, Traffic};
use crate::service::RecordSink;

/// The side of a connection on which a session is: the log shows what the client asked before the
/// answer, and a load's sessions are the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// The peer is the client, and its number is logged.
    #[default]
    Server,
    /// The peer is the server, and the number of the connection is logged.
    Client,
}

impl fmt::Display for Side {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Server => "client",
            Self::Client => "connection",
        })
    }
}

/// Limits, counters and the record sink of a group of sessions.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The limits of each session.
    pub limits: Limits,
    /// The counters of all the sessions together.
    pub traffic: Arc<Traffic>,
    /// The sink for records; none discards them.
    pub records: Option<Arc<dyn RecordSink>>,
    /// The side of the sessions.
    pub side: Side,
}

impl From<Limits> for Context {
    fn from(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }
}
