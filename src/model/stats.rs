//! The account of all connections: how many came, how many went, and why.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::session::{CloseReason, Traffic};

/// Counts of what a server has done since its start. Every connection that was accepted is either
/// open or has exactly one reason for its end.
#[derive(Debug)]
pub(super) struct Stats {
    accepted: AtomicU64,
    /// In the order of [`CloseReason::ALL`].
    endings: [AtomicU64; CloseReason::ALL.len()],
    /// One for each loop: they do not get in each other's way.
    traffic: Vec<Arc<Traffic>>,
}

impl Stats {
    /// Nothing yet, beside this traffic.
    pub(super) fn new(traffic: Vec<Arc<Traffic>>) -> Self {
        Self { accepted: AtomicU64::default(), endings: Default::default(), traffic }
    }

    /// One more connection.
    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection has ended.
    pub(super) fn ended(&self, ending: CloseReason) {
        self.endings[ending as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// One line of `name=number` pairs, for people and scripts: `accepted=3 open=1 peer-closed=2 ...`.
impl fmt::Display for Stats {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endings = self.endings.each_ref().map(|count| count.load(Ordering::Relaxed));
        let accepted = self.accepted.load(Ordering::Relaxed);
        let open = accepted.saturating_sub(endings.iter().sum());
        write!(out, "accepted={accepted} open={open}")?;
        for (ending, count) in CloseReason::ALL.iter().zip(endings) {
            write!(out, " {}={count}", ending.name())?;
        }
        let sum = |count: fn(&Traffic) -> u64| self.traffic.iter().map(|it| count(it)).sum::<u64>();
        let messages = sum(Traffic::messages);
        let (received, sent) = (sum(Traffic::received), sum(Traffic::sent));
        write!(out, " messages={messages} received={received} sent={sent}")
    }
}
