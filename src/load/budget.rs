//! The number of requests of a load.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The number of requests that may still be sent, if it is limited.
///
/// All threads of a load take from the same one. Equal shares would be used up at different times,
/// because threads differ in the number of their connections, and connections in their servers.
#[derive(Debug, Default)]
pub struct Budget(Option<AtomicU64>);

impl Budget {
    /// A budget of `requests`, or without a limit.
    pub fn new(requests: Option<u64>) -> Self {
        Self(requests.map(AtomicU64::new))
    }

    /// Takes up to `wanted` requests. Returns the number taken.
    #[inline]
    pub(super) fn take(&self, wanted: u64) -> u64 {
        let Some(left) = &self.0 else { return wanted };
        let rest = |left: u64| Some(left.saturating_sub(wanted));
        let before = left.fetch_update(Relaxed, Relaxed, rest).expect("there is always a rest");
        before.min(wanted)
    }

    /// The number of requests left, if it is limited.
    #[inline]
    pub(super) fn left(&self) -> Option<u64> {
        self.0.as_ref().map(|left| left.load(Relaxed))
    }
}
