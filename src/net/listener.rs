//! A listening socket, as std cannot make one: with a backlog of our choice, down to 0.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use super::address;
use crate::error::Failure;

/// The length of the queue of connections that are established and not yet accepted. Linux queues
/// one more than this, and no more than `net.core.somaxconn`.
pub const BACKLOG: u32 = 1024;

/// Where and how to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindSpec {
    /// The address, with the real port.
    pub address: SocketAddr,
    /// How many may wait there to be accepted.
    pub backlog: u32,
    /// Whether other listeners of ours share it (`SO_REUSEPORT`).
    pub reuse_port: bool,
}

/// Listens on the first address of `host` that can be had, which is to be `reuse_port` or not;
/// nobody else may listen there yet.
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
            // Who asks for a port by name does not mean the same port of another address.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(cannot_listen(address, &error));
            }
            Err(error) => failure = Some(cannot_listen(address, &error)),
        }
    }
    Err(failure.expect("there is at least one address"))
}

/// Listens on this very address.
pub fn listen_on(spec: BindSpec) -> io::Result<TcpListener> {
    let socket = socket(spec.address)?;
    socket.set_reuse_port(spec.reuse_port)?;
    socket.bind(&spec.address.into())?;
    listening(&socket, spec.backlog)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// The same, but not where anybody listens already, not even where they would share; and says what
/// the address is.
fn bind_exclusive(spec: BindSpec) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = socket(spec.address)?;
    socket.bind(&spec.address.into())?;
    // Only from now on others may come here, too.
    socket.set_reuse_port(spec.reuse_port)?;
    listening(&socket, spec.backlog)?;
    let listener = TcpListener::from_std(socket.into());
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Old connections of this port in TIME_WAIT do not stand in the way. A second live listener
    // still does.
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it, which saves a system call a connection.
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

fn listening(socket: &Socket, backlog: u32) -> io::Result<()> {
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))
}

/// The failure to listen.
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
