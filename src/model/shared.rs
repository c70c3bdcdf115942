//! The state that the loops of a server share.

use std::sync::Arc;

use super::shutdown::Shutdown;
use super::stats::Stats;
use crate::net::limiter::{Capacity, Limiter};
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
}

impl Shared {
    pub(super) fn new(capacity: Capacity, traffic: Vec<Arc<Traffic>>) -> Self {
        let loops = traffic.len();
        let wakers = Arc::<Wakers>::default();
        let limiter = Arc::new(Limiter::new(capacity, Arc::clone(&wakers)));
        Self {
            stats: Arc::new(Stats::new(Arc::clone(&limiter), traffic)),
            limiter,
            shutdown: Shutdown::new(loops, Arc::clone(&wakers)),
            wakers,
            log_limit: Arc::default(),
        }
    }
}
