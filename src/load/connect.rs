//! Connecting: many at once before a load begins, or one in the middle of it.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;

use super::workload::MAX_IN_FLIGHT;
use crate::error::{Exit, Failure};

/// The connections that are made at once: fewer than the queue of a server that accepts them late.
/// A connection that finds the queue full is tried again by the kernel after a second.
const CONNECT_BATCH: usize = 64;

/// How long a first look waits for the server to let it go, before the load comes.
const PROBE_CLOSE_TIMEOUT: Duration = Duration::from_millis(100);

/// The address of the server: the first that takes a connection. Who cannot connect once need not
/// try a thousand times, and says why in the usual words. The connection has left when the load
/// comes: a server may have one place only.
pub(super) fn probe(host: &str, port: u16, timeout: Duration) -> Result<SocketAddr, Failure> {
    let addresses = (host, port)
        .to_socket_addrs()
        .map_err(|error| Failure::cannot(format_args!("find the address of {host}"), &error))?;
    let mut failure = Failure::new(Exit::Failed, format!("{host} has no address"));
    for address in addresses {
        match std::net::TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                close_probe(stream);
                return Ok(address);
            }
            Err(error) => failure = cannot_connect(address, &error),
        }
    }
    Err(failure)
}

/// Ends a connection, and waits until the server has ended it, too, or does not do so in time.
/// Whatever it says, the load will hear for itself.
fn close_probe(mut stream: std::net::TcpStream) {
    let until = now() + PROBE_CLOSE_TIMEOUT;
    let ended = stream.shutdown(Shutdown::Write).is_err()
        || stream.set_read_timeout(Some(PROBE_CLOSE_TIMEOUT)).is_err();
    while !ended && now() < until && stream.read(&mut [0; 1024]).is_ok_and(|n| n > 0) {}
}

/// Why there is no connection, in the usual words.
pub(super) fn cannot_connect(address: SocketAddr, error: &io::Error) -> Failure {
    let failure = Failure::cannot(format_args!("connect to {address}"), error);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => failure.hint("is the server started?"),
        io::ErrorKind::TimedOut => {
            Failure::new(Exit::NoAnswer, format!("cannot connect to {address} in time"))
                .hint("is the server busy with another client?")
        }
        _ => failure,
    }
}

/// Begins to connect.
pub(super) fn start_connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Makes the send buffer of a connection hold all that may be in flight, if that is much.
pub(super) fn enlarge_send_buffer(stream: &TcpStream, in_flight: usize) -> io::Result<()> {
    /// What every kernel's send buffer holds from the beginning, in bytes.
    const ALWAYS: usize = 8 * 1024;
    if in_flight <= ALWAYS {
        return Ok(());
    }
    SockRef::from(stream).set_send_buffer_size(MAX_IN_FLIGHT)
}

/// Makes `count` connections, each within `timeout`.
pub(super) fn connect_all(
    address: SocketAddr,
    count: usize,
    timeout: Duration,
) -> Vec<io::Result<TcpStream>> {
    let mut done = Vec::with_capacity(count);
    while done.len() < count {
        let some = CONNECT_BATCH.min(count - done.len());
        let begun = (0..some).map(|_| start_connect(address)).collect();
        done.extend(await_connects(begun, timeout));
    }
    done
}

/// Waits for all of them at once.
fn await_connects(
    begun: Vec<io::Result<TcpStream>>,
    timeout: Duration,
) -> impl Iterator<Item = io::Result<TcpStream>> {
    let until = now() + timeout;
    begun.into_iter().map(move |stream| {
        let stream = stream?;
        let ready = writable(&stream, until)?;
        match stream.take_error()? {
            None if ready => Ok(stream),
            None => Err(io::ErrorKind::TimedOut.into()),
            Some(error) => Err(error),
        }
    })
}

/// Waits until a connection is made or has failed; false when it takes too long.
fn writable(stream: &TcpStream, until: Instant) -> io::Result<bool> {
    loop {
        let left = until.saturating_duration_since(now());
        let timeout = Timespec::try_from(left).ok();
        let mut sockets = [PollFd::new(stream, PollFlags::OUT)];
        match poll(&mut sockets, timeout.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the time of a wait in a system call")]
fn now() -> Instant {
    Instant::now()
}
