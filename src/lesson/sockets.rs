//! Sockets for lessons, and the results of calls as a learner reads them.

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::net::{RecvFlags, SendFlags};
use socket2::{Domain, Socket, Type};

use super::threads::PATIENCE;
use crate::error::errno;

/// Any free port of the loopback interface.
pub(super) fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A listener on any free port: socket, bind, listen.
pub(super) fn listen(backlog: i32) -> io::Result<TcpListener> {
    listen_on(any_port(), backlog, |_| Ok(()))
}

/// A listener on this address, with options that are set before bind(2).
pub(super) fn listen_on(
    address: SocketAddr,
    backlog: i32,
    set: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    set(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// A connection through the listener: the client's end and the server's. A receive that waits for
/// more than [`PATIENCE`] fails with EAGAIN, so that a lesson comes to its end on any kernel.
pub(super) fn connect(listener: &TcpListener) -> io::Result<(TcpStream, TcpStream)> {
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    for end in [&client, &server] {
        end.set_read_timeout(Some(PATIENCE))?;
    }
    Ok((client, server))
}

/// A socket that has begun to connect and does not wait for the result.
pub(super) fn begin_to_connect(to: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&to.into()) {
        Err(error) if errno(&error) != "EINPROGRESS" => Err(error),
        _ => Ok(socket),
    }
}

/// The result of a receive: the bytes in quotes, `end of input`, or the name of the error.
pub(super) fn receive(mut socket: &TcpStream) -> String {
    let mut bytes = [0; 64];
    match socket.read(&mut bytes) {
        Ok(0) => "end of input".to_owned(),
        Ok(len) => format!("{:?}", String::from_utf8_lossy(&bytes[..len])),
        Err(error) => errno(&error),
    }
}

/// The result of a receive that does not wait.
pub(super) fn receive_now(socket: &TcpStream) -> String {
    let mut bytes = [0; 64];
    match rustix::net::recv(socket, &mut bytes[..], RecvFlags::DONTWAIT) {
        Ok((0, _)) => "end of input".to_owned(),
        Ok((len, _)) => format!("{:?}", String::from_utf8_lossy(&bytes[..len])),
        Err(error) => errno(&error.into()),
    }
}

/// The result of a send: the number of bytes, or the name of the error.
pub(super) fn send(socket: &TcpStream, bytes: &[u8]) -> String {
    match rustix::net::send(socket, bytes, SendFlags::NOSIGNAL) {
        Ok(len) => len.to_string(),
        Err(error) => errno(&error.into()),
    }
}

/// The name of an error, or the text for success.
pub(super) fn outcome<T>(result: &io::Result<T>, success: &str) -> String {
    match result {
        Ok(_) => success.to_owned(),
        Err(error) => errno(error),
    }
}

/// The result of poll(2) with this limit in milliseconds: `POLLIN`, or empty if none came.
pub(super) fn poll_for(socket: impl AsFd, events: PollFlags, milliseconds: u64) -> PollFlags {
    let mut polled = [PollFd::new(&socket, events)];
    let limit = Timespec::try_from(Duration::from_millis(milliseconds)).ok();
    match poll(&mut polled, limit.as_ref()) {
        Ok(_) => polled[0].revents(),
        Err(_) => PollFlags::empty(),
    }
}

/// An epoll instance that watches these sockets for input. An event carries the descriptor.
pub(super) fn watch(
    sockets: &[&(impl AsFd + AsRawFd)],
    trigger: epoll::EventFlags,
) -> io::Result<OwnedFd> {
    let watcher = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for socket in sockets {
        let number = u64::try_from(socket.as_raw_fd()).expect("it is open");
        let data = epoll::EventData::new_u64(number);
        epoll::add(&watcher, socket, data, epoll::EventFlags::IN | trigger)?;
    }
    Ok(watcher)
}

/// The descriptors with an event, after at most so many milliseconds.
pub(super) fn epoll_wait(watcher: &OwnedFd, milliseconds: u64) -> io::Result<Vec<u64>> {
    let mut events = Vec::with_capacity(8);
    let limit = Timespec::try_from(Duration::from_millis(milliseconds)).ok();
    epoll::wait(watcher, rustix::buffer::spare_capacity(&mut events), limit.as_ref())?;
    Ok(events.iter().map(|event| event.data.u64()).collect())
}
