//! The server that a load is for, and the connections that are made before the load begins.

use std::fmt;
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{SockAddr, SockRef};

use super::clock;
use super::connector::Connector;
use super::workload::MAX_IN_FLIGHT;
use crate::error::{Exit, Failure};
use crate::net::address::{self, Connected, cannot_connect};

/// The number of connections that are made at the same time: fewer than fit into a server's accept
/// queue. A handshake that finds the queue full is repeated by the kernel only after a second.
const CONNECT_BATCH: usize = 64;

/// The longest wait for the server to close the probe, before the load begins.
const PROBE_CLOSE_TIMEOUT: Duration = Duration::from_millis(100);

/// The server of a load, as it is named on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A name or an address, and a port.
    Tcp(String, u16),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// The host and the port of `HOST:PORT`. None if it is anything else, such as a port alone.
pub fn host_and_port(text: &str) -> Option<(String, u16)> {
    let bad = text.contains(':').then(|| address::parse_host(text).err())??;
    bad.meant.filter(|(_, port)| *port > 0)
}

/// The address of a server that has accepted a connection.
#[derive(Clone, Debug)]
pub(super) struct ServerAddress(pub(super) SockAddr);

impl fmt::Display for ServerAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.as_socket(), self.0.as_pathname()) {
            (Some(address), _) => write!(out, "{address}"),
            (None, path) => write!(out, "unix:{}", path.unwrap_or("".as_ref()).display()),
        }
    }
}

/// The address of the server: the first that accepts a connection. A load that cannot connect once
/// need not try a thousand times. The probe is closed before the load begins, since the server may
/// serve only one client.
pub(super) fn probe(target: &Target, timeout: Duration) -> Result<ServerAddress, Failure> {
    let path = match target {
        Target::Tcp(host, port) => {
            return Ok(ServerAddress(probe_tcp(host, *port, timeout)?.into()));
        }
        Target::Unix(path) => path,
    };
    let address = SockAddr::unix(path).map_err(|error| {
        Failure::new(Exit::Usage, format!("no path of a socket: {} ({error})", path.display()))
    })?;
    let cannot =
        |error: io::Error| cannot_connect(format_args!("unix:{}", path.display()), timeout, &error);
    let mut made = connect_all(&address, 1, timeout).map_err(cannot)?;
    let stream = made.pop().expect("one was wanted").map_err(cannot)?;
    let stream = std::net::TcpStream::from(OwnedFd::from(stream));
    stream.set_nonblocking(false).map_err(cannot)?;
    close_probe(stream);
    Ok(ServerAddress(address))
}

/// The same for a name or an address, and a port.
pub(super) fn probe_tcp(host: &str, port: u16, timeout: Duration) -> Result<SocketAddr, Failure> {
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
pub(super) fn set_up(stream: &TcpStream, address: &SockAddr, in_flight: usize) -> io::Result<()> {
    /// The bytes that a new send buffer surely holds: half of its default size on Linux (tcp(7),
    /// `tcp_wmem`), since a part of it is bookkeeping.
    const DEFAULT: usize = 8 * 1024;
    if !address.is_unix() {
        stream.set_nodelay(true)?;
    }
    if in_flight <= DEFAULT {
        return Ok(());
    }
    SockRef::from(stream).set_send_buffer_size(MAX_IN_FLIGHT)
}

/// Makes `count` connections, each batch within `timeout`.
pub(super) fn connect_all(
    address: &SockAddr,
    count: usize,
    timeout: Duration,
) -> io::Result<Vec<io::Result<TcpStream>>> {
    let mut connector = Connector::new(address.clone(), timeout)?;
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
