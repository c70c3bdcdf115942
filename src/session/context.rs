//! The state that the sessions of one loop, thread or process share.

use std::sync::Arc;

use super::{Limits, Traffic};
use crate::service::RecordSink;

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
