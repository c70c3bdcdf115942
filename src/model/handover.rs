//! The clients that a server of the model `prefork` passes to its processes. Each is one message on
//! a local socket: its number and address as text, and beside them the descriptor of its connection
//! (`SCM_RIGHTS`, unix(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// The size of a message, in bytes: more than the longest number and address take.
const MESSAGE_SIZE: usize = 128;

/// A client that was passed on.
#[derive(Debug)]
pub(super) struct PassedClient {
    pub(super) number: u64,
    pub(super) address: SocketAddr,
    pub(super) socket: OwnedFd,
}

/// The two ends of a channel: the server's and the process's. When one is closed, the other ends.
pub(super) fn channel() -> io::Result<(OwnedFd, OwnedFd)> {
    let kind = SocketType::SEQPACKET;
    Ok(socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}

/// Passes a client on. The connection stays open when the caller closes `socket`.
pub(super) fn send(
    channel: impl AsFd,
    number: u64,
    address: SocketAddr,
    socket: impl AsFd,
) -> io::Result<()> {
    let text = format!("{number} {address}");
    let descriptors = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    beside.push(SendAncillaryMessage::ScmRights(&descriptors));
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(channel, &[IoSlice::new(text.as_bytes())], &mut beside, flags)?;
    Ok(())
}

/// Receives the next client. None at the end of the channel: the server is no more.
pub(super) fn receive(channel: impl AsFd) -> io::Result<Option<PassedClient>> {
    let mut text = [0; MESSAGE_SIZE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let into = &mut [IoSliceMut::new(&mut text)];
    let received = recvmsg(channel, into, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let socket = beside.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let passed = parse(&text[..received.bytes]).zip(socket);
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "no client in a message");
    let ((number, address), socket) = passed.ok_or_else(invalid)?;
    Ok(Some(PassedClient { number, address, socket }))
}

fn parse(text: &[u8]) -> Option<(u64, SocketAddr)> {
    let (number, address) = str::from_utf8(text).ok()?.split_once(' ')?;
    Some((number.parse().ok()?, address.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn clients_arrive_in_order_with_their_connections_after_both_ends_were_closed() {
        let (server, process) = channel().unwrap();
        let longest = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535";
        let sent = [(1, "127.0.0.1:5000"), (u64::MAX, longest)];
        let peers = sent.map(|(number, address)| {
            let (peer, socket) = UnixStream::pair().unwrap();
            send(&server, number, address.parse().unwrap(), &socket).unwrap();
            peer
        });
        drop(server);
        for ((number, address), mut peer) in sent.into_iter().zip(peers) {
            let passed = receive(&process).unwrap().unwrap();
            assert_eq!((passed.number, passed.address), (number, address.parse().unwrap()));
            let mut socket = UnixStream::from(passed.socket);
            socket.write_all(b"hello").unwrap();
            drop(socket);
            let mut text = String::new();
            peer.read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello");
        }
        assert!(receive(&process).unwrap().is_none());
    }

    #[test]
    fn a_process_that_has_exited_takes_no_client() {
        let (server, process) = channel().unwrap();
        drop(process);
        let (_peer, socket) = UnixStream::pair().unwrap();
        let error = send(&server, 1, "127.0.0.1:1".parse().unwrap(), &socket).unwrap_err();
        assert!(crate::error::is_disconnect(&error), "{error}");
    }

    #[test]
    fn a_message_without_a_connection_is_an_error() {
        let (server, process) = channel().unwrap();
        rustix::net::send(&server, b"1 127.0.0.1:1", SendFlags::empty()).unwrap();
        assert_eq!(receive(&process).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
