//! A client of a grading: it connects, sends exact bytes, receives until a reply is whole, and
//! keeps what was exchanged as evidence.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::now;
use crate::escape;
use crate::net::address::refuse_self_connection;

/// The silence that ends a reply which has no newline. A server that sends a reply in two parts
/// with Nagle's algorithm waits for our acknowledgement of the first, at most 40 ms.
pub(super) const GAP: Duration = Duration::from_millis(60);

/// The shortest timeout of a socket, for which zero would mean none.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// The last bytes of the addresses from which a client connects if the usual one has no free port.
const OTHER_LOOPBACKS: RangeInclusive<u8> = 2..=250;

/// The most bytes received by one call.
const READ_SIZE: usize = 16 * 1024;

/// The most bytes of a reply: some servers send without an end.
pub(super) const MAX_REPLY: usize = 1 << 20;

/// The most bytes of a text that the evidence quotes.
const QUOTED: usize = 60;

/// The most exchanges that are kept as evidence.
const MAX_EXCHANGES: usize = 12;

/// The end of the bytes that a server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It has closed the connection, or its sending half.
    Closed,
    /// It has reset the connection.
    Reset,
}

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    /// Its own address, by which the server knows it.
    pub(super) address: SocketAddr,
    /// Bytes received and not taken.
    received: Vec<u8>,
    end: Option<End>,
    exchanges: Vec<String>,
    /// The silence that ends a reply.
    pub(super) gap: Duration,
    /// True if a quiz has been told its name.
    pub(super) named: bool,
    /// The answer to the last question of a quiz.
    pub(super) asked: Option<i64>,
}

impl Client {
    /// Connects within `patience`.
    pub(super) fn connect(to: SocketAddr, patience: Duration) -> io::Result<Self> {
        Self::connect_with(to, patience, None)
    }

    /// Connects with a receive buffer of this size, if any, so that little fits into it.
    pub(super) fn connect_with(
        to: SocketAddr,
        patience: Duration,
        receive_buffer: Option<usize>,
    ) -> io::Result<Self> {
        let mut result = Self::connect_from(None, to, patience, receive_buffer);
        // Another load on this machine has left all ports in TIME_WAIT: that is no fault of the
        // server. The other addresses of the loopback interface have ports of their own.
        let mut others = OTHER_LOOPBACKS.map(|it| SocketAddr::from(([127, 0, 0, it], 0)));
        while to.is_ipv4() && to.ip().is_loopback() && result.as_ref().is_err_and(lacks_port) {
            let Some(from) = others.next() else { break };
            result = Self::connect_from(Some(from), to, patience, receive_buffer);
        }
        result
    }

    fn connect_from(
        from: Option<SocketAddr>,
        to: SocketAddr,
        patience: Duration,
        receive_buffer: Option<usize>,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
        if let Some(size) = receive_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        if let Some(from) = from {
            socket.bind(&from.into())?;
        }
        socket.connect_timeout(&to.into(), patience)?;
        socket.set_tcp_nodelay(true)?;
        let stream = TcpStream::from(socket);
        refuse_self_connection(&stream)?;
        let address = stream.local_addr()?;
        let (received, exchanges) = (Vec::new(), Vec::new());
        let (named, asked) = (false, None);
        Ok(Self { stream, address, received, end: None, exchanges, gap: GAP, named, asked })
    }

