//! A connection that tells each system call on it, for `serve --explain`: a decorator of a
//! [`Socket`] here, and of a [`BlockingStream`](super::blocking::BlockingStream) beside that trait.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::ioctl_fionread;

use super::Socket;
use crate::error::{cause_of, errno, is_disconnect};
use crate::escape::quoted;
use crate::explain::{self, SHOWN, TARGET};
use crate::number;

/// A connection whose calls are told. It tells its close when it is dropped.
#[derive(Debug)]
pub struct Explained<S: AsFd> {
    pub(super) inner: S,
    client: u64,
    /// The last bytes that were sent, quoted; empty if there are none.
    last_sent: String,
    /// True once the sending half is closed.
    is_shut: Cell<bool>,
    /// True once the server has stopped, and ended the input itself.
    has_stopped: Cell<bool>,
}

impl<S: AsFd> Explained<S> {
    /// The connection of the client with this number.
    pub fn new(inner: S, client: u64) -> Self {
        let (is_shut, has_stopped) = (Cell::new(false), Cell::new(false));
        Self { inner, client, last_sent: String::new(), is_shut, has_stopped }
    }

    /// The connection without its words.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The same, to be changed.
    pub fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The client's number.
    pub fn client(&self) -> u64 {
        self.client
    }

    fn tell(&self, call: &str, outcome: &str) {
        log::debug!(target: TARGET, "{call} client {}: {outcome}", self.client);
    }

    /// Tells that a call waits, and in which call, if it does: tried without a wait, it has found
    /// nothing, or no room.
    pub(super) fn waits<T>(
        &self,
        call: &str,
        place: &str,
        tried: &io::Result<T>,
        wait: Option<Duration>,
    ) -> bool {
        let waits = wait != Some(Duration::ZERO) && tried.as_ref().is_err_and(is_no_time);
        if waits {
            let limit = explain::limit(wait);
            self.tell(call, &format!("waits{place}{limit}"));
        }
        waits
    }

    /// Tells a receive into `room`.
    pub(super) fn tell_receive(&self, room: &[u8], received: Result<usize, &io::Error>) {
        let outcome = match received {
            Ok(0) if self.has_stopped.get() => "0 bytes: the server receives no more".to_owned(),
            Ok(0) => "0 bytes: the end of input, it has closed its half (FIN)".to_owned(),
            Ok(n) => {
                let fate =
                    if self.is_shut.get() { ", discarded: we have closed already" } else { "" };
                format!("{} {}{fate}", number::bytes(n), quoted(&room[..n], SHOWN))
            }
            Err(error) if is_no_time(error) => format!("nothing has come ({})", errno(error)),
            Err(error) => self.failure(error),
        };
        self.tell("recv from", &outcome);
    }

    /// Tells that the server stops.
    pub(super) fn tell_stop(&self) {
        self.has_stopped.set(true);
        self.tell("recv from", "nothing has come, and the server stops");
    }

    /// Tells a send of `bytes`.
    pub(super) fn tell_send(&mut self, bytes: &[u8], sent: &io::Result<usize>) {
        let n = *sent.as_ref().unwrap_or(&0);
        if n > 0 {
            self.last_sent = quoted(&bytes[..n], SHOWN);
        }
        let outcome = match sent {
            Ok(n) if *n == bytes.len() => {
                format!("{n} of {} {}", number::bytes(*n), self.last_sent)
            }
            Ok(n) => {
                let (all, sent) = (number::bytes(bytes.len()), &self.last_sent);
                format!("{n} of {all} {sent}; its buffer has no room for more")
            }
            Err(error) if is_no_time(error) => {
                let (all, errno) = (number::bytes(bytes.len()), errno(error));
                format!("none of {all}, no room ({errno}): it reads too slowly, or not")
            }
            Err(error) => self.failure(error),
        };
        self.tell("send to", &outcome);
    }

    /// Tells the close of the sending half.
    pub(super) fn tell_shutdown(&self, shut: &io::Result<()>) {
        self.is_shut.set(shut.is_ok());
        let outcome = match shut {
            Ok(()) => "our end is sent (FIN); now it may end as well".to_owned(),
            Err(error) => self.failure(error),
        };
        self.tell("shutdown to", &outcome);
    }

    /// Tells an acknowledgement.
    pub(super) fn tell_acknowledgement(&self) {
        self.tell("setsockopt TCP_QUICKACK for", "acknowledges a part of a message");
    }

    /// Tells the error that has ended the connection.
    pub(super) fn tell_error(&self, error: &io::Error) {
        self.tell("getsockopt SO_ERROR of", &self.failure(error));
    }

    /// The words for a call that failed. A reset destroys what the peer has not read.
    fn failure(&self, error: &io::Error) -> String {
        let errno = errno(error);
        match error.kind() {
            io::ErrorKind::Interrupted => format!("{errno}: a signal came; it is tried again"),
            // No system call has failed.
            _ if error.raw_os_error().is_none() => "the server ends the connection".to_owned(),
            io::ErrorKind::ConnectionReset => {
                let lost = self.lost_reply();
                format!("{errno}: the client has reset the connection (RST){lost}")
            }
            _ if is_disconnect(error) => format!("{errno}: the connection is over"),
            _ => format!("{errno}: {}", cause_of(error)),
        }
    }

