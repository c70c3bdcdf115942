//! The socket of a thread, with the timeouts of its calls.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::SockRef;

use super::blocking::{BlockingStream, Received, TIMEOUT_SLACK};

/// A blocking socket with its timeouts.
///
/// To stop a session, another thread makes `stopped` return true and shuts down the receiving half
/// of the socket, which ends the wait. An end of input is then not the peer's.
pub struct TimedSocket<'a, F> {
    socket: &'a TcpStream,
    stopped: F,
    /// True once [`Received::Stop`] was returned.
    reported: bool,
    receive_timeout: Timeout,
    send_timeout: Timeout,
}

impl<'a, F: Fn() -> bool> TimedSocket<'a, F> {
    /// Wraps a socket that has no timeouts yet.
    pub fn new(socket: &'a TcpStream, stopped: F) -> Self {
        let (receive_timeout, send_timeout) = (Timeout::default(), Timeout::default());
        Self { socket, stopped, reported: false, receive_timeout, send_timeout }
    }
}

impl<F: Fn() -> bool> BlockingStream for TimedSocket<'_, F> {
    fn receive(&mut self, room: &mut [u8], wait: Option<Duration>) -> io::Result<Received> {
        let mut socket = self.socket;
        let received = if wait == Some(Duration::ZERO) {
            recv(socket, room, RecvFlags::DONTWAIT).map(|(n, _)| n).map_err(io::Error::from)
        } else {
            self.receive_timeout.set(wait, |time| socket.set_read_timeout(time))?;
            self.receive_timeout.note(socket.read(room))
        };
        match received? {
            0 if !self.reported && (self.stopped)() => {
                self.reported = true;
                Ok(Received::Stop)
            }
            n => Ok(Received::Bytes(n)),
        }
    }

    fn send(&mut self, bytes: &[u8], wait: Option<Duration>) -> io::Result<usize> {
        let mut socket = self.socket;
        if wait == Some(Duration::ZERO) {
            return Ok(send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?);
        }
        self.send_timeout.set(wait, |time| socket.set_write_timeout(time))?;
        self.send_timeout.note(socket.write(bytes))
    }

    fn shut_down_sending(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    fn acknowledge(&mut self) {
        SockRef::from(self.socket).set_tcp_quickack(true).ok();
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.socket.take_error().ok().flatten()
    }
}

impl<F> AsFd for TimedSocket<'_, F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The timeout that is set on a socket for one direction.
#[derive(Default)]
struct Timeout {
    current: Option<Duration>,
}

impl Timeout {
    /// Limits the next call to `wait` and [`TIMEOUT_SLACK`], with `set` if the timeout is longer.
    fn set(
        &mut self,
        wait: Option<Duration>,
        set: impl FnOnce(Option<Duration>) -> io::Result<()>,
    ) -> io::Result<()> {
        // A timeout of 0 means none to the kernel (socket(7)), and is an error to std.
        let wait = wait.map(|wait| wait.max(Duration::from_millis(1)));
        match (self.current, wait) {
            (Some(current), Some(wait)) if current <= wait + TIMEOUT_SLACK => Ok(()),
            (None, None) => Ok(()),
            (_, wait) => {
                self.current = wait;
                set(wait)
            }
        }
    }

    /// Forgets the timeout after a call that timed out: the next call gets its full wait.
    fn note(&mut self, result: io::Result<usize>) -> io::Result<usize> {
        if let Err(error) = &result
            && matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        {
            self.current = None;
        }
        result
    }
}