    /// Sends bytes in one call. A connection that the server has closed is noted as its end.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.note("sent", bytes);
        if self.stream.write_all(bytes).is_err() {
            self.end = self.end.or(Some(End::Reset));
        }
    }

    /// Sends as much of `bytes` as the kernel takes within `patience`.
    pub(super) fn send_some(&mut self, bytes: &[u8], patience: Duration) -> usize {
        self.stream.set_write_timeout(Some(patience.max(MIN_WAIT))).ok();
        let sent = self.stream.write(bytes).unwrap_or(0);
        self.stream.set_write_timeout(None).ok();
        sent
    }

    /// Receives until `whole` says so, until the server closes, or until a silence: of `patience`
    /// before the first byte, of its gap after it. Returns all that has come, up to [`MAX_REPLY`].
    pub(super) fn receive(&mut self, patience: Duration, whole: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut until = now() + patience;
        let mut seen = 0;
        while self.end.is_none() && !whole(&self.received) {
            if self.received.len() > seen {
                seen = self.received.len();
                until = now() + self.gap;
            }
            if !self.receive_once(until) {
                break;
            }
        }
        let text = std::mem::take(&mut self.received);
        let end = match self.end {
            Some(End::Closed) => " and closed",
            Some(End::Reset) => " and reset the connection",
            None => "",
        };
        let seen = match &text[..] {
            [] if self.end.is_none() => "got nothing".to_owned(),
            [] => format!("the server{}", end.trim_start_matches(" and")),
            text => format!("got {}{end}", quoted(text)),
        };
        if self.exchanges.last() != Some(&seen) {
            self.exchanges.push(seen);
        }
        text
    }

    /// Receives until the server closes; false if it has not within `patience`.
    pub(super) fn receive_all(&mut self, patience: Duration) -> (Vec<u8>, bool) {
        let until = now() + patience;
        while self.end.is_none() && self.receive_once(until) {}
        let text = std::mem::take(&mut self.received);
        match &text[..] {
            [] => self.exchanges.push("got nothing".to_owned()),
            text => self.note("got", text),
        }
        (text, self.end.is_some())
    }

    /// Receives until the end, a silence of `patience`, or until `take`, which gets what comes,
    /// says that it has enough. Returns false if `until` has passed before.
    pub(super) fn receive_each(
        &mut self,
        patience: Duration,
        until: Instant,
        mut take: impl FnMut(&[u8]) -> bool,
    ) -> bool {
        while self.end.is_none() && now() < until {
            let silent = !self.receive_once(now() + patience);
            let enough = take(&self.received);
            self.received.clear();
            if silent || enough {
                return true;
            }
        }
        self.end.is_some()
    }

    /// Takes what has arrived, without waiting.
    fn pending(&mut self) -> Vec<u8> {
        while self.end.is_none() && self.receive_once(now()) {}
        std::mem::take(&mut self.received)
    }

    /// Receives once. Returns false if nothing has come by `until`, or more than a reply.
    fn receive_once(&mut self, until: Instant) -> bool {
        if self.received.len() >= MAX_REPLY {
            return false;
        }
        let left = until.saturating_duration_since(now()).max(MIN_WAIT);
        self.stream.set_read_timeout(Some(left)).ok();
        // With Nagle's algorithm the server sends the rest after an acknowledgement.
        SockRef::from(&self.stream).set_tcp_quickack(true).ok();
        let mut bytes = [0; READ_SIZE];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.end = Some(End::Closed),
            Ok(len) => self.received.extend_from_slice(&bytes[..len]),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return false,
                _ => self.end = Some(End::Reset),
            },
        }
        true
    }

    /// The way in which the server has ended the connection, if it has.
    pub(super) fn end(&self) -> Option<End> {
        self.end
    }

    /// Closes the sending half: the server reads the end of input.
    pub(super) fn half_close(&mut self) {
        self.exchanges.push("closed the sending half".to_owned());
        self.stream.shutdown(Shutdown::Write).ok();
    }

    /// Closes the connection by a reset, which destroys what is under way.
    pub(super) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).ok();
    }

    /// Closes the connection after it has received what is there.
    pub(super) fn close(mut self) {
        self.pending();
    }

    /// True if the server has closed the connection, whether that was received or not.
    pub(super) fn is_closed_by_server(&self) -> bool {
        let mut fds = [PollFd::new(&self.stream, PollFlags::RDHUP)];
        // It does not wait.
        self.end.is_some()
            || poll(&mut fds, Some(&Timespec::default())).is_ok_and(|count| count > 0)
    }

    /// The last exchanges, a line each.
    pub(super) fn evidence(&self) -> Vec<String> {
        let first = self.exchanges.len().saturating_sub(MAX_EXCHANGES);
        self.exchanges[first..].to_vec()
    }

    fn note(&mut self, verb: &str, bytes: &[u8]) {
        self.exchanges.push(format!("{verb} {}", quoted(bytes)));
    }
}

/// If the server has closed first, a reset ends the connection. Without one the server's port would
/// be in `TIME_WAIT`, and a server with a port of its own could not bind it again.
impl Drop for Client {
    fn drop(&mut self) {
        if self.is_closed_by_server() {
            SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).ok();
        }
    }
}

/// True if no port is free for another connection.
fn lacks_port(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse)
}

/// The text in quotes, escaped and cut.
pub(super) fn quoted(text: &[u8]) -> String {
    format!("\"{}\"", escape::excerpt(text, QUOTED))
}
