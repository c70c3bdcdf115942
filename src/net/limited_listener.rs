//! The door: who gets in is decided here, the same for every model.
//!
//! A [`LimitedListener`] is a listener and the [`Limiter`] behind it. It accepts; its owner does with each client
//! what the [`Admission`] says, and reports who has left.
//!
//! Accepting that is accept_pending is remembered and paid when there is limiter: an edge-triggered listener
//! does not say a second time that somebody is waiting.
//!
//! When the process has no descriptor left, accept fails as long as somebody waits, and nobody can
//! be told anything. So one descriptor is held in spare_fd: a client is accepted with it, told so
//! and let go, and its descriptor is the spare_fd again.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use rustix::io::{DupFlags, dup3};

use super::accept::{AcceptError, triage};
use super::limiter::{Limiter, WhenFull};
use super::listener::{self, BindSpec};
use crate::error::cause_of;

/// How long nothing is accepted after the machine ran out of descriptors or memory. Until then
/// those who come wait in the backlog.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// How often accept may fail because of the one who came, before others have their turn.
const FAILURES_PER_ACCEPT: usize = 64;

/// What is to be done with a client that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is served.
    Serve,
    /// It is told that the server is full, and seen off.
    ReplyBusy,
    /// It is told so if that can be done at once, and let go: its descriptor is needed.
    Shed,
    /// It is reset.
    Reset,
}

/// A client, as its server knows it for as long as it is there.
#[derive(Clone, Copy, Debug)]
pub struct ClientId {
    /// Counted from 1, in the order of their coming.
    pub number: u64,
    /// What is done with it.
    pub admission: Admission,
}

/// Where clients come from, without being waited for. A test can be another one than the kernel's.
pub trait Listener {
    /// A client's connection.
    type Socket;

    /// Takes the one that has waited longest. Where it comes from is known from here: it may be
    /// gone before we could ask.
    fn accept(&self) -> io::Result<(Self::Socket, SocketAddr)>;
}

impl Listener for TcpListener {
    type Socket = TcpStream;

    fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept()
    }
}

#[derive(Debug)]
enum ListenState<L> {
    Listening(L),
    /// Until there is room again: see [`WhenFull::Refuse`].
    Suspended,
    /// For good.
    Closed,
}

/// A listener that lets in as many as there is room for.
#[derive(Debug)]
pub struct LimitedListener<L = TcpListener> {
    state: ListenState<L>,
    spec: BindSpec,
    /// Shared with the server's other doors, if it has others.
    limiter: Arc<Limiter>,
    /// Guests that came in here and are being served, or told that the server is full.
    served: usize,
    rejected: usize,
    /// Somebody may be waiting.
    accept_pending: bool,
    /// Set while the machine has no room for anyone.
    backoff_until: Option<Instant>,
    /// The last descriptor, for when there is no other.
    spare_fd: Option<File>,
    /// What is behind the spare, to make another one from.
    dev_null: File,
}

impl LimitedListener {
    /// If the door was shut and there is room again, opens it: `register` sees to it that the
    /// listener is waited for. If the room was filled through other doors, shuts this one.
    pub fn resume_listening(
        &mut self,
        now: Instant,
        register: impl FnOnce(&mut TcpListener) -> io::Result<()>,
    ) {
        self.suspend_if_full();
        if !matches!(self.state, ListenState::Suspended)
            || self.wake_at(now).is_none_or(|at| at > now)
        {
            return;
        }
        let opened = listener::listen_on(self.spec)
            .and_then(|mut listener| register(&mut listener).map(|()| listener));
        match opened {
            Ok(listener) => {
                self.state = ListenState::Listening(listener);
                self.backoff_until = None;
                self.accept_pending = true;
            }
            Err(error) => {
                self.backoff_until = Some(now + ACCEPT_BACKOFF);
                let address = self.spec.address;
                self.warn(format_args!("cannot listen again on {address}"), &error, now);
            }
        }
    }
}

impl LimitedListener {
    /// Closes the connection of a client that is let go. If it was accepted with the spare, its
    /// descriptor is the spare again, in one step: one that is free for a moment may be given to
    /// another door, and that one's client may stay.
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
    /// Opens the door that is this listener, at this place, to this room.
    pub fn new(listener: L, spec: BindSpec, limiter: Arc<Limiter>) -> io::Result<Self> {
        Ok(Self {
            state: ListenState::Listening(listener),
            spec,
            limiter,
            served: 0,
            rejected: 0,
            accept_pending: true,
            backoff_until: None,
            spare_fd: Some(dev_null()?),
            dev_null: dev_null()?,
        })
    }

    /// What to wait for, as long as the door is open.
    pub fn listener(&mut self) -> Option<&mut L> {
        match &mut self.state {
            ListenState::Listening(listener) => Some(listener),
            ListenState::Suspended | ListenState::Closed => None,
        }
    }

    /// Lets nobody in any more. Whoever is still in the accept queue is reset by the kernel.
    pub fn close(&mut self) {
        self.state = ListenState::Closed;
    }

    /// How many of the clients that came in here are being served.
    pub fn served(&self) -> usize {
        self.served
    }

    /// Whether no client that came in here is left, neither served nor being told that the server
    /// is full.
    pub fn is_empty(&self) -> bool {
        self.served + self.rejected == 0
    }

    /// The listener had an event.
    pub fn mark_readable(&mut self) {
        self.accept_pending = true;
    }

