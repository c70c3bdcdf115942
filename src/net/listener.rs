//! A listening socket, as std cannot make one: with a backlog of our choice, down to 0.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use super::failure::{Exit, Failure};

/// The length of the queue of connections that are established and not yet accepted. Linux queues
/// one more than this, and no more than `net.core.somaxconn`.
pub const BACKLOG: u32 = 1024;

/// Listens on the first address of `host` that can be had.
pub fn listen(host: &str, port: u16, backlog: u32) -> Result<TcpListener, Failure> {
    let addresses = (host, port).to_socket_addrs().map_err(|error| {
        Failure::cannot(format_args!("find the address of {host:?}"), &error)
            .hint("expected a host name or an address such as 127.0.0.1 or ::1")
    })?;
    let mut failure = Failure::new(Exit::Failed, format!("{host} has no address to listen on"));
    for address in addresses {
        match listen_on(address, backlog) {
            Ok(listener) => return Ok(listener),
            // Who asks for a port by name does not mean the same port of another address.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(cannot_listen(address, &error));
            }
            Err(error) => failure = cannot_listen(address, &error),
        }
    }
    Err(failure)
}

/// The address that clients connect to, with the real port.
pub fn address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::cannot("tell the listener's address", &error))
}

/// Listens on this very address.
pub(super) fn listen_on(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Old connections of this port in TIME_WAIT do not stand in the way. A second live listener
    // still does.
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it, which saves a system call a connection.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(TcpListener::from_std(socket.into()))
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Failure {
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
