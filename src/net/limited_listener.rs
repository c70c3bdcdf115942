//! A listening socket with a limit on clients: every model accepts and admits through it.
//!
//! [`LimitedListener::accept`] returns a connection together with its [`Admission`], the permit
//! inside. A client that waits while the limit is reached is remembered: an edge-triggered listener
//! does not report the same connection twice.
//!
//! A process without a free descriptor cannot accept, and accept(2) fails with `EMFILE` for as long
//! as a client waits, so a loop would spin. One descriptor is therefore kept in reserve (the libev
//! documentation describes the technique): it is closed, the client is accepted with it and told
//! that the server is full, and the client's descriptor becomes the reserve.

use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use rustix::io::{DupFlags, dup3};

use super::accept::{AcceptError, Accepted, Admission, triage};
use super::limiter::{AcceptGuard, Limiter, Rejection, WhenFull};
use super::listener::{BindSpec, Listener};
use super::rate_limit::RateLimit;
use crate::error::errno;
use crate::explain::TARGET;

/// The time without an accept after the machine ran out of descriptors or memory. Clients wait in
/// the accept queue meanwhile.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// The most connections that may fail in one accept before other connections are served.
const FAILURES_PER_ACCEPT: usize = 64;

/// The state of the listening socket.
#[derive(Debug)]
enum ListenState<L> {
    Open {
        socket: L,
        /// False until there is a permit again: see [`WhenFull::Refuse`].
        listens: bool,
    },
    Closed,
}

/// The accept queue, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AcceptQueue {
    /// Nobody waits. The next client has an event.
    Empty,
    /// A client has been accepted since the last event: look before the next accept.
    Unknown,
    /// A client is expected: accept without a look.
    Expecting,
}

/// A listener that accepts as many clients as its limiter allows.
#[derive(Debug)]
pub struct LimitedListener<L = TcpListener> {
    state: ListenState<L>,
    spec: BindSpec,
    /// Shared with the other listeners of the server, if it has any.
    limiter: Arc<Limiter>,
    log_limit: Arc<RateLimit>,
    queue: AcceptQueue,
    /// The end of the back-off while the machine has no resources for a client.
    backoff_until: Option<Instant>,
    /// The descriptor in reserve; none while a client that was accepted with it is open.
    spare_fd: Option<File>,
    /// The file behind the spare descriptor, to make another one from.
    dev_null: File,
}

impl LimitedListener {
    /// Closes a connection that is not served. If it was accepted with the spare descriptor,
    /// dup3(2) makes its descriptor the spare one in a single step: a descriptor that is free in
    /// between might be given to another listener's client.
    pub fn close_into_spare(&mut self, socket: TcpStream) {
        if self.spare_fd.is_none() {
            let mut descriptor = OwnedFd::from(socket);
            if dup3(&self.dev_null, &mut descriptor, DupFlags::CLOEXEC).is_ok() {
                self.spare_fd = Some(descriptor.into());
            }
        }
    }
}

impl<L: Listener> LimitedListener<L> {
    /// A listener that is bound as `spec` says.
    pub fn new(
        listener: L,
        spec: BindSpec,
        limiter: Arc<Limiter>,
        log_limit: Arc<RateLimit>,
    ) -> io::Result<Self> {
        Ok(Self {
            state: ListenState::Open { socket: listener, listens: true },
            spec,
            limiter,
            log_limit,
            queue: AcceptQueue::Expecting,
            backoff_until: None,
            spare_fd: Some(dev_null()?),
            dev_null: dev_null()?,
        })
    }

    /// The listening socket, until it is closed.
    pub fn listener(&mut self) -> Option<&mut L> {
        match &mut self.state {
            ListenState::Open { socket, .. } => Some(socket),
            ListenState::Closed => None,
        }
    }

