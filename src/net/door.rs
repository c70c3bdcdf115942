//! The door: who gets in is decided here, the same for every model.
//!
//! A [`Door`] is a listener and the [`Room`] behind it. It accepts; its owner does with each guest
//! what the [`Verdict`] says, and reports who has left.
//!
//! Accepting that is owed is remembered and paid when there is room: an edge-triggered listener
//! does not say a second time that somebody is waiting.
//!
//! When the process has no descriptor left, accept fails as long as somebody waits, and nobody can
//! be told anything. So one descriptor is held in reserve: a client is accepted with it, told so
//! and let go, and its descriptor is the reserve again.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use rustix::io::{DupFlags, dup3};

use super::accept::{Trouble, triage};
use super::failure::cause_of;
use super::listener::{self, Place};
use super::room::{Room, WhenFull};

/// How long nothing is accepted after the machine ran out of descriptors or memory. Until then
/// those who come wait in the backlog.
const PAUSE: Duration = Duration::from_millis(100);

/// How often accept may fail because of the one who came, before others have their turn.
const FAILURES_PER_ACCEPT: usize = 64;

/// What is to be done with a client that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is served.
    Admitted,
    /// It is told that the server is full, and seen off.
    TurnedAway,
    /// It is told so if that can be done at once, and let go: its descriptor is needed.
    Dismissed,
    /// It is reset.
    Reset,
}

/// A client, as its server knows it for as long as it is there.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    /// Counted from 1, in the order of their coming.
    pub number: u64,
    /// What is done with it.
    pub verdict: Verdict,
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
enum Leaf<L> {
    Open(L),
    /// Until there is room again: see [`WhenFull::Refuse`].
    Shut,
    /// For good.
    Closed,
}

/// A listener that lets in as many as there is room for.
#[derive(Debug)]
pub struct Door<L = TcpListener> {
    leaf: Leaf<L>,
    place: Place,
    /// Shared with the server's other doors, if it has others.
    room: Arc<Room>,
    /// Guests that came in here and are being served, or told that the server is full.
    served: usize,
    turned_away: usize,
    /// Somebody may be waiting.
    owed: bool,
    /// Set while the machine has no room for anyone.
    paused_until: Option<Instant>,
    /// The last descriptor, for when there is no other.
    reserve: Option<File>,
    /// What is behind the reserve, to make another one from.
    nothing: File,
}

impl Door {
    /// If the door was shut and there is room again, opens it: `register` sees to it that the
    /// listener is waited for. If the room was filled through other doors, shuts this one.
    pub fn reopen(
        &mut self,
        now: Instant,
        register: impl FnOnce(&mut TcpListener) -> io::Result<()>,
    ) {
        self.shut_if_due();
        if !matches!(self.leaf, Leaf::Shut) || self.wake_at(now).is_none_or(|at| at > now) {
            return;
        }
        let opened = listener::listen_on(self.place)
            .and_then(|mut listener| register(&mut listener).map(|()| listener));
        match opened {
            Ok(listener) => {
                self.leaf = Leaf::Open(listener);
                self.paused_until = None;
                self.owed = true;
            }
            Err(error) => {
                self.paused_until = Some(now + PAUSE);
                let address = self.place.address;
                self.warn(format_args!("cannot listen again on {address}"), &error, now);
            }
        }
    }
}

impl Door {
    /// Closes the connection of a guest that is let go. If it was accepted with the reserve, its
    /// descriptor is the reserve again, in one step: one that is free for a moment may be given to
    /// another door, and that one's client may stay.
    pub fn let_go(&mut self, socket: TcpStream) {
        if self.reserve.is_none() {
            let mut descriptor = OwnedFd::from(socket);
            if dup3(&self.nothing, &mut descriptor, DupFlags::CLOEXEC).is_ok() {
                self.reserve = Some(descriptor.into());
            }
        }
    }
}

impl<L: Listener> Door<L> {
    /// Opens the door that is this listener, at this place, to this room.
    pub fn new(listener: L, place: Place, room: Arc<Room>) -> io::Result<Self> {
        Ok(Self {
            leaf: Leaf::Open(listener),
            place,
            room,
            served: 0,
            turned_away: 0,
            owed: true,
            paused_until: None,
            reserve: Some(reserve()?),
            nothing: reserve()?,
        })
    }

    /// What to wait for, as long as the door is open.
    pub fn listener(&mut self) -> Option<&mut L> {
        match &mut self.leaf {
            Leaf::Open(listener) => Some(listener),
            Leaf::Shut | Leaf::Closed => None,
        }
    }

    /// Lets nobody in any more. Whoever is still in the accept queue is reset by the kernel.
    pub fn close(&mut self) {
        self.leaf = Leaf::Closed;
    }

    /// How many of the clients that came in here are being served.
    pub fn served(&self) -> usize {
        self.served
    }

    /// Whether no guest that came in here is left, neither served nor being told that the server
    /// is full.
    pub fn is_empty(&self) -> bool {
        self.served + self.turned_away == 0
    }

    /// The listener had an event.
    pub fn knocked(&mut self) {
        self.owed = true;
    }

