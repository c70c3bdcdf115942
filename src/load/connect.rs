//! Connecting: many at once before a load begins, or one in the middle of it.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;

use super::clock;
use super::workload::MAX_IN_FLIGHT;
use crate::error::Failure;
use crate::net::address::{self, Connected};

/// The connections that are made at once: fewer than the queue of a server that accepts them late.
/// A connection that finds the queue full is tried again by the kernel after a second.
const CONNECT_BATCH: usize = 64;

/// How long a first look waits for the server to let it go, before the load comes.
const PROBE_CLOSE_TIMEOUT: Duration = Duration::from_millis(100);

/// The address of the server: the first that accepts a connection. A load that cannot connect once
/// need not try a thousand times. The probe is closed before the load begins, since the server may
/// serve only one client.
pub(super) fn probe(host: &str, port: u16, timeout: Duration) -> Result<SocketAddr, Failure> {
    let Connected { stream, address, .. } = address::connect(host, port, timeout)?;
    close_probe(stream);
    Ok(address)
}

/// Ends a connection, and waits until the server has ended it, too, or does not do so in time.
/// Whatever it says, the load will hear for itself.
fn close_probe(mut stream: std::net::TcpStream) {
    let until = clock() + PROBE_CLOSE_TIMEOUT;
    let ended = stream.shutdown(Shutdown::Write).is_err()
        || stream.set_read_timeout(Some(PROBE_CLOSE_TIMEOUT)).is_err();
    while !ended && clock() < until && stream.read(&mut [0; 1024]).is_ok_and(|n| n > 0) {}
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
    let until = clock() + timeout;
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
        let left = until.saturating_duration_since(clock());
        let timeout = Timespec::try_from(left).ok();
        let mut sockets = [PollFd::new(stream, PollFlags::OUT)];
        match poll(&mut sockets, timeout.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
