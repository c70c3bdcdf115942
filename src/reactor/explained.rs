//! The decorator of a kernel that tells each of its calls, for `serve --explain`. The sockets of
//! its connections are decorated as well, and the loop knows nothing of it.

use std::io;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Registry, Token};

use super::source::Source;
use super::{Calls, Computation, Compute, Event, Kernel, SystemKernel};
use crate::drive::explained::Explained as ExplainedSocket;
use crate::drive::ready::{Readable, Readiness};
use crate::error::errno;
use crate::explain::{self, TARGET};
use crate::session::Session;

/// The most events of one wait that are told; more are counted.
const EVENTS_TOLD: usize = 8;

/// A kernel whose calls are told.
#[derive(Debug)]
pub struct Explained<K> {
    kernel: K,
    calls: Calls,
    /// The client of each connection, by its key.
    clients: Vec<u64>,
    /// True if the last wait was interrupted: the next belongs to the same turn.
    interrupted: bool,
}

impl<K: Kernel> Explained<K> {
    /// Decorates a kernel that makes these calls.
    pub fn with(kernel: K, calls: Calls) -> Self {
        Self { kernel, calls, clients: Vec::new(), interrupted: false }
    }

    /// The thread of a kernel that computes.
    fn inner(&mut self) -> &mut impl Compute {
        self.kernel.compute().expect("a kernel that has computed goes on")
    }

    /// The words for what the last wait has brought.
    fn outcome(&self, timeout: Option<Duration>) -> String {
        let mut events: Vec<_> = self.kernel.events().map(|event| self.words(event)).collect();
        if events.is_empty() {
            return match timeout {
                Some(Duration::ZERO) => "no event; it did not wait".to_owned(),
                _ => "no event; the time is over: a timer is due".to_owned(),
            };
        }
        let more = events.len().saturating_sub(EVENTS_TOLD);
        events.truncate(EVENTS_TOLD);
        if more > 0 {
            events.push(format!("{more} more events"));
        }
        events.join("; ")
    }

    fn words(&self, event: Event) -> String {
        let source = [Source::Listener, Source::Signals, Source::Waker, Source::Computed];
        let text = match source.into_iter().find(|source| source.token() == event.token) {
            Some(Source::Listener) if event.ready.readable > Readable::UntilShort => {
                "the listener has been shut down"
            }
            Some(Source::Listener) => "the listener is readable: somebody connects",
            Some(Source::Signals) => "a signal has come",
            Some(Source::Waker) => "a worker or another loop has news, or SIGCONT has come",
            Some(Source::Computed) => "a heavy message is computed",
            None => {
                let client = self.clients.get(event.token.0).copied().unwrap_or_default();
                return format!("client {client}'s socket is {}", readiness(event.ready));
            }
        };
        text.to_owned()
    }
}

/// The words for what an event reports.
fn readiness(ready: Readiness) -> String {
    let readable = match ready.readable {
        Readable::No => None,
        Readable::UntilShort => Some("readable"),
        Readable::UntilBlock | Readable::UntilBlockThenEof => {
            Some("readable to its end (FIN, RST or urgent data)")
        }
    };
    let writable = ready.writable.then_some("writable");
    readable.into_iter().chain(writable).collect::<Vec<_>>().join(" and ")
}

impl<K: SystemKernel<Socket = TcpStream>> SystemKernel for Explained<K> {
    const CALLS: Calls = K::CALLS;

    fn new() -> io::Result<Self> {
        K::new().map(|kernel| Self::with(kernel, K::CALLS))
    }

    fn registry(&self) -> &Registry {
        self.kernel.registry()
    }

    fn socket(socket: TcpStream, client: u64) -> Self::Socket {
        ExplainedSocket::new(socket, client)
    }
}

impl<K: Kernel<Socket = TcpStream>> Kernel for Explained<K> {
    type Socket = ExplainedSocket<TcpStream>;

