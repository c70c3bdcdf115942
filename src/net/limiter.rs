//! The limit on clients: how many are served at the same time, in all and from one address, counted
//! over all listeners of a server.
//!
//! A [`Permit`] is one client's share of the limit. It travels with the client and is released when
//! it is dropped, so a client cannot leave without being counted out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::wakers::Wakers;
use crate::choice::choices;
use crate::session::CloseReason;

choices! {
    /// The policy for a client that finds the server full.
    pub enum WhenFull {
        /// It reads one line that says so, and the connection is closed.
        Reply = "reply",
        /// Its connection is refused: until a client leaves, the server keeps its port and does not
        /// listen.
        Refuse = "refuse",
        /// Its connection is accepted and reset.
        Reset = "reset",
        /// It waits in the accept queue until there is a permit.
        Queue = "queue",
    }
}

impl WhenFull {
    /// True if a client may not be accepted before there is a permit for it.
    fn admits_before_accept(self) -> bool {
        matches!(self, Self::Refuse | Self::Queue)
    }
}

/// The reason for which a client is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// As many clients are served as may be, or as the machine has resources for.
    Full,
    /// As many clients from its address are served as may be.
    SourceLimit,
}

impl Rejection {
    /// The close reason of a client that is rejected.
    pub fn close_reason(self) -> CloseReason {
        match self {
            Self::Full => CloseReason::Refused,
            Self::SourceLimit => CloseReason::SourceLimit,
        }
    }
}

/// The size of a limiter, and its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The most clients served at the same time, at least 1.
    pub clients: usize,
    /// The most of them from one source address, at least 1; none for any number.
    pub per_source: Option<usize>,
    /// The most connections that say busy at the same time, at least 1. Each listener may exceed it
    /// by one.
    pub rejected: usize,
    /// The policy for a client beyond the limit.
    pub when_full: WhenFull,
}

/// The limit on clients, and the only count of them.
#[derive(Debug)]
pub struct Limiter {
    capacity: Capacity,
    /// Clients that are served.
    serving: Arc<Counter>,
    /// Clients that are served, by their address, if a limit on each address is set.
    sources: Option<Arc<SourceCounts>>,
    /// Clients that are being told that they are not served.
    rejecting: Arc<Counter>,
    /// Those of them whose address has too many clients.
    rejecting_source: Arc<Counter>,
    wakers: Arc<Wakers>,
    /// See [`lock_accept`](Self::lock_accept).
    accept_lock: RwLock<()>,
}

impl Limiter {
    /// A limiter without clients. `wakers` end the waits of the listeners that it concerns.
    pub fn new(capacity: Capacity, wakers: Arc<Wakers>) -> Self {
        let Capacity { clients, per_source, rejected, when_full } = capacity;
        // A listener that waits for a permit has no event of its own.
        let listeners_wait = when_full.admits_before_accept();
        let counter = |limit, wakes: bool| Counter::new(limit, wakes.then(|| Arc::clone(&wakers)));
        let serving = Arc::new(counter(clients, listeners_wait));
        let rejecting = Arc::new(counter(rejected, true));
        let part = Counter { whole: Some(Arc::clone(&rejecting)), ..counter(rejected, false) };
        let sources = per_source.map(|limit| {
            Arc::new(SourceCounts { limit, serving: Arc::clone(&serving), table: Mutex::default() })
        });
        let rejecting_source = Arc::new(part);
        let accept_lock = RwLock::default();
        Self { capacity, serving, sources, rejecting, rejecting_source, wakers, accept_lock }
    }

    /// The number of clients that are served.
    pub fn serving(&self) -> usize {
        self.serving.get()
    }

    /// The number of clients that are being told that they are not served.
    pub fn rejecting(&self) -> usize {
        self.rejecting.get()
    }

    /// The size and the policy.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// True if as many clients are served as may be.
    pub fn is_full(&self) -> bool {
        self.serving.is_full()
    }

    /// True if one more client can be served, or told that it cannot.
    pub fn can_accept(&self) -> bool {
        !self.is_full()
            || match self.capacity.when_full {
                WhenFull::Reply => self.can_reject(), // mutant: reject-without-limit
                WhenFull::Reset => true,
                WhenFull::Refuse | WhenFull::Queue => false,
            }
    }

    /// True if one more client can be told that it is not served.
    pub fn can_reject(&self) -> bool {
        !self.rejecting.is_full()
    }

    /// True if a client that connects now stays in the accept queue.
    pub fn must_wait(&self) -> bool {
        self.capacity.when_full == WhenFull::Queue && self.is_full()
    }

