//! What the loop asks of the operating system: to wait, and to say what time it is. [`Mio`] is the
//! real one; a test can be another, with time in its hands.

use std::io;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::drive::Socket;
use crate::drive::ready::{Readable, Readiness};

/// The events taken from the kernel in one turn; more wait for the next.
const EVENTS_PER_TURN: usize = 1024;

/// What the kernel said of a source: a hint, which may come late, twice, or for no reason.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Under which the source was registered.
    pub token: Token,
    /// What can be done with it.
    pub ready: Readiness,
}

/// A kernel with edge-triggered readiness: it speaks of a socket once after each change, not for as
/// long as something can be done with it.
pub trait Kernel {
    /// A connection that it knows.
    type Socket: Socket;

    /// From now on the events of both directions of `socket` bear this token.
    fn register(&mut self, socket: &mut Self::Socket, token: Token) -> io::Result<()>;

    /// Waits for events, but no longer than `timeout`. An error means that there are none.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// The events that the last wait brought.
    fn events(&self) -> impl Iterator<Item = Event>;

    /// The time.
    fn now(&self) -> Instant;
}

/// The kernel that this program runs on.
#[derive(Debug)]
pub struct Mio {
    pub(super) poll: Poll,
    events: Events,
}

impl Mio {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { poll: Poll::new()?, events: Events::with_capacity(EVENTS_PER_TURN) })
    }
}

impl Kernel for Mio {
    type Socket = TcpStream;

    fn register(&mut self, socket: &mut TcpStream, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        // Miri knows no urgent data.
        let interest = if cfg!(miri) { interest } else { interest | Interest::PRIORITY };
        self.poll.registry().register(socket, token, interest)
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.poll.poll(&mut self.events, timeout).inspect_err(|_| self.events.clear())
    }

    #[inline]
    fn events(&self) -> impl Iterator<Item = Event> {
        self.events.iter().map(|event| Event { token: event.token(), ready: hint(event) })
    }

    #[expect(clippy::disallowed_methods, reason = "the loop's clock: read once a turn, passed on")]
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// What an event says of a socket. After a reset there may still be something to receive, and then
/// the error: so an error is an invitation to receive.
#[inline]
fn hint(event: &mio::event::Event) -> Readiness {
    let broken = event.is_error();
    let readable = if event.is_read_closed() || event.is_priority() || broken {
        Readable::UntilBlock
    } else if event.is_readable() {
        Readable::UntilShort
    } else {
        Readable::No
    };
    Readiness { readable, writable: event.is_writable() || event.is_write_closed() || broken }
}