    /// When to accept again though the listener may be silent: at once while something is pending, or
    /// at the end of a pause.
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        let due = match self.state {
            ListenState::Listening(_) => self.accept_pending,
            ListenState::Suspended => true,
            ListenState::Closed => false,
        };
        (due && self.limiter.has_permit()).then(|| self.backoff_until.unwrap_or(now))
    }

    /// Accepts one client, if one is waiting and there is room to serve it or to turn it away;
    /// [`admit`](Self::admit) says which. An error means that the listener is broken.
    pub fn accept(&mut self, now: Instant) -> io::Result<Option<(L::Socket, SocketAddr)>> {
        if self.wake_at(now).is_none_or(|at| at > now) {
            return Ok(None);
        }
        self.backoff_until = None;
        self.refill_spare(now);
        for _ in 0..FAILURES_PER_ACCEPT {
            let (ListenState::Listening(listener), None) = (&self.state, self.backoff_until) else {
                break;
            };
            let strict = self.limiter.acquires_first();
            if strict && !self.limiter.try_acquire() {
                return Ok(None);
            }
            let mut accepted = {
                let _beside_others = self.limiter.accept_shared();
                listener.accept()
            };
            if let Err(error) = &accepted
                && triage(error) == AcceptError::FdLimit
                && self.may_use_spare()
            {
                self.warn(format_args!("clients are let go unserved"), error, now);
                let _exclusive = self.limiter.accept_exclusive();
                self.spare_fd = None;
                accepted = listener.accept();
                if accepted.is_err() {
                    self.spare_fd = dev_null().ok();
                }
            }
            let error = match accepted {
                Ok(accepted) => return Ok(Some(accepted)),
                Err(error) => error,
            };
            if strict {
                self.limiter.release();
            }
            match triage(&error) {
                AcceptError::Transient => {}
                AcceptError::WouldBlock => {
                    self.accept_pending = false;
                    self.refill_spare(now);
                    return Ok(None);
                }
                AcceptError::FdLimit | AcceptError::NoMemory => {
                    let served = self.limiter.served();
                    self.warn(format_args!("cannot accept, with {served} clients"), &error, now);
                    self.backoff_until = Some(now + ACCEPT_BACKOFF);
                }
                AcceptError::Fatal => return Err(error),
            }
        }
        Ok(None)
    }

    /// This client cannot be served after all: it counts as turned away.
    pub fn reject(&mut self, client: &mut ClientId) {
        self.left(client);
        client.admission = Admission::ReplyBusy;
        self.enter(client.admission);
    }

    /// This client has gone.
    pub fn left(&mut self, client: &ClientId) {
        match client.admission {
            Admission::Serve => {
                self.served -= 1;
                self.limiter.end_to_serve();
            }
            Admission::ReplyBusy => {
                self.rejected -= 1;
                self.limiter.end_to_reject();
            }
            Admission::Shed | Admission::Reset => {}
        }
        // What the client gave back may be just what the machine had run out of.
        self.backoff_until = None;
    }

    /// Judges the client that was accepted last, by who is served at this moment. To be called for
    /// every client that is accepted: there may be a place for it already.
    pub fn admit(&mut self) -> ClientId {
        let taken = self.limiter.acquires_first();
        // What was accepted with the spare_fd must go, for the spare_fd comes first of all.
        let used_spare = self.spare_fd.is_none();
        let admission = match self.limiter.when_full() {
            WhenFull::Reply if used_spare => Admission::Shed,
            _ if used_spare => Admission::Reset,
            _ if taken || self.limiter.try_acquire() => Admission::Serve,
            WhenFull::Reply => Admission::ReplyBusy,
            WhenFull::Refuse | WhenFull::Reset | WhenFull::Queue => Admission::Reset,
        };
        if used_spare && taken {
            self.limiter.release();
        }
        self.enter(admission);
        self.suspend_if_full();
        ClientId { number: self.limiter.next_number(), admission }
    }

    fn enter(&mut self, admission: Admission) {
        match admission {
            Admission::Serve => {
                self.served += 1;
                self.limiter.begin_to_serve();
            }
            Admission::ReplyBusy => {
                self.rejected += 1;
                self.limiter.begin_to_reject();
            }
            Admission::Shed | Admission::Reset => {}
        }
    }

    /// See [`WhenFull::Refuse`].
    fn suspend_if_full(&mut self) {
        let refuse = self.limiter.when_full() == WhenFull::Refuse && self.limiter.is_full();
        if refuse && matches!(self.state, ListenState::Listening(_)) {
            self.state = ListenState::Suspended;
        }
    }

    /// Whether a client that cannot be served may be let go at once, by means of the spare.
    fn may_use_spare(&self) -> bool {
        self.spare_fd.is_some() && self.limiter.when_full() != WhenFull::Queue
    }

    /// Takes a descriptor back into spare. Where even that one is gone, nobody is accepted for a
    /// while.
    fn refill_spare(&mut self, now: Instant) {
        if self.spare_fd.is_none() {
            self.spare_fd = dev_null().ok();
            if self.spare_fd.is_none() {
                self.accept_pending = true;
                self.backoff_until = Some(now + ACCEPT_BACKOFF);
            }
        }
    }

    /// Tells of the machine's trouble: a line a second at most, for all that goes wrong, and
    /// for those who are turned away.
    pub fn warn(&self, what: std::fmt::Arguments<'_>, error: &io::Error, now: Instant) {
        if self.limiter.log_allowance.allow(now) {
            log::warn!("{what}: {}", cause_of(error));
        }
    }
}

/// A descriptor to have one; what is behind it does not matter.
fn dev_null() -> io::Result<File> {
    File::open("/dev/null")
}