    /// A permit for a client from `source` to be served, if the limits allow one more.
    pub fn try_acquire(&self, source: IpAddr) -> Result<Permit, Rejection> {
        let permit = match &self.sources {
            Some(sources) => SourceCounts::try_acquire(sources, source)?,
            None if self.serving.try_add() => Permit(Arc::clone(&self.serving)),
            None => return Err(Rejection::Full),
        };
        // Under `refuse` the other listeners must be suspended as soon as the last permit is taken.
        if self.capacity.when_full == WhenFull::Refuse && self.is_full() {
            self.wakers.wake_all();
        }
        Ok(permit)
    }

    /// A permit to be told why it is not served; it does not count as served.
    pub fn rejection(&self, rejection: Rejection) -> Permit {
        let counter = match rejection {
            Rejection::Full => &self.rejecting,
            Rejection::SourceLimit => &self.rejecting_source,
        };
        counter.add();
        Permit(Arc::clone(counter))
    }

    /// The reason of a permit to be told why it is not served; none for one to be served.
    pub fn rejection_of(&self, permit: &Permit) -> Option<Rejection> {
        if Arc::ptr_eq(&self.rejecting, &permit.0) {
            Some(Rejection::Full)
        } else {
            let too_many = Arc::ptr_eq(&self.rejecting_source, &permit.0);
            too_many.then_some(Rejection::SourceLimit)
        }
    }

    /// Locks accepting until the client is admitted. Listeners accept concurrently, unless a client
    /// may be accepted only with a permit: then no other listener may take the last one meanwhile.
    pub(super) fn lock_accept(&self) -> AcceptGuard<'_> {
        if self.capacity.when_full.admits_before_accept() {
            self.lock_accept_exclusive()
        } else {
            let guard = self.accept_lock.read().unwrap_or_else(PoisonError::into_inner);
            AcceptGuard::Shared { _guard: guard }
        }
    }

    /// Locks accepting for one listener alone: with the last permit, or with the last descriptor of
    /// the process, which another listener's accept(2) could otherwise take.
    pub(super) fn lock_accept_exclusive(&self) -> AcceptGuard<'_> {
        let guard = self.accept_lock.write().unwrap_or_else(PoisonError::into_inner);
        AcceptGuard::Exclusive { _guard: guard }
    }
}

