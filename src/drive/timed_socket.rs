//! The socket of a thread, with the timeouts of its calls, and the ticks of its longest wait.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::SockRef;

use super::blocking::{BlockingStream, Received, TIMEOUT_SLACK};

/// The ticks by which a wait for a client's next message is measured, if it is long.
///
/// A timeout of the socket costs a kernel timer in each receive, 3 % of a reply. A thread that may
/// wait for a minute or longer has none: the server's loop counts the ticks of all threads that
/// wait, and shuts down the receiving half of a socket whose ticks are over. A halt of the process
/// counts as one tick at most, however long it is.
#[derive(Debug, Default)]
pub struct Ticks {
    /// The ticks of the wait that are left; 0 if nobody waits, or the wait is over.
    left: AtomicU64,
    /// True once a wait was over: the receiving half of the socket is shut down then, for good.
    is_over: AtomicBool,
}

impl Ticks {
    /// The time from a tick to the next. A wait is at most twice this longer than asked for.
    pub const PERIOD: Duration = Duration::from_secs(5);

    /// Counts a tick. Returns true if the wait of the thread is over with it: no tick is left, and
    /// nothing has arrived. What arrives between that look and the shutdown is answered, and the
    /// connection ends after it.
    pub fn count(&self, socket: &TcpStream) -> bool {
        let left =
            self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1));
        let is_over = left == Ok(1) && is_empty(socket);
        if is_over {
            self.is_over.store(true, Ordering::Release);
        }
        is_over
    }

    fn begin(&self, wait: Duration) {
        // A part of a period needs a tick as well, and the first may come at once.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.left.store(seconds.div_ceil(Self::PERIOD.as_secs()) + 1, Ordering::Release);
    }

    fn end(&self) {
        self.left.store(0, Ordering::Release);
    }
}

/// A blocking socket with its timeouts.
///
/// To stop a session, another thread makes `stopped` return true and shuts down the receiving half
/// of the socket, which ends the wait. An end of input is then not the peer's.
pub struct TimedSocket<'a, F> {
    socket: &'a TcpStream,
    ticks: &'a Ticks,
    stopped: F,
    /// True once [`Received::Stop`] was returned.
    reported: bool,
    receive_timeout: Timeout,
    send_timeout: Timeout,
}

impl<'a, F: Fn() -> bool> TimedSocket<'a, F> {
    /// Wraps a socket that has no timeouts yet. Somebody counts the `ticks` while it waits.
    pub fn new(socket: &'a TcpStream, ticks: &'a Ticks, stopped: F) -> Self {
        let (receive_timeout, send_timeout) = (Timeout::default(), Timeout::default());
        Self { socket, ticks, stopped, reported: false, receive_timeout, send_timeout }
    }

    /// The outcome of a receive that has returned `n`.
    fn received(&mut self, n: usize) -> Received {
        if n == 0 && !self.reported && (self.stopped)() {
            self.reported = true;
            return Received::Stop;
        }
        let is_over = n == 0 && self.ticks.is_over.load(Ordering::Acquire);
        if is_over { Received::Silence } else { Received::Bytes(n) }
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
        received.map(|n| self.received(n))
    }

    fn receive_next(&mut self, room: &mut [u8], wait: Duration) -> io::Result<Received> {
        let mut socket = self.socket;
        self.receive_timeout.set(None, |time| socket.set_read_timeout(time))?;
        self.ticks.begin(wait);
        let received = socket.read(room);
        self.ticks.end();
        received.map(|n| self.received(n))
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

/// True if a receive would wait.
fn is_empty(socket: &TcpStream) -> bool {
    let peeked = recv(socket, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    peeked.is_err_and(|error| io::Error::from(error).kind() == io::ErrorKind::WouldBlock)
}

/// The timeout of one direction of a socket.
#[derive(Default)]
struct Timeout {
    /// The timeout that is set, or one that is longer than any.
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

    /// Makes the next call set its timeout, after one that timed out: it gets its full wait.
    fn note(&mut self, result: io::Result<usize>) -> io::Result<usize> {
        if let Err(error) = &result
            && matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        {
            self.current = Some(Duration::MAX);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, peer)
    }

    /// Receives once in a thread, in which `meanwhile` begins when it waits.
    fn receive_next(
        wait: Duration,
        meanwhile: impl FnOnce(&Ticks, &TcpStream, TcpStream),
    ) -> Received {
        let (socket, peer) = pair();
        let ticks = Ticks::default();
        thread::scope(|scope| {
            let body =
                || TimedSocket::new(&socket, &ticks, || false).receive_next(&mut [0; 8], wait);
            let thread = thread::Builder::new().spawn_scoped(scope, body).unwrap();
            while ticks.left.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            meanwhile(&ticks, &socket, peer);
            thread.join().unwrap().unwrap()
        })
    }

    #[test]
    fn a_wait_for_the_next_message_is_over_with_its_last_tick() {
        let received = receive_next(Duration::from_secs(61), |ticks, socket, _peer| {
            let counted = (1..100).find(|_| ticks.count(socket));
            assert_eq!(counted, Some(14), "61 s need 13 periods, and a tick may come at once");
            socket.shutdown(Shutdown::Read).unwrap();
        });
        assert_eq!(received, Received::Silence);
    }

    #[test]
    fn a_message_that_has_arrived_comes_before_the_last_tick() {
        let (socket, mut peer) = pair();
        let ticks = Ticks::default();
        ticks.begin(Duration::from_secs(60));
        peer.write_all(b"1 + 2\n").unwrap();
        socket.peek(&mut [0; 1]).unwrap();
        assert!(!(0..100).any(|_| ticks.count(&socket)));
    }

    #[test]
    fn a_long_wait_that_follows_a_timeout_has_none() {
        let (socket, mut peer) = pair();
        let ticks = Ticks::default();
        let mut socket = TimedSocket::new(&socket, &ticks, || false);
        socket.receive(&mut [0; 8], Some(Duration::from_millis(1))).unwrap_err();
        peer.write_all(b"1").unwrap();
        let received = socket.receive_next(&mut [0; 8], Duration::from_secs(60));
        assert_eq!(received.unwrap(), Received::Bytes(1));
        assert_eq!(socket.socket.read_timeout().unwrap(), None);
    }

    #[test]
    fn a_message_ends_the_wait_for_it_and_no_tick_counts_after_it() {
        let received = receive_next(Duration::from_secs(60), |ticks, socket, mut peer| {
            assert!(!ticks.count(socket));
            peer.write_all(b"1 + 2\n").unwrap();
            while ticks.left.load(Ordering::Acquire) > 0 {
                thread::yield_now();
            }
            assert!(!(0..100).any(|_| ticks.count(socket)));
        });
        assert_eq!(received, Received::Bytes(6));
    }
}
