//! Nonblocking connects: a connection is handed out when it is made, and not before.
//!
//! A connect to this machine is usually over when the system call returns. The others wait in a
//! poll of their own. For a readiness loop that is a [`Source`](mio::event::Source), readable when
//! one of them has made progress.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};

use crate::net::address;

/// The events that are taken from the kernel in one call.
const EVENTS: usize = 64;

/// Connects to one address. `D` is the owner's data of an attempt; it comes back with the outcome.
pub(super) struct Connector<D> {
    address: SocketAddr,
    /// The longest time for a connect.
    timeout: Duration,
    poll: Poll,
    events: Events,
    /// The connects in progress, oldest first.
    attempts: BTreeMap<usize, Attempt<D>>,
    /// The token of the next attempt.
    next: usize,
}

/// A connect in progress.
struct Attempt<D> {
    stream: TcpStream,
    started_at: Instant,
    data: D,
}

/// The end of a connect.
pub(super) struct Connected<D> {
    pub(super) data: D,
    pub(super) started_at: Instant,
    pub(super) result: io::Result<TcpStream>,
}

impl<D> Connector<D> {
    pub(super) fn new(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        Ok(Self {
            address,
            timeout,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            attempts: BTreeMap::new(),
            next: 0,
        })
    }

    /// The number of connects in progress.
    pub(super) fn len(&self) -> usize {
        self.attempts.len()
    }

    /// The time by which [`finished`](Self::finished) has something to return.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (_, oldest) = self.attempts.first_key_value()?;
        Some(oldest.started_at + self.timeout)
    }

    /// Starts a connect. Returns its end if that came at once.
    pub(super) fn start(&mut self, data: D, started_at: Instant) -> Option<Connected<D>> {
        let result = match TcpStream::connect(self.address) {
            Err(error) => Err(error),
            Ok(mut stream) => match progress(&stream) {
                Progress::Made => Ok(stream),
                Progress::Failed(error) => Err(error),
                Progress::Pending => match self.register(&mut stream) {
                    Err(error) => Err(error),
                    Ok(token) => {
                        self.attempts.insert(token, Attempt { stream, started_at, data });
                        return None;
                    }
                },
            },
        };
        Some(Connected { data, started_at, result })
    }

    fn register(&mut self, stream: &mut TcpStream) -> io::Result<usize> {
        let token = self.next;
        self.poll.registry().register(stream, Token(token), Interest::WRITABLE)?;
        self.next += 1;
        Ok(token)
    }

    /// Waits until a connect has made progress, or `until` has come.
    pub(super) fn wait(&mut self, until: Instant, now: Instant) -> io::Result<()> {
        let timeout = until.saturating_duration_since(now);
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    /// The connects that have ended, those that have taken too long by `now` among them. All events
    /// are looked at first: a connect that succeeded while nobody looked is not late.
    pub(super) fn finished(&mut self, now: Instant) -> io::Result<Vec<Connected<D>>> {
        let mut finished = Vec::new();
        loop {
            // The events of a wait come first.
            let tokens: Vec<_> = self.events.iter().map(|event| event.token().0).collect();
            for token in tokens {
                let result = match self.attempts.get(&token).map(|it| progress(&it.stream)) {
                    Some(Progress::Made) => Ok(()),
                    Some(Progress::Failed(error)) => Err(error),
                    // A hint without a cause.
                    Some(Progress::Pending) | None => continue,
                };
                finished.push(self.finish(token, result));
            }
            self.wait(now, now)?;
            if self.events.is_empty() {
                break;
            }
        }
        while let Some((&token, oldest)) = self.attempts.first_key_value()
            && now >= oldest.started_at + self.timeout
        {
            finished.push(self.finish(token, Err(io::ErrorKind::TimedOut.into())));
        }
        Ok(finished)
    }

    fn finish(&mut self, token: usize, result: io::Result<()>) -> Connected<D> {
        let attempt = self.attempts.remove(&token).expect("the connect is in progress");
        let Attempt { mut stream, started_at, data } = attempt;
        // The owner registers the socket elsewhere.
        let released = self.poll.registry().deregister(&mut stream);
        Connected { data, started_at, result: result.and(released).map(|()| stream) }
    }
}

impl<D> mio::event::Source for Connector<D> {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        SourceFd(&self.poll.as_raw_fd()).register(registry, token, interests)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        SourceFd(&self.poll.as_raw_fd()).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.poll.as_raw_fd()).deregister(registry)
    }
}

/// The state of a connect.
enum Progress {
    Made,
    Failed(io::Error),
    Pending,
}

/// The state of a connect, as connect(2) and getpeername(2) have it: a socket has a peer from the
/// handshake on, and the error that ended the connect until it is taken.
fn progress(stream: &TcpStream) -> Progress {
    match stream.peer_addr() {
        Ok(_) => match address::refuse_self_connection(stream) {
            Ok(()) => Progress::Made,
            Err(error) => Progress::Failed(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotConnected => match stream.take_error() {
            Ok(None) => Progress::Pending,
            Ok(Some(error)) | Err(error) => Progress::Failed(error),
        },
        Err(error) => Progress::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    fn socket() -> Socket {
        Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()
    }

    /// A socket that is connected to itself, and its address.
    fn connected_to_itself() -> (TcpStream, SocketAddr) {
        let socket = socket();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let address = socket.local_addr().unwrap();
        socket.connect(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        (TcpStream::from_std(socket.into()), address.as_socket().unwrap())
    }

    #[test]
    fn a_connection_to_itself_is_refused_and_its_port_is_free_again() {
        let (stream, address) = connected_to_itself();
        let Progress::Failed(error) = progress(&stream) else { panic!("not refused") };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        drop(stream);
        // SO_REUSEADDR is not set, so a socket in TIME-WAIT would be in the way.
        socket().bind(&address.into()).unwrap();
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn a_connect_ends_with_a_connection_or_an_error() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let end = |address| {
            let now = Instant::now();
            let timeout = Duration::from_secs(60);
            let mut connector = Connector::new(address, timeout).unwrap();
            connector.start(7, now).unwrap_or_else(|| {
                connector.wait(now + timeout, now).unwrap();
                connector.finished(now).unwrap().pop().unwrap()
            })
        };
        let made = end(address);
        assert_eq!((made.data, made.result.unwrap().peer_addr().unwrap()), (7, address));
        drop(listener);
        let failed = end(address);
        assert_eq!(failed.result.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    /// The accept queue is full, so the kernel drops the SYN.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
    fn a_connect_that_takes_too_long_has_timed_out() {
        let listener = socket();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let queued = socket();
        queued.connect(&address).unwrap();
        let now = Instant::now();
        let timeout = Duration::from_secs(60);
        let mut connector = Connector::new(address.as_socket().unwrap(), timeout).unwrap();
        assert!(connector.start("dropped", now).is_none());
        assert!(connector.finished(now).unwrap().is_empty());
        assert_eq!(connector.deadline(), Some(now + timeout));
        let late = connector.finished(now + timeout).unwrap().pop().unwrap();
        assert_eq!(late.result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!((late.data, connector.len()), ("dropped", 0));
    }
}