/// The lock on accepting, held from accept(2) to the admission.
pub(super) enum AcceptGuard<'l> {
    Shared { _guard: RwLockReadGuard<'l, ()> },
    Exclusive { _guard: RwLockWriteGuard<'l, ()> },
}

/// A number of clients with a limit.
#[derive(Debug)]
struct Counter {
    limit: usize,
    count: AtomicUsize,
    /// The listeners that are woken when the count falls below the limit.
    wakers: Option<Arc<Wakers>>,
    /// The counter of these clients together with others.
    whole: Option<Arc<Counter>>,
    /// The address of these clients, and the table that has this counter.
    source: Option<(IpAddr, Arc<SourceCounts>)>,
}

impl Counter {
    fn new(limit: usize, wakers: Option<Arc<Wakers>>) -> Self {
        Self { limit, count: AtomicUsize::default(), wakers, whole: None, source: None }
    }

    /// Adds a client, if the limit allows one more.
    fn try_add(&self) -> bool {
        let more = |count| (count < self.limit).then_some(count + 1); // mutant: serve-one-too-many
        self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// Adds a client in any case.
    fn add(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        if let Some(whole) = &self.whole {
            whole.add();
        }
    }

    /// Removes a client, and returns the number of those that are left.
    fn subtract(&self) -> usize {
        let before = self.count.fetch_sub(1, Ordering::AcqRel); // mutant: keep-a-permit
        if before >= self.limit
            && let Some(wakers) = &self.wakers
        {
            wakers.wake_all();
        }
        before - 1
    }

    fn get(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    fn is_full(&self) -> bool {
        self.get() >= self.limit
    }
}

/// The clients that are served, by their source address.
#[derive(Debug)]
struct SourceCounts {
    /// The most from each address.
    limit: usize,
    /// The count of all of them.
    serving: Arc<Counter>,
    /// An address is in it while it has a client. The counts change only under the lock.
    table: Mutex<HashMap<IpAddr, Arc<Counter>>>,
}

impl SourceCounts {
    /// See [`Limiter::try_acquire`].
    fn try_acquire(this: &Arc<Self>, source: IpAddr) -> Result<Permit, Rejection> {
        // A socket for both families shows an IPv4 address as an IPv6 one.
        let source = source.to_canonical();
        let mut table = this.table.lock().unwrap_or_else(PoisonError::into_inner);
        // mutant: serve-a-source-beyond-its-limit
        if table.get(&source).is_some_and(|counter| counter.is_full()) {
            return Err(Rejection::SourceLimit);
        }
        if !this.serving.try_add() {
            return Err(Rejection::Full);
        }
        let counter = table.entry(source).or_insert_with(|| {
            Arc::new(Counter {
                whole: Some(Arc::clone(&this.serving)),
                source: Some((source, Arc::clone(this))),
                ..Counter::new(this.limit, None)
            })
        });
        counter.count.fetch_add(1, Ordering::AcqRel);
        Ok(Permit(Arc::clone(counter)))
    }

    /// Counts out a client of `counter`.
    fn release(&self, counter: &Counter, source: IpAddr) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        // mutant: keep-a-place-of-a-source
        if counter.subtract() == 0 {
            table.remove(&source);
        }
    }
}

/// One client's share of a [`Limiter`], released when dropped. It is one pointer: every idle
/// connection holds one.
#[derive(Debug)]
pub struct Permit(Arc<Counter>);

impl Drop for Permit {
    fn drop(&mut self) {
        match &self.0.source {
            Some((source, counts)) => counts.release(&self.0, *source),
            None => {
                self.0.subtract();
            }
        }
        if let Some(whole) = &self.0.whole {
            whole.subtract();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const ANN: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn limiter(when_full: WhenFull) -> Limiter {
        let capacity = Capacity { clients: 2, per_source: None, rejected: 1, when_full };
        Limiter::new(capacity, Arc::default())
    }

    #[test]
    fn a_dropped_permit_makes_room_for_the_next_client() {
        let limiter = limiter(WhenFull::Queue);
        let [first, second, third] = [(); 3].map(|()| limiter.try_acquire(ANN));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(third.unwrap_err(), Rejection::Full);
        assert!(limiter.is_full() && !limiter.can_accept());
        drop(first);
        assert_eq!((limiter.serving(), limiter.can_accept()), (1, true));
    }

    #[test]
    fn a_full_server_rejects_as_many_at_the_same_time_as_it_may() {
        let limiter = limiter(WhenFull::Reply);
        let _served = [limiter.try_acquire(ANN), limiter.try_acquire(ANN)];
        assert!(limiter.can_accept());
        let rejected = limiter.rejection(Rejection::Full);
        assert_eq!(limiter.rejection_of(&rejected), Some(Rejection::Full));
        assert!(!limiter.can_accept());
        drop(rejected);
        assert!(limiter.can_accept() && limiter.serving() == 2);
    }

    #[test]
    fn an_address_has_as_many_permits_as_it_may_have_and_leaves_nothing_behind() {
        let capacity =
            Capacity { clients: 3, per_source: Some(1), rejected: 1, when_full: WhenFull::Reply };
        let limiter = Limiter::new(capacity, Arc::default());
        let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
        let permit = limiter.try_acquire(ANN).unwrap();
        assert_eq!(limiter.rejection_of(&permit), None);
        for source in [ANN, mapped] {
            assert_eq!(limiter.try_acquire(source).unwrap_err(), Rejection::SourceLimit);
        }
        let others = ["127.0.0.2", "::1"].map(|it| limiter.try_acquire(it.parse().unwrap()));
        assert_eq!(others.each_ref().map(Result::is_ok), [true; 2]);
        assert_eq!(limiter.try_acquire("::2".parse().unwrap()).unwrap_err(), Rejection::Full);
        drop(permit);
        let again = limiter.try_acquire(mapped).unwrap();
        assert_eq!(limiter.serving(), 3);
        drop((again, others));
        assert_eq!(limiter.serving(), 0);
        assert!(limiter.sources.unwrap().table.lock().unwrap().is_empty());
    }

    #[test]
    fn a_client_whose_address_has_too_many_counts_among_the_rejected() {
        let limiter = limiter(WhenFull::Reply);
        let rejected = limiter.rejection(Rejection::SourceLimit);
        assert_eq!(limiter.rejection_of(&rejected), Some(Rejection::SourceLimit));
        assert_eq!((limiter.rejecting(), limiter.can_reject()), (1, false));
        drop(rejected);
        assert_eq!((limiter.rejecting(), limiter.can_reject()), (0, true));
    }
}
