//! The loop's interface to the operating system: waiting for events, and the clock. [`Mio`] and
//! [`Poll`](super::Poll) are real implementations; tests have another, with virtual time.

use std::io;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};

use super::compute::{Compute, ComputeThread};
use crate::drive::Socket;
use crate::drive::ready::{Readable, Readiness};

/// The most events taken from the kernel in one turn; others wait for the next.
pub(super) const EVENTS_PER_TURN: usize = 1024;

/// An event of a socket or another source. It is a hint: it may be late, repeated, or spurious.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The token under which the source was registered.
    pub token: Token,
    /// The readiness that the event reports.
    pub ready: Readiness,
}

/// A kernel with edge-triggered readiness: it reports a socket once after each change, not for as
/// long as the socket is ready (epoll(7)). One that is level-triggered asks about a socket only for
/// what has been refused since, which comes to the same.
pub trait Kernel {
    /// The socket of a connection.
    type Socket: Socket;

    /// Registers `socket` for events of both directions, under `token`.
    fn register(&mut self, socket: &mut Self::Socket, token: Token) -> io::Result<()>;

    /// Waits for events for at most `timeout`, or without limit if that is `None`. After an error
    /// there are no events.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// Waits in the same way. `connections` are all that are registered, with the readiness that
    /// they have already: a kernel with level-triggered readiness asks for the rest.
    #[inline]
    fn wait_for<'s>(
        &mut self,
        timeout: Option<Duration>,
        connections: impl Iterator<Item = (Token, &'s Self::Socket, Readiness)>,
    ) -> io::Result<()>
    where
        Self::Socket: 's,
    {
        drop(connections);
        self.wait(timeout)
    }

    /// The events of the last wait.
    fn events(&self) -> impl Iterator<Item = Event>;

    /// The current time.
    fn now(&self) -> Instant;

    /// The place where heavy messages are computed. Where there is none, or it cannot be had, the
    /// loop computes them itself.
    fn compute(&mut self) -> Option<&mut impl Compute> {
        None::<&mut ComputeThread>
    }
}

/// The names of the system calls of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    /// The wait.
    pub wait: &'static str,
    /// The registration of a socket; none if it takes no call.
    pub register: Option<&'static str>,
}

/// A kernel of the operating system, with a registry for the sources that are no connections.
pub trait SystemKernel: Kernel<Socket: Send> + Send + Sized {
    /// The names of its system calls.
    const CALLS: Calls;

    /// A kernel that has nothing to wait for.
    fn new() -> io::Result<Self>;

    /// The registry for other sources, edge-triggered, under the tokens of
    /// [`Source`](super::Source).
    fn registry(&self) -> &Registry;

    /// The socket of the client with this number, as this kernel takes it.
    fn socket(socket: TcpStream, client: u64) -> Self::Socket;
}

/// The kernel of the operating system: epoll on Linux.
#[derive(Debug)]
pub struct Mio {
    poll: Poll,
    events: Events,
    compute: ComputeThread,
}

impl SystemKernel for Mio {
    const CALLS: Calls = Calls { wait: "epoll_wait", register: Some("epoll_ctl") };

    fn new() -> io::Result<Self> {
        let events = Events::with_capacity(EVENTS_PER_TURN);
        Ok(Self { poll: Poll::new()?, events, compute: ComputeThread::default() })
    }

    fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    fn socket(socket: TcpStream, _: u64) -> TcpStream {
        socket
    }
}

impl Kernel for Mio {
    type Socket = TcpStream;

    fn register(&mut self, socket: &mut TcpStream, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        // Miri does not support urgent data.
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

    fn now(&self) -> Instant {
        clock()
    }

    fn compute(&mut self) -> Option<&mut impl Compute> {
        self.compute.started(self.poll.registry()).ok()
    }
}

#[expect(clippy::disallowed_methods, reason = "the loop's clock: read once a turn, passed on")]
pub(super) fn clock() -> Instant {
    Instant::now()
}

/// The readiness that an event reports. An error counts as readable: after a reset there may be
/// data to receive, and receiving also returns the error.
#[inline]
pub(super) fn hint(event: &mio::event::Event) -> Readiness {
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
