//! Listening sockets with a chosen backlog, down to 0, which std does not offer.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use super::address;
use crate::error::Failure;

/// The default length of the accept queue. Linux queues one connection more than this, and no more
/// than `net.core.somaxconn` (listen(2)).
pub const BACKLOG: u32 = 1024;

/// An address and the options of its listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindSpec {
    /// The address, with the real port.
    pub address: SocketAddr,
    /// The length of the accept queue.
    pub backlog: u32,
    /// True if several listeners of this server share the address (`SO_REUSEPORT`).
    pub reuse_port: bool,
}

/// Listens on the first address of `host` that binds, with `SO_REUSEPORT` if `reuse_port` says so.
/// Fails if anything else listens on it, also with that option.
pub fn listen(
    host: &str,
    port: u16,
    backlog: u32,
    reuse_port: bool,
) -> Result<(TcpListener, BindSpec), Failure> {
    let mut failure = None;
    for address in address::resolve(host, port)? {
        let spec = BindSpec { address, backlog, reuse_port };
        match bind_exclusive(spec) {
            Ok((listener, address)) => return Ok((listener, BindSpec { address, ..spec })),
            // A client that connects to `host` would reach the other server, not the next address.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(cannot_listen(address, &error));
            }
            Err(error) => failure = Some(cannot_listen(address, &error)),
        }
    }
    Err(failure.expect("there is at least one address"))
}

/// Listens on the address of `spec`.
pub fn listen_on(spec: BindSpec) -> io::Result<TcpListener> {
    let socket = socket(spec.address)?;
    socket.set_reuse_port(spec.reuse_port)?;
    socket.bind(&spec.address.into())?;
    listening(&socket, spec.backlog)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Listens on the address of `spec`, unless another socket does, even one with `SO_REUSEPORT`.
/// Returns the address with the real port.
fn bind_exclusive(spec: BindSpec) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = socket(spec.address)?;
    socket.bind(&spec.address.into())?;
    // Set after bind(2): until now it has excluded other sockets.
    socket.set_reuse_port(spec.reuse_port)?;
    listening(&socket, spec.backlog)?;
    let listener = TcpListener::from_std(socket.into());
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Connections in TIME_WAIT do not prevent bind(2); another listener still does (socket(7)).
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it, which saves a system call per connection.
    socket.set_tcp_nodelay(true)?;
    // Inherited as well. An interrupted telnet sends the second byte of IAC DM as urgent data
    // (RFC 854, "The TELNET Synch Mechanism"): without the option it is not in the stream.
    socket.set_out_of_band_inline(true)?;
    Ok(socket)
}

fn listening(socket: &Socket, backlog: u32) -> io::Result<()> {
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))
}

/// The failure to listen on `address`.
pub fn cannot_listen(address: SocketAddr, error: &io::Error) -> Failure {
    let failure = Failure::cannot(format_args!("listen on {address}"), error);
    match error.kind() {
        io::ErrorKind::AddrInUse => failure.hint("is another server running there?"),
        io::ErrorKind::AddrNotAvailable => failure.hint("is it an address of this machine?"),
        io::ErrorKind::PermissionDenied => {
            failure.hint("ports below 1024 are for privileged users")
        }
        _ => failure,
    }
}