    /// The reply that a reset destroys, unless it was read.
    fn lost_reply(&self) -> String {
        let sent = &self.last_sent;
        if sent.is_empty() {
            return String::new();
        }
        format!("; what it has not read of {sent} is lost")
    }
}

impl<S: AsFd> Drop for Explained<S> {
    fn drop(&mut self) {
        // Something else than a socket may not know.
        let unread = ioctl_fionread(&self.inner).unwrap_or(0);
        let outcome = match unread {
            0 => "nothing is unread".to_owned(),
            n => {
                let unread = number::bytes(usize::try_from(n).unwrap_or(usize::MAX));
                let lost = self.lost_reply();
                format!("{unread} unread, so it is a reset (RST){lost}")
            }
        };
        self.tell("close of", &outcome);
    }
}

impl<S: Read + AsFd> Read for Explained<S> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let received = self.inner.read(room);
        self.tell_receive(room, received.as_ref().copied());
        received
    }
}

impl<S: Write + AsFd> Write for Explained<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.inner.write(bytes);
        self.tell_send(bytes, &sent);
        sent
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<S: Socket + AsFd> Socket for Explained<S> {
    fn shut_down_sending(&self) -> io::Result<()> {
        let shut = self.inner.shut_down_sending();
        self.tell_shutdown(&shut);
        shut
    }

    fn acknowledge(&self) {
        self.inner.acknowledge();
        self.tell_acknowledgement();
    }

    fn take_error(&self) -> Option<io::Error> {
        let error = self.inner.take_error()?;
        self.tell_error(&error);
        Some(error)
    }
}

/// True if a call has found nothing, or no room, and might have waited for it.
fn is_no_time(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::WouldBlock => true,
        // The kernel's ETIMEDOUT is the end of a connection.
        io::ErrorKind::TimedOut => error.raw_os_error().is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::BorrowedFd;
    use std::os::unix::net::UnixStream;

    use rustix::io::Errno;

    use super::*;
    use crate::explain::capture::lines;

    /// A socket whose next call has this result, and whose descriptor is that of a real one.
    struct Script {
        next: Result<usize, Errno>,
        socket: UnixStream,
    }

    impl Read for Script {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            room.fill(b'x');
            self.next.map_err(Into::into)
        }
    }

    impl Write for Script {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.next.map_err(Into::into)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl AsFd for Script {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.socket.as_fd()
        }
    }

    impl Socket for Script {
        fn shut_down_sending(&self) -> io::Result<()> {
            self.next.map(drop).map_err(Into::into)
        }

        fn acknowledge(&self) {}

        fn take_error(&self) -> Option<io::Error> {
            None
        }
    }

    #[test]
    fn each_call_is_a_line_and_a_reset_names_the_reply_that_is_lost() {
        let (socket, mut peer) = UnixStream::pair().unwrap();
        peer.write_all(b"x").unwrap();
        let mut socket = Explained::new(Script { next: Ok(2), socket }, 7);
        let told = lines(|| {
            let room = &mut [0; 100];
            assert_eq!(socket.read(room).unwrap(), 2);
            socket.acknowledge();
            assert_eq!(socket.write(b"one two").unwrap(), 2);
            socket.inner.next = Err(Errno::AGAIN);
            assert!(socket.read(room).is_err());
            assert!(socket.write(b"e two").is_err());
            socket.inner.next = Ok(1);
            assert_eq!(socket.write(b"e").unwrap(), 1);
            socket.inner.next = Ok(0);
            assert_eq!(socket.read(room).unwrap(), 0);
            socket.shut_down_sending().unwrap();
            socket.inner.next = Ok(100);
            assert_eq!(socket.read(room).unwrap(), 100);
            socket.inner.next = Err(Errno::CONNRESET);
            assert!(socket.read(room).is_err());
            drop(socket);
        });
        let cut = format!("\"{}\"... (100 bytes)", "x".repeat(SHOWN));
        let expected = [
            "recv from client 7: 2 bytes \"xx\"",
            "setsockopt TCP_QUICKACK for client 7: acknowledges a part of a message",
            "send to client 7: 2 of 7 bytes \"on\"; its buffer has no room for more",
            "recv from client 7: nothing has come (EAGAIN)",
            "send to client 7: none of 5 bytes, no room (EAGAIN): it reads too slowly, or not",
            "send to client 7: 1 of 1 byte \"e\"",
            "recv from client 7: 0 bytes: the end of input, it has closed its half (FIN)",
            "shutdown to client 7: our end is sent (FIN); now it may end as well",
            &format!("recv from client 7: 100 bytes {cut}, discarded: we have closed already"),
            "recv from client 7: ECONNRESET: the client has reset the connection (RST); \
             what it has not read of \"e\" is lost",
            "close of client 7: 1 byte unread, so it is a reset (RST); what it has not read of \
             \"e\" is lost",
        ];
        assert_eq!(told, expected);
    }
}