    /// Listens again if the listener was suspended and there is a permit; suspends it if another
    /// listener has taken the last permit.
    pub fn resume_listening(&mut self, now: Instant) {
        self.suspend_if_full(now);
        let due = self.is_due(now);
        let ListenState::Open { socket, listens } = &mut self.state else { return };
        if *listens || !due {
            return;
        }
        match socket.resume(self.spec.backlog) {
            Ok(()) => {
                *listens = true;
                self.backoff_until = None;
                self.queue = AcceptQueue::Expecting;
            }
            Err(error) => {
                self.backoff_until = Some(now + ACCEPT_BACKOFF);
                let what = format_args!("cannot listen again on {}", self.spec.address);
                self.log_limit.warn(what, &error, now);
            }
        }
    }

    /// Closes the listener. The kernel resets the connections in its accept queue.
    pub fn close(&mut self) {
        self.state = ListenState::Closed;
    }

    /// True after [`close`](Self::close).
    pub fn is_closed(&self) -> bool {
        matches!(self.state, ListenState::Closed)
    }

    /// Notes an event of the listening socket.
    pub fn mark_readable(&mut self) {
        self.queue = AcceptQueue::Expecting;
    }

    /// Ends a back-off: a client has left, and may have freed what the machine had run out of.
    pub fn end_backoff(&mut self) {
        self.backoff_until = None;
    }

