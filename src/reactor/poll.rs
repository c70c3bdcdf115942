//! The kernel of the model `poll`: poll(2), which is level-triggered. It reports a socket for as
//! long as the socket is ready, and has to be told all of them in every wait.
//!
//! The [`Readiness`] of a connection turns levels into the hints that the reactor knows. A hint
//! stays in it until a call was refused or came back short, so a wait asks for nothing but what a
//! connection has no hint of. What it then reports is a hint that was missing, and the same level
//! is not reported twice. A socket that has all hints, such as one that was reset, is not in the
//! wait: poll(2) would report its end again and again.

use std::io;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Poll as Epoll, Registry, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::compute::{Compute, ComputeThread};
use super::kernel::{self, Calls, EVENTS_PER_TURN, Event, Kernel, SystemKernel, clock};
use crate::drive::ready::{Readable, Readiness};

/// poll(2) for the sockets of connections and for one descriptor more: an epoll that has the other
/// sources (a listener, signals, a waker), which are few, and the same under every model.
#[derive(Debug)]
pub struct Poll {
    sources: Epoll,
    source_events: Events,
    /// The tokens of the sockets in a wait, in its order.
    tokens: Vec<Token>,
    events: Vec<Event>,
    compute: ComputeThread,
}

impl SystemKernel for Poll {
    const CALLS: Calls = Calls { wait: "poll", register: None };

    fn new() -> io::Result<Self> {
        Ok(Self {
            sources: Epoll::new()?,
            source_events: Events::with_capacity(EVENTS_PER_TURN),
            tokens: Vec::new(),
            events: Vec::new(),
            compute: ComputeThread::default(),
        })
    }

    fn registry(&self) -> &Registry {
        self.sources.registry()
    }

    fn socket(socket: TcpStream, _: u64) -> TcpStream {
        socket
    }
}

impl Kernel for Poll {
    type Socket = TcpStream;

    /// Nothing is to be done: each wait names its sockets.
    fn register(&mut self, _: &mut TcpStream, _: Token) -> io::Result<()> {
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.wait_for(timeout, std::iter::empty())
    }

    fn wait_for<'s>(
        &mut self,
        timeout: Option<Duration>,
        connections: impl Iterator<Item = (Token, &'s TcpStream, Readiness)>,
    ) -> io::Result<()> {
        self.events.clear();
        self.tokens.clear();
        let sources = self.sources.registry();
        let mut watched = vec![PollFd::new(sources, PollFlags::IN)];
        for (token, socket, ready) in connections {
            let missing = missing(ready);
            if !missing.is_empty() {
                self.tokens.push(token);
                watched.push(PollFd::new(socket, missing));
            }
        }
        let timeout = timeout.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        let mut left = poll(&mut watched, timeout.as_ref())?;
        let (source, sockets) = watched.split_first().expect("the first is the epoll");
        let source_is_ready = !source.revents().is_empty();
        left -= usize::from(source_is_ready);
        for (&token, socket) in self.tokens.iter().zip(sockets) {
            if left == 0 {
                break;
            }
            if !socket.revents().is_empty() {
                left -= 1;
                self.events.push(Event { token, ready: hint(socket.revents()) });
            }
        }
        if source_is_ready {
            self.sources.poll(&mut self.source_events, Some(Duration::ZERO))?;
            let sources = self.source_events.iter();
            self.events.extend(
                sources.map(|event| Event { token: event.token(), ready: kernel::hint(event) }),
            );
        }
        Ok(())
    }

    #[inline]
    fn events(&self) -> impl Iterator<Item = Event> {
        self.events.iter().copied()
    }

    fn now(&self) -> Instant {
        clock()
    }

    fn compute(&mut self) -> Option<&mut impl Compute> {
        self.compute.started(self.sources.registry()).ok()
    }
}

/// The events that would add to this readiness. After an end of input, only the hang-up does.
fn missing(ready: Readiness) -> PollFlags {
    let mut flags = PollFlags::empty();
    if ready.readable == Readable::No {
        flags |= PollFlags::IN | PollFlags::PRI | PollFlags::RDHUP;
    }
    if !ready.writable {
        flags |= PollFlags::OUT;
    }
    flags
}

/// The readiness that an event reports: see the same function of epoll.
fn hint(flags: PollFlags) -> Readiness {
    let broken = flags.intersects(PollFlags::ERR | PollFlags::HUP);
    let readable = if broken || flags.intersects(PollFlags::RDHUP | PollFlags::PRI) {
        Readable::UntilBlock
    } else if flags.contains(PollFlags::IN) {
        Readable::UntilShort
    } else {
        Readable::No
    };
    Readiness { readable, writable: broken || flags.contains(PollFlags::OUT) }
}
