//! The state that the loops of a server share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::shutdown::Shutdown;
use super::stats::{Stats, not_logged};
use crate::net::limiter::{Capacity, Limiter, Rejection};
use crate::net::rate_limit::RateLimit;
use crate::net::wakers::Wakers;
use crate::session::Traffic;

/// The state that the loops of a server share.
pub(super) struct Shared {
    pub(super) limiter: Arc<Limiter>,
    pub(super) stats: Arc<Stats>,
    pub(super) shutdown: Shutdown,
    pub(super) wakers: Arc<Wakers>,
    pub(super) log_limit: Arc<RateLimit>,
    /// Set once a signal has asked for the shutdown.
    pub(super) stop_came: Arc<AtomicBool>,
}

impl Shared {
    pub(super) fn new(
        capacity: Capacity,
        traffic: Vec<Arc<Traffic>>,
        stop_came: Arc<AtomicBool>,
    ) -> Self {
        let loops = traffic.len();
        let wakers = Arc::<Wakers>::default();
        let limiter = Arc::new(Limiter::new(capacity, Arc::clone(&wakers)));
        Self {
            stats: Arc::new(Stats::new(Arc::clone(&limiter), traffic)),
            limiter,
            shutdown: Shutdown::new(loops, Arc::clone(&wakers)),
            wakers,
            log_limit: Arc::default(),
            stop_came,
        }
    }

    /// Logs a client that is not served.
    pub(super) fn log_rejected(
        &self,
        number: u64,
        address: SocketAddr,
        rejection: Rejection,
        now: Instant,
    ) {
        if let Some(suppressed) = self.log_limit.allow_counted(now) {
            let (reason, more) = (rejection.close_reason(), not_logged(suppressed));
            log::info!("client {number} from {address} rejected: {reason}{more}");
        }
    }

    /// Logs a client that stays in the accept queue because the server is full.
    pub(super) fn log_waiting(&self, now: Instant) {
        if let Some(suppressed) = self.log_limit.allow_counted(now) {
            let more = not_logged(suppressed);
            log::info!("the server is full: a client waits in the accept queue{more}");
        }
    }
}
