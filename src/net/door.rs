//! The door: who gets in is decided here, the same for every model.
//!
//! A [`Door`] is a listener, a capacity, and what to do when the house is full. It accepts; its
//! owner serves the admitted, tells the others that the server is busy, and reports who has left.
//!
//! Accepting that is owed is remembered and paid when there is room: an edge-triggered listener
//! does not say a second time that somebody is waiting.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};

use super::accept::{Trouble, triage};

/// How long nothing is accepted after the machine ran out of descriptors or memory. Until then
/// those who come wait in the backlog.
const PAUSE: Duration = Duration::from_millis(100);

/// What happens to a client that finds the server full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is told so, in one line, and the connection ends.
    Reply,
    /// It waits, unaccepted, until there is room. That is what a small backlog really does.
    Queue,
}

/// How many there may be, and what then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The most clients served at once, at least 1.
    pub clients: usize,
    /// The most clients that are being told at once that the server is full, at least 1.
    pub turned_away: usize,
    /// What happens to one client more.
    pub when_full: WhenFull,
}

/// A client, as its server knows it.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    /// Counted from 1, in the order of their coming.
    pub number: u64,
    /// As accept returned it: a client may be gone before we could ask.
    pub address: SocketAddr,
    /// Whether it is served, or told that the server is full.
    pub admitted: bool,
}

/// A listener that lets in as many as there is room for.
#[derive(Debug)]
pub struct Door {
    /// None once the door is closed for good.
    listener: Option<TcpListener>,
    capacity: Capacity,
    /// Guests that are being served, and guests that are being told that the server is full.
    served: usize,
    turned_away: usize,
    /// How many have come in all.
    count: u64,
    /// Somebody may be waiting.
    owed: bool,
    /// Set while the machine has no room for anyone.
    paused_until: Option<Instant>,
    /// The trouble was logged; not again before nobody is waiting any more.
    complained: bool,
}

impl Door {
    /// Opens the door that is this listener.
    pub fn new(listener: TcpListener, capacity: Capacity) -> Self {
        Self {
            listener: Some(listener),
            capacity,
            served: 0,
            turned_away: 0,
            count: 0,
            owed: true,
            paused_until: None,
            complained: false,
        }
    }

    /// What to wait for, as long as the door is open.
    pub fn listener(&mut self) -> Option<&mut TcpListener> {
        self.listener.as_mut()
    }

    /// Lets nobody in any more. Whoever is still in the accept queue is reset by the kernel.
    pub fn close(&mut self) {
        self.listener = None;
    }

    /// How many clients are being served.
    pub fn served(&self) -> usize {
        self.served
    }

    /// Whether no guest is left, neither served nor being told that the server is full.
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
        (self.owed && self.has_room()).then(|| self.paused_until.unwrap_or(now))
    }

    /// Accepts one client, if one is waiting and there is room to serve it or to turn it away.
    /// An error means that the listener is broken.
    pub fn accept(&mut self, now: Instant) -> io::Result<Option<(TcpStream, Guest)>> {
        if self.wake_at(now).is_none_or(|at| at > now) {
            return Ok(None);
        }
        self.paused_until = None;
        while let Some(listener) = &self.listener {
            let error = match listener.accept() {
                Ok((socket, address)) => return Ok(Some((socket, self.admit(address)))),
                Err(error) => error,
            };
            match triage(&error) {
                Trouble::Peer => {}
                Trouble::Nobody => {
                    self.owed = false;
                    self.complained = false;
                    return Ok(None);
                }
                Trouble::Machine => {
                    self.pause(&error, now);
                    return Ok(None);
                }
                Trouble::Listener => return Err(error),
            }
        }
        Ok(None)
    }

    /// This guest cannot be served after all: it counts as turned away.
    pub fn turn_away(&mut self, guest: &mut Guest) {
        self.left(guest);
        self.turned_away += 1;
        guest.admitted = false;
    }

    /// This guest has gone.
    pub fn left(&mut self, guest: &Guest) {
        if guest.admitted {
            self.served -= 1;
        } else {
            self.turned_away -= 1;
        }
        // What the guest gave back may be just what the machine had run out of.
        self.paused_until = None;
    }

    fn has_room(&self) -> bool {
        self.served < self.capacity.clients
            || self.capacity.when_full == WhenFull::Reply
                && self.turned_away < self.capacity.turned_away
    }

    fn admit(&mut self, address: SocketAddr) -> Guest {
        let admitted = self.served < self.capacity.clients;
        if admitted {
            self.served += 1;
        } else {
            self.turned_away += 1;
        }
        self.count += 1;
        Guest { number: self.count, address, admitted }
    }

    fn pause(&mut self, error: &io::Error, now: Instant) {
        self.paused_until = Some(now + PAUSE);
        if !self.complained {
            self.complained = true;
            let served = self.served;
            log::warn!("cannot accept for now, with {served} clients: {error}");
        }
    }
}
