//! What all connections of a load have in common.

use std::time::{Duration, Instant};

use super::schedule::Schedule;
use super::workload::Workload;

/// What all connections of a load have in common.
#[derive(Debug)]
pub struct ClientSettings {
    /// What is asked.
    pub workload: Workload,
    /// The most requests in flight on a connection, at least 1.
    pub pipeline: usize,
    /// When requests are due; none in a closed loop.
    pub schedule: Option<Schedule>,
    /// Whether each request has a connection of its own.
    pub reconnect: bool,
    /// How long a reply is waited for.
    pub timeout: Duration,
    /// The time, given that of the loop's turn: a turn that serves many connections takes longer
    /// than a fast server's reply, so a load reads the clock itself. A test returns what it gets.
    pub clock: fn(Instant) -> Instant,
}
