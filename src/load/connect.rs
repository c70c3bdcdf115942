//! The connections that are made before a load begins.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use socket2::SockRef;

use super::clock;
use super::connector::Connector;
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

/// Sets a new connection up for a load with up to `in_flight` bytes of requests on it.
pub(super) fn set_up(stream: &TcpStream, in_flight: usize) -> io::Result<()> {
    /// The bytes that a new send buffer surely holds: half of its default size on Linux (tcp(7),
    /// `tcp_wmem`), since a part of it is bookkeeping.
    const DEFAULT: usize = 8 * 1024;
    stream.set_nodelay(true)?;
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
) -> io::Result<Vec<io::Result<TcpStream>>> {
    let mut connector = Connector::new(address, timeout)?;
    let mut results = Vec::with_capacity(count);
    while results.len() < count {
        let batch = CONNECT_BATCH.min(count - results.len());
        let now = clock();
        let mut ended: Vec<_> = (0..batch).filter_map(|n| connector.start(n, now)).collect();
        while let Some(until) = connector.deadline() {
            connector.wait(until, clock())?;
            ended.extend(connector.finished(clock())?);
        }
        ended.sort_unstable_by_key(|end| end.data);
        results.extend(ended.into_iter().map(|end| end.result));
    }
    Ok(results)
}
