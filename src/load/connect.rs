//! Connecting: all connections before a load begins, or one while it runs.

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

/// The number of connections that are made at the same time: fewer than fit into a server's accept
/// queue. A handshake that finds the queue full is repeated by the kernel only after a second.
const CONNECT_BATCH: usize = 64;

/// The longest wait for the server to close the probe, before the load begins.
const PROBE_CLOSE_TIMEOUT: Duration = Duration::from_millis(100);

/// The address of the server: the first that accepts a connection. A load that cannot connect once
/// need not try a thousand times. The probe is closed before the load begins, since the server may
/// serve only one client.
pub(super) fn probe(host: &str, port: u16, timeout: Duration) -> Result<SocketAddr, Failure> {
    let Connected { stream, address, .. } = address::connect(host, port, timeout)?;
    close_probe(stream);
    Ok(address)
}

/// Closes the probe, and waits for the server to close it as well. Failures are ignored, and so is
/// what the server sends: the load will see both again.
fn close_probe(mut stream: std::net::TcpStream) {
    let until = clock() + PROBE_CLOSE_TIMEOUT;
    let open = stream.shutdown(Shutdown::Write).is_ok()
        && stream.set_read_timeout(Some(PROBE_CLOSE_TIMEOUT)).is_ok();
    while open && clock() < until && stream.read(&mut [0; 1024]).is_ok_and(|n| n > 0) {}
}

/// Starts a nonblocking connect.
pub(super) fn start_connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Makes the send buffer of a connection hold `in_flight` bytes of requests.
pub(super) fn enlarge_send_buffer(stream: &TcpStream, in_flight: usize) -> io::Result<()> {
    /// The bytes that a new send buffer surely holds: half of its default size on Linux (tcp(7),
    /// `tcp_wmem`), since a part of it is bookkeeping.
    const DEFAULT: usize = 8 * 1024;
    if in_flight <= DEFAULT {
        return Ok(());
    }
    SockRef::from(stream).set_send_buffer_size(MAX_IN_FLIGHT)
}

/// Makes `count` connections, each batch within `timeout`.
pub(super) fn connect_all(
    address: SocketAddr,
    count: usize,
    timeout: Duration,
) -> Vec<io::Result<TcpStream>> {
    let mut done = Vec::with_capacity(count);
    while done.len() < count {
        let batch = CONNECT_BATCH.min(count - done.len());
        let started = (0..batch).map(|_| start_connect(address)).collect();
        done.extend(await_connects(started, timeout));
    }
    done
}

/// Waits until every connect has succeeded or failed, or `timeout` has passed.
fn await_connects(
    started: Vec<io::Result<TcpStream>>,
    timeout: Duration,
) -> impl Iterator<Item = io::Result<TcpStream>> {
    let until = clock() + timeout;
    started.into_iter().map(move |stream| {
        let stream = stream?;
        let ready = writable(&stream, until)?;
        match stream.take_error()? {
            None if ready => Ok(stream),
            None => Err(io::ErrorKind::TimedOut.into()),
            Some(error) => Err(error),
        }
    })
}

/// Waits until a connect has succeeded or failed; false if it has not by `until`.
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
