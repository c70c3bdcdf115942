//! The state that the sessions of one loop, thread or process share.

use std::fmt;
use std::sync::Arc;

use super::{Limits, Traffic};
use crate::service::Game;

/// A destination for the records that services return.
pub trait RecordSink: fmt::Debug + Send + Sync {
    /// Stores the record of a game that is over or was given up. When this returns, the record
    /// survives a crash of the program. The sink reports its own failures.
    fn record(&self, game: &Game);
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
}

impl From<Limits> for Context {
    fn from(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }
}