    /// When to accept again though the listener may be silent: at once while something is owed, or
    /// at the end of a pause.
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        let due = match self.leaf {
            Leaf::Open(_) => self.owed,
            Leaf::Shut => true,
            Leaf::Closed => false,
        };
        (due && self.room.has_place()).then(|| self.paused_until.unwrap_or(now))
    }

    /// Accepts one client, if one is waiting and there is room to serve it or to turn it away;
    /// [`admit`](Self::admit) says which. An error means that the listener is broken.
    pub fn accept(&mut self, now: Instant) -> io::Result<Option<(L::Socket, SocketAddr)>> {
        if self.wake_at(now).is_none_or(|at| at > now) {
            return Ok(None);
        }
        self.paused_until = None;
        self.restock(now);
        for _ in 0..FAILURES_PER_ACCEPT {
            let (Leaf::Open(listener), None) = (&self.leaf, self.paused_until) else { break };
            let strict = self.room.is_strict();
            if strict && !self.room.take() {
                return Ok(None);
            }
            let mut accepted = {
                let _beside_others = self.room.beside_others();
                listener.accept()
            };
            if let Err(error) = &accepted
                && triage(error) == Trouble::Descriptors
                && self.can_squeeze()
            {
                self.warn(format_args!("clients are let go unserved"), error, now);
                let _alone = self.room.alone();
                self.reserve = None;
                accepted = listener.accept();
                if accepted.is_err() {
                    self.reserve = reserve().ok();
                }
            }
            let error = match accepted {
                Ok(accepted) => return Ok(Some(accepted)),
                Err(error) => error,
            };
            if strict {
                self.room.give_back();
            }
            match triage(&error) {
                Trouble::Peer => {}
                Trouble::Nobody => {
                    self.owed = false;
                    self.restock(now);
                    return Ok(None);
                }
                Trouble::Descriptors | Trouble::Machine => {
                    let served = self.room.served();
                    self.warn(format_args!("cannot accept, with {served} clients"), &error, now);
                    self.paused_until = Some(now + PAUSE);
                }
                Trouble::Listener => return Err(error),
            }
        }
        Ok(None)
    }

    /// This guest cannot be served after all: it counts as turned away.
    pub fn turn_away(&mut self, guest: &mut Guest) {
        self.left(guest);
        guest.verdict = Verdict::TurnedAway;
        self.enter(guest.verdict);
    }

    /// This guest has gone.
    pub fn left(&mut self, guest: &Guest) {
        match guest.verdict {
            Verdict::Admitted => {
                self.served -= 1;
                self.room.end_to_serve();
            }
            Verdict::TurnedAway => {
                self.turned_away -= 1;
                self.room.end_to_turn_away();
            }
            Verdict::Dismissed | Verdict::Reset => {}
        }
        // What the guest gave back may be just what the machine had run out of.
        self.paused_until = None;
    }

    /// Judges the client that was accepted last, by who is served at this moment. To be called for
    /// every client that is accepted: there may be a place for it already.
    pub fn admit(&mut self) -> Guest {
        let taken = self.room.is_strict();
        // What was accepted with the reserve must go, for the reserve comes first of all.
        let squeezed = self.reserve.is_none();
        let verdict = match self.room.when_full() {
            WhenFull::Reply if squeezed => Verdict::Dismissed,
            _ if squeezed => Verdict::Reset,
            _ if taken || self.room.take() => Verdict::Admitted,
            WhenFull::Reply => Verdict::TurnedAway,
            WhenFull::Refuse | WhenFull::Reset | WhenFull::Queue => Verdict::Reset,
        };
        if squeezed && taken {
            self.room.give_back();
        }
        self.enter(verdict);
        self.shut_if_due();
        Guest { number: self.room.next_number(), verdict }
    }

    fn enter(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Admitted => {
                self.served += 1;
                self.room.begin_to_serve();
            }
            Verdict::TurnedAway => {
                self.turned_away += 1;
                self.room.begin_to_turn_away();
            }
            Verdict::Dismissed | Verdict::Reset => {}
        }
    }

    /// See [`WhenFull::Refuse`].
    fn shut_if_due(&mut self) {
        let refuse = self.room.when_full() == WhenFull::Refuse && self.room.is_full();
        if refuse && matches!(self.leaf, Leaf::Open(_)) {
            self.leaf = Leaf::Shut;
        }
    }

    /// Whether a client that cannot be served may be let go at once, by means of the reserve.
    fn can_squeeze(&self) -> bool {
        self.reserve.is_some() && self.room.when_full() != WhenFull::Queue
    }

    /// Takes a descriptor back into reserve. Where even that one is gone, nobody is accepted for a
    /// while.
    fn restock(&mut self, now: Instant) {
        if self.reserve.is_none() {
            self.reserve = reserve().ok();
            if self.reserve.is_none() {
                self.owed = true;
                self.paused_until = Some(now + PAUSE);
            }
        }
    }

    /// Tells of the machine's trouble: a line a second at most, for all that goes wrong, and
    /// for those who are turned away.
    pub fn warn(&self, what: std::fmt::Arguments<'_>, error: &io::Error, now: Instant) {
        if self.room.pace.step(now) {
            log::warn!("{what}: {}", cause_of(error));
        }
    }
}

/// A descriptor to have one; what is behind it does not matter.
fn reserve() -> io::Result<File> {
    File::open("/dev/null")
}
