//! Listening sockets with a chosen backlog, down to 0, which std does not offer.

use std::io;
use std::net::{Shutdown, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::error::Failure;
use crate::explain::TARGET;

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

/// A source of connections that does not block. Tests have one of their own.
pub trait Listener {
    /// The socket of a connection.
    type Socket;

    /// Takes the connection that has waited longest.
    fn accept(&self) -> io::Result<(Self::Socket, SocketAddr)>;

    /// True if no connection waits. This takes much less time than an accept that fails: accept(2)
    /// allocates a socket before it looks into the queue.
    fn is_empty(&self) -> bool;

    /// Stops listening and keeps the address. The kernel resets the connections in the accept
    /// queue, and refuses others.
    fn suspend(&self) -> io::Result<()>;

    /// Listens again.
    fn resume(&self, backlog: u32) -> io::Result<()>;
}

impl Listener for TcpListener {
    type Socket = TcpStream;

    fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept()
    }

    fn is_empty(&self) -> bool {
        let watched = &mut [PollFd::new(self, PollFlags::IN)];
        poll(watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0)
    }

    /// No other socket can bind the address meanwhile, except that `SO_REUSEPORT` on both still
    /// lets one of the same user (socket(7)). The socket stays registered for events: its hang-up
    /// is one event, and the first client after [`resume`](Listener::resume) another.
    fn suspend(&self) -> io::Result<()> {
        let socket = SockRef::from(self);
        // With the option, any user could bind an address on which no socket listens.
        socket.set_reuse_address(false)?;
        socket.shutdown(Shutdown::Read)?;
        log::debug!(target: TARGET, "shutdown of the listener: full, so others are refused");
        Ok(())
    }

    fn resume(&self, backlog: u32) -> io::Result<()> {
        let socket = SockRef::from(self);
        // Without the option, the connections at this address prevent listen(2).
        socket.set_reuse_address(true)?;
        let resumed = listening(&socket, backlog);
        if resumed.is_err() {
            socket.set_reuse_address(false)?;
        } else {
            log::debug!(target: TARGET, "listen: there is a place, so clients may connect");
        }
        resumed
    }
}

/// Listens on the first of these addresses, at least one, that binds; with `SO_REUSEPORT` if
/// `reuse_port` says so. Fails if anything else listens on it, also with that option.
pub fn listen(
    addresses: Vec<SocketAddr>,
    backlog: u32,
    reuse_port: bool,
) -> Result<(TcpListener, BindSpec), Failure> {
    let mut failure = None;
    for address in addresses {
        let spec = BindSpec { address, backlog, reuse_port };
        match bind_exclusive(spec) {
            Ok((listener, address)) => return Ok((listener, BindSpec { address, ..spec })),
            // A client of this host would reach the other server, not the next address.
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
    let mut bound = bind(spec.address)?;
    let address = bound.local_addr()?.as_socket().unwrap_or(spec.address);
    if spec.address.port() == 0 {
        // A port that the kernel has chosen is lost when the listener is suspended. One that was
        // asked for is not, and the first socket holds it until the second has bound it.
        bound = bind(address)?;
    }
    // Set after bind(2): until now it has excluded other sockets.
    bound.set_reuse_port(spec.reuse_port)?;
    listening(&bound, spec.backlog)?;
    Ok((TcpListener::from_std(bound.into()), address))
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket(address)?;
    socket.bind(&address.into())?;
    Ok(socket)
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

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_listener_is_empty_unless_a_connection_waits() {
        let (listener, spec) = listen(vec![([127, 0, 0, 1], 0).into()], BACKLOG, false).unwrap();
        assert!(listener.is_empty());
        let _clients = [(); 2].map(|()| TcpStream::connect(spec.address).unwrap());
        for _ in 0..2 {
            // The handshake may still be under way.
            let within = Timespec { tv_sec: 10, tv_nsec: 0 };
            poll(&mut [PollFd::new(&listener, PollFlags::IN)], Some(&within)).unwrap();
            assert!(!listener.is_empty());
            listener.accept().unwrap();
        }
        assert!(listener.is_empty());
    }
}
