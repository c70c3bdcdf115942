//! Settings that all connections of a load have in common.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::schedule::Schedule;
use super::workload::Workload;

/// Settings that all connections of a load have in common.
#[derive(Debug)]
pub struct ClientSettings {
    /// The requests, and the replies that must come back.
    pub workload: Arc<Workload>,
    /// The most requests in flight on a connection, at least 1.
    pub pipeline: usize,
    /// The times at which requests are due; none in a closed loop.
    pub schedule: Option<Schedule>,
    /// True if each request has a connection of its own.
    pub reconnect: bool,
    /// The time after which a reply is missing.
    pub timeout: Duration,
    /// The first sign that the server is of another kind than the load is for, as a sentence.
    pub hint: OnceLock<String>,
}

impl ClientSettings {
    /// Notes a sign, and tells it at once, unless there has been one.
    #[cold]
    pub(super) fn give_hint(&self, hint: &str) {
        if self.hint.set(hint.to_owned()).is_ok() {
            log::warn!("{hint}");
        }
    }
}
