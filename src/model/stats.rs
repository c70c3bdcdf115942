//! The counters of a server: clients accepted, clients by close reason, and traffic.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::choice::Choice;
use crate::net::limiter::{Limiter, Permit};
use crate::net::rate_limit::RateLimit;
use crate::session::{CloseReason, Traffic};

/// The log target of the line of counters, which is logged at every log level.
pub const COUNTERS: &str = "counters";

/// A client with a connection, for as long as it has one. Dropping it releases the permit; a client
/// that leaves is handed to [`Stats::left`].
///
/// Every idle connection holds one, in 16 bytes.
#[derive(Debug)]
pub(super) struct Client {
    /// The client's number in the log, counted from 1 in the order of acceptance.
    pub(super) number: u64,
    pub(super) permit: Permit,
}

const _: () = assert!(size_of::<Client>() == 16);

/// Counters since the start of a server. Every connection that was accepted is either open or has
/// exactly one reason for its end.
#[derive(Debug)]
pub(super) struct Stats {
    accepted: AtomicU64,
    /// In the order of [`CloseReason::ALL`].
    close_reasons: [AtomicU64; CloseReason::ALL.len()],
    limiter: Arc<Limiter>,
    /// One for each loop: they share no cache line.
    traffic: Vec<Arc<Traffic>>,
    /// True if the log has lines about clients. It is asked once: the line of counters keeps the
    /// log's maximum at Info, so that each question would be compared with all its filters.
    logs_clients: bool,
    /// The allowances for lines about clients that connect, and that leave.
    connected_lines: RateLimit,
    left_lines: RateLimit,
}

/// The most lines in a second about clients that connect, and as many about clients that leave.
const LINES_PER_SECOND: u32 = 100;

impl Stats {
    /// Counters at 0, with the traffic of every loop.
    pub(super) fn new(limiter: Arc<Limiter>, traffic: Vec<Arc<Traffic>>) -> Self {
        Self {
            accepted: AtomicU64::default(),
            close_reasons: Default::default(),
            limiter,
            traffic,
            logs_clients: log::log_enabled!(log::Level::Info),
            connected_lines: RateLimit::new(LINES_PER_SECOND),
            left_lines: RateLimit::new(LINES_PER_SECOND),
        }
    }

    /// Counts a connection that was accepted, and returns its number.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Logs a client that is served from now on. `waited`: it was in the accept queue while the
    /// server was full.
    pub(super) fn connected(&self, number: u64, address: SocketAddr, waited: bool) {
        if self.logs_clients
            && let Some(suppressed) = self.connected_lines.allow_counted(clock())
        {
            let serving = self.limiter.serving();
            let waited = if waited { ", after it waited in the accept queue" } else { "" };
            let more = not_logged(suppressed);
            log::info!("client {number} connected from {address} ({serving} now){waited}{more}");
        }
    }

    /// Counts and logs a client that has left. Its permit is released before its socket is closed:
    /// a client that sees the end of its connection and connects again finds a permit free.
    pub(super) fn left(&self, client: Client, reason: CloseReason) {
        let Client { number, permit } = client;
        let rejection = self.limiter.rejection_of(&permit);
        drop(permit);
        if let Some(rejection) = rejection {
            let reason = rejection.close_reason();
            self.ended(reason);
            log::debug!("client {number} left: {reason}");
            return;
        }
        self.ended(reason);
        if self.logs_clients
            && let Some(suppressed) = self.left_lines.allow_counted(clock())
        {
            let (serving, more) = (self.limiter.serving(), not_logged(suppressed));
            log::info!("client {number} left: {reason} ({serving} now){more}");
        }
    }

    /// Counts the end of a connection.
    pub(super) fn ended(&self, reason: CloseReason) {
        self.close_reasons[reason as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// The end of a log line that stands for events which were not logged.
pub(super) fn not_logged(suppressed: u64) -> String {
    if suppressed == 0 { String::new() } else { format!(" (and {suppressed} before it)") }
}

#[expect(clippy::disallowed_methods, reason = "the log's edge: clients leave in any thread")]
fn clock() -> Instant {
    Instant::now()
}

/// One line of `name=number` pairs, for people and scripts: `accepted=3 open=1 peer-closed=2 ...`.
impl fmt::Display for Stats {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.close_reasons.each_ref().map(|count| count.load(Ordering::Relaxed));
        let accepted = self.accepted.load(Ordering::Relaxed);
        let open = accepted.saturating_sub(counts.iter().sum());
        write!(out, "accepted={accepted} open={open}")?;
        for (reason, count) in CloseReason::ALL.iter().zip(counts) {
            write!(out, " {}={count}", reason.name())?;
        }
        let sum = |count: fn(&Traffic) -> u64| self.traffic.iter().map(|it| count(it)).sum::<u64>();
        let messages = sum(Traffic::messages);
        let (received, sent) = (sum(Traffic::received), sum(Traffic::sent));
        write!(out, " messages={messages} received={received} sent={sent}")
    }
}