    /// The time of the next accept, whether or not the listener has an event by then: `now` while a
    /// client may wait, or the end of a back-off.
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        let pending = match self.state {
            // mutant: forget-pending-accepts
            ListenState::Open { listens: true, .. } => self.queue != AcceptQueue::Empty,
            ListenState::Open { listens: false, .. } => true,
            ListenState::Closed => false,
        };
        // mutant: wake-without-permits
        (pending && self.limiter.can_accept()).then(|| self.backoff_until.unwrap_or(now))
    }

    /// Accepts one client, if one waits and can be served or rejected. An error means that the
    /// listener is broken.
    ///
    /// `reap` is called between accept(2) and the admission. It must drop the permits of clients
    /// that have left: a client that saw its connection closed, and connects again, finds its
    /// permit free.
    pub fn accept(
        &mut self,
        now: Instant,
        reap: impl FnOnce(),
    ) -> io::Result<Option<Accepted<L::Socket>>> {
        if !self.is_due(now) {
            return Ok(None);
        }
        self.backoff_until = None;
        self.refill_spare(now);
        let limiter = Arc::clone(&self.limiter);
        for _ in 0..FAILURES_PER_ACCEPT {
            if self.backoff_until.is_some() {
                break;
            }
            if self.queue == AcceptQueue::Unknown && self.nobody_waits() {
                self.mark_empty(now);
                break;
            }
            let (accepted, guard) = self.accept_guarded(&limiter, now);
            match accepted {
                Ok(None) => break,
                Ok(Some((socket, address))) => {
                    self.queue = AcceptQueue::Unknown;
                    reap();
                    let admission = self.admit(address.ip());
                    drop(guard);
                    self.suspend_if_full(now);
                    // mutant: accept-one-an-event
                    return Ok(Some(Accepted { socket, address, admission }));
                }
                Err(error) => {
                    drop(guard);
                    if !self.may_try_again(error, now)? {
                        break;
                    }
                }
            }
        }
        Ok(None)
    }

    /// Calls accept(2), with the spare descriptor if there is no other. None means that the limit
    /// was reached meanwhile. The guard must be held until the client is admitted.
    fn accept_guarded<'l>(
        &mut self,
        limiter: &'l Limiter,
        now: Instant,
    ) -> (io::Result<Option<SocketAndPeer<L>>>, AcceptGuard<'l>) {
        let mut guard = limiter.lock_accept();
        let listener = match &self.state {
            ListenState::Open { socket, listens: true } if limiter.can_accept() => socket,
            _ => return (Ok(None), guard),
        };
        let mut accepted = listener.accept();
        if let Err(error) = &accepted
            && triage(error) == AcceptError::FdLimit
            && self.spare_fd.is_some()
            && limiter.capacity().when_full != WhenFull::Queue
        {
            let what = format_args!("out of descriptors: rejecting clients");
            self.log_limit.warn(what, error, now);
            drop(guard);
            guard = limiter.lock_accept_exclusive();
            self.spare_fd = None;
            accepted = listener.accept();
            if accepted.is_err() {
                self.spare_fd = dev_null().ok();
            }
        }
        (accepted.map(Some), guard)
    }

    /// Decides about the client that was accepted last.
    fn admit(&self, source: IpAddr) -> Admission {
        let when_full = self.limiter.capacity().when_full;
        // A client that has the spare descriptor is closed: without a spare no client could be
        // rejected any more.
        if self.spare_fd.is_none() {
            let shed = when_full == WhenFull::Reply;
            return if shed { Admission::Shed } else { Admission::Reset }(Rejection::Full);
        }
        let rejection = match self.limiter.try_acquire(source) {
            Ok(permit) => return Admission::Serve(permit),
            Err(rejection) => rejection,
        };
        match (when_full, rejection) {
            (WhenFull::Refuse | WhenFull::Reset, _) | (WhenFull::Queue, Rejection::Full) => {
                Admission::Reset(rejection)
            }
            // A server that is not full does not wait until it may reject one more.
            (_, Rejection::SourceLimit) if !self.limiter.can_reject() => Admission::Shed(rejection),
            _ => Admission::ReplyBusy(self.limiter.rejection(rejection), rejection),
        }
    }

    /// Handles an error of accept(2). Returns true if the next client may be accepted immediately.
    fn may_try_again(&mut self, error: io::Error, now: Instant) -> io::Result<bool> {
        match triage(&error) {
            AcceptError::Transient => return Ok(true),
            AcceptError::WouldBlock => {
                log::debug!(target: TARGET, "accept: nobody waits ({})", errno(&error));
                self.mark_empty(now);
            }
            AcceptError::FdLimit | AcceptError::NoMemory => {
                let serving = self.limiter.serving();
                let what = format_args!("cannot accept, with {serving} clients");
                self.log_limit.warn(what, &error, now);
                self.backoff_until = Some(now + ACCEPT_BACKOFF); // mutant: accept-without-backoff
            }
            AcceptError::Fatal => return Err(error),
        }
        Ok(false)
    }

    /// Looks whether the accept queue is empty.
    fn nobody_waits(&self) -> bool {
        let ListenState::Open { socket, listens: true } = &self.state else { return false };
        let empty = socket.is_empty();
        if empty {
            log::debug!(target: TARGET, "poll of the listener: nobody else waits");
        }
        empty
    }

    fn mark_empty(&mut self, now: Instant) {
        self.queue = AcceptQueue::Empty; // mutant: accept-after-refusal
        self.refill_spare(now);
    }

    fn is_due(&self, now: Instant) -> bool {
        self.wake_at(now).is_some_and(|at| at <= now)
    }

    /// See [`WhenFull::Refuse`].
    fn suspend_if_full(&mut self, now: Instant) {
        let refuse = self.limiter.capacity().when_full == WhenFull::Refuse;
        if refuse
            && self.limiter.is_full()
            && let ListenState::Open { socket, listens } = &mut self.state
            && *listens
        {
            match socket.suspend() {
                Ok(()) => *listens = false,
                // Clients wait in the accept queue until the next attempt, or until one leaves.
                Err(error) => self.log_limit.warn(format_args!("cannot refuse"), &error, now),
            }
        }
    }

    /// Opens the spare descriptor again. If none is free for it, a back-off begins.
    fn refill_spare(&mut self, now: Instant) {
        if self.spare_fd.is_none() {
            self.spare_fd = dev_null().ok();
            if self.spare_fd.is_none() {
                self.queue = AcceptQueue::Unknown;
                self.backoff_until = Some(now + ACCEPT_BACKOFF);
            }
        }
    }
}

/// A connection as accept(2) returns it.
type SocketAndPeer<L> = (<L as Listener>::Socket, SocketAddr);

/// A descriptor of a file that is never used.
fn dev_null() -> io::Result<File> {
    File::open("/dev/null")
}