    fn register(&mut self, socket: &mut Self::Socket, token: Token) -> io::Result<()> {
        let client = socket.client();
        self.clients.resize(self.clients.len().max(token.0 + 1), 0);
        self.clients[token.0] = client;
        self.kernel.register(socket.inner_mut(), token)?;
        if let Some(call) = self.calls.register {
            log::debug!(target: TARGET, "{call}: client {client}'s socket is watched from now on");
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.wait_for(timeout, std::iter::empty())
    }

    fn wait_for<'s>(
        &mut self,
        timeout: Option<Duration>,
        connections: impl Iterator<Item = (Token, &'s Self::Socket, Readiness)>,
    ) -> io::Result<()> {
        let call = self.calls.wait;
        if !self.interrupted {
            explain::begin_turn();
        }
        if timeout != Some(Duration::ZERO) {
            let limit = explain::limit(timeout);
            log::debug!(target: TARGET, "{call}: nothing to do; waits for an event{limit}");
        }
        let connections = connections.map(|(token, socket, ready)| (token, socket.inner(), ready));
        let waited = self.kernel.wait_for(timeout, connections);
        self.interrupted = waited.is_err();
        let outcome = match &waited {
            Ok(()) => self.outcome(timeout),
            Err(error) => format!("{}: a signal interrupted it; it is made again", errno(error)),
        };
        log::debug!(target: TARGET, "{call}: {outcome}");
        waited
    }

    fn events(&self) -> impl Iterator<Item = Event> {
        self.kernel.events()
    }

    fn now(&self) -> Instant {
        self.kernel.now()
    }

    fn compute(&mut self) -> Option<&mut impl Compute> {
        self.kernel.compute().is_some().then_some(self)
    }
}

impl<K: Kernel<Socket = TcpStream>> Compute for Explained<K> {
    fn begin(&mut self, computation: Computation) {
        let client = computation.session.client();
        log::debug!(target: TARGET, "client {client}'s message is heavy: a thread computes it");
        self.inner().begin(computation);
    }

    fn finished(&mut self) -> Option<Session> {
        self.inner().finished()
    }

    fn finish(&mut self) -> Session {
        self.inner().finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::net::TcpListener;

    use super::*;
    use crate::explain::capture::lines;
    use crate::reactor::Mio;

    /// A kernel whose waits have these outcomes.
    struct Script {
        waits: VecDeque<io::Result<Vec<Event>>>,
        events: Vec<Event>,
    }

    impl Kernel for Script {
        type Socket = TcpStream;

        fn register(&mut self, _: &mut TcpStream, _: Token) -> io::Result<()> {
            Ok(())
        }

        fn wait(&mut self, _: Option<Duration>) -> io::Result<()> {
            self.events = self.waits.pop_front().unwrap()?;
            Ok(())
        }

        fn events(&self) -> impl Iterator<Item = Event> {
            self.events.iter().copied()
        }

        fn now(&self) -> Instant {
            Mio::new().unwrap().now()
        }
    }

    #[test]
    fn each_wait_tells_what_it_waits_for_and_what_it_has_brought() {
        let event =
            |token, readable, writable| Event { token, ready: Readiness { readable, writable } };
        let source = |source: Source| event(source.token(), Readable::No, false);
        let client = event(Token(2), Readable::UntilShort, true);
        let waits = [
            Ok(vec![client, source(Source::Listener)]),
            Ok(vec![event(Token(2), Readable::UntilBlock, false); EVENTS_TOLD + 3]),
            Err(rustix::io::Errno::INTR.into()),
            Ok(vec![event(Source::Listener.token(), Readable::UntilBlock, true)]),
            Ok(vec![]),
            Ok(vec![]),
        ];
        let script = Script { waits: waits.into(), events: Vec::new() };
        let mut kernel = Explained::with(script, Mio::CALLS);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut socket = ExplainedSocket::new(socket, 9);
        let told = lines(|| {
            kernel.register(&mut socket, Token(2)).unwrap();
            kernel.wait(None).unwrap();
            kernel.wait(Some(Duration::from_millis(25))).unwrap();
            kernel.wait(Some(Duration::ZERO)).unwrap_err();
            kernel.wait(Some(Duration::ZERO)).unwrap();
            kernel.wait(Some(Duration::ZERO)).unwrap();
            kernel.wait(Some(Duration::from_secs(2))).unwrap();
        });
        let end = "client 9's socket is readable to its end (FIN, RST or urgent data); ";
        let expected = [
            "epoll_ctl: client 9's socket is watched from now on",
            "epoll_wait: nothing to do; waits for an event",
            "epoll_wait: client 9's socket is readable and writable; the listener is readable: \
             somebody connects",
            "epoll_wait: nothing to do; waits for an event, for at most 25 ms",
            &format!("epoll_wait: {}3 more events", end.repeat(EVENTS_TOLD)),
            "epoll_wait: EINTR: a signal interrupted it; it is made again",
            "epoll_wait: the listener has been shut down",
            "epoll_wait: no event; it did not wait",
            "epoll_wait: nothing to do; waits for an event, for at most 2 s",
            "epoll_wait: no event; the time is over: a timer is due",
        ];
        assert_eq!(told, expected);
    }
}
