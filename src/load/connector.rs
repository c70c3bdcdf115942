//! Nonblocking connects: a connection is handed out when it is made, and not before.
//!
//! A connect to this machine is usually over when the system call returns. The others wait in a
//! poll of their own. For a readiness loop that is a [`Source`](mio::event::Source), readable when
//! one of them has made progress.
//!
//! A Unix socket whose accept queue is full refuses a nonblocking connect with `EAGAIN` (unix(7)),
//! and reports nothing when there is room: such a connect is tried again every [`RETRY_QUEUED`].

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use rustix::io::Errno;
use socket2::{SockAddr, SockRef, Socket, Type};

use crate::net::address;

/// The events that are taken from the kernel in one call.
const EVENTS: usize = 64;

/// The time after which a connect is tried again that found the accept queue of a Unix socket full.
const RETRY_QUEUED: Duration = Duration::from_millis(1);

/// Connects to one address. `D` is the owner's data of an attempt; it comes back with the outcome.
pub(super) struct Connector<D> {
    address: SockAddr,
    /// The longest time for a connect.
    timeout: Duration,
    poll: Poll,
    events: Events,
    /// The connects in progress, oldest first.
    attempts: BTreeMap<usize, Attempt<D>>,
    /// The time at which those that found the accept queue full are tried again.
    retry_at: Option<Instant>,
    /// The token of the next attempt.
    next: usize,
}

/// A connect in progress.
struct Attempt<D> {
    stream: TcpStream,
    started_at: Instant,
    /// True if the accept queue was full: connect(2) has not begun.
    queued: bool,
    data: D,
}

/// The end of a connect.
pub(super) struct Connected<D> {
    pub(super) data: D,
    pub(super) started_at: Instant,
    pub(super) result: io::Result<TcpStream>,
}

impl<D> Connector<D> {
    pub(super) fn new(address: SockAddr, timeout: Duration) -> io::Result<Self> {
        Ok(Self {
            address,
            timeout,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            attempts: BTreeMap::new(),
            retry_at: None,
            next: 0,
        })
    }

    /// The address that it connects to.
    pub(super) fn address(&self) -> &SockAddr {
        &self.address
    }

    /// The number of connects in progress.
    pub(super) fn len(&self) -> usize {
        self.attempts.len()
    }

    /// The time by which [`finished`](Self::finished) has something to return.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (_, oldest) = self.attempts.first_key_value()?;
        Some(self.retry_at.into_iter().fold(oldest.started_at + self.timeout, Instant::min))
    }

    /// Starts a connect. Returns its end if that came at once.
    pub(super) fn start(&mut self, data: D, started_at: Instant) -> Option<Connected<D>> {
        let result = match self.open() {
            Ok((stream, Progress::Made)) => Ok(stream),
            Ok((_, Progress::Failed(error))) | Err(error) => Err(error),
            Ok((mut stream, progress)) => match self.register(&mut stream) {
                Err(error) => Err(error),
                Ok(token) => {
                    let queued = matches!(progress, Progress::Queued);
                    if queued {
                        self.retry_at.get_or_insert(started_at + RETRY_QUEUED);
                    }
                    let attempt = Attempt { stream, started_at, queued, data };
                    self.attempts.insert(token, attempt);
                    return None;
                }
            },
        };
        Some(Connected { data, started_at, result })
    }

    /// A new socket, and how far its connect came at once.
    fn open(&self) -> io::Result<(TcpStream, Progress)> {
        let socket = Socket::new(self.address.domain(), Type::STREAM.nonblocking(), None)?;
        // On Linux the calls of a TcpStream are those of any stream socket.
        let stream = TcpStream::from_std(socket.into());
        let progress = connect(&stream, &self.address);
        Ok((stream, progress))
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
                    Some(Progress::Pending | Progress::Queued) | None => continue,
                };
                finished.push(self.finish(token, result));
            }
            self.wait(now, now)?;
            if self.events.is_empty() {
                break;
            }
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_queued(now, &mut finished);
        }
        while let Some((&token, oldest)) = self.attempts.first_key_value()
            && now >= oldest.started_at + self.timeout
        {
            finished.push(self.finish(token, Err(io::ErrorKind::TimedOut.into())));
        }
        Ok(finished)
    }

    /// Tries the connects again that found the accept queue full, oldest first, until one finds it
    /// full again.
    fn retry_queued(&mut self, now: Instant, finished: &mut Vec<Connected<D>>) {
        self.retry_at = None;
        let queued = self.attempts.iter().filter(|(_, attempt)| attempt.queued);
        for token in queued.map(|(&token, _)| token).collect::<Vec<_>>() {
            let result = match connect(&self.attempts[&token].stream, &self.address) {
                Progress::Made => Ok(()),
                Progress::Failed(error) => Err(error),
                Progress::Pending | Progress::Queued => {
                    self.retry_at = Some(now + RETRY_QUEUED);
                    return;
                }
            };
            finished.push(self.finish(token, result));
        }
    }

    fn finish(&mut self, token: usize, result: io::Result<()>) -> Connected<D> {
        let attempt = self.attempts.remove(&token).expect("the connect is in progress");
        let Attempt { mut stream, started_at, data, .. } = attempt;
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
    /// The accept queue of a Unix socket is full.
    Queued,
}

/// Starts the connect of a socket.
fn connect(stream: &TcpStream, address: &SockAddr) -> Progress {
    match SockRef::from(stream).connect(address) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && address.is_unix() => {
            Progress::Queued
        }
        Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => {
            Progress::Failed(error)
        }
        _ => progress(stream),
    }
}

/// The state of a connect, as connect(2) and getpeername(2) have it: a socket has a peer from the
/// handshake on, and the error that ended the connect until it is taken.
fn progress(stream: &TcpStream) -> Progress {
    match SockRef::from(stream).peer_addr() {
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
    use std::net::SocketAddr;

    use socket2::Domain;

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
        let end = |address: SocketAddr| {
            let now = Instant::now();
            let timeout = Duration::from_secs(60);
            let mut connector = Connector::new(address.into(), timeout).unwrap();
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
        let mut connector = Connector::new(address, timeout).unwrap();
        assert!(connector.start("dropped", now).is_none());
        assert!(connector.finished(now).unwrap().is_empty());
        assert_eq!(connector.deadline(), Some(now + timeout));
        let late = connector.finished(now + timeout).unwrap().pop().unwrap();
        assert_eq!(late.result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!((late.data, connector.len()), ("dropped", 0));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
    fn a_connect_waits_for_room_in_the_accept_queue_of_a_unix_socket() {
        let path = std::env::temp_dir().join(format!("socklab-queue-{}", std::process::id()));
        let address = SockAddr::unix(&path).unwrap();
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&address).unwrap();
        listener.listen(0).unwrap();
        let now = Instant::now();
        let mut connector = Connector::new(address, Duration::from_secs(60)).unwrap();
        assert!(connector.start(1, now).unwrap().result.is_ok(), "one fits into the queue");
        assert!(connector.start(2, now).is_none());
        assert_eq!(connector.deadline(), Some(now + RETRY_QUEUED));
        let later = now + RETRY_QUEUED;
        assert!(connector.finished(later).unwrap().is_empty(), "nobody has accepted");
        listener.accept().unwrap();
        let made = connector.finished(later + RETRY_QUEUED).unwrap().pop().unwrap();
        assert!(made.data == 2 && made.result.is_ok());
        assert_eq!(connector.deadline(), None);
        std::fs::remove_file(&path).unwrap();
    }
}
