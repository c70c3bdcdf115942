//! The driver that waits in system calls, for a thread or a process that serves one connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::close_reason_of;
use crate::buffer::Pool;
use crate::service::WORK_PER_SLICE;
use crate::session::{ActiveSession, Session, Want};

/// The most by which a socket's timeout may exceed the wait asked for, and so the delay with which
/// a deadline may be noticed. Setting a timeout is a system call, so any shorter timeout is left as
/// it is: a call that times out early is repeated.
const TIMEOUT_SLACK: Duration = Duration::from_millis(10);

/// The outcome of a receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The number of bytes; 0 means the end of input.
    Bytes(usize),
    /// No bytes: the server stops, and nothing more should be waited for. Returned once.
    Stop,
}

/// A connection whose calls block for at most `wait`, or without limit if that is `None`. A call
/// that times out fails with [`io::ErrorKind::WouldBlock`] or [`io::ErrorKind::TimedOut`].
pub trait BlockingStream {
    /// Receives into `room`; waits until there is at least one byte or the end of input.
    fn receive(&mut self, room: &mut [u8], wait: Option<Duration>) -> io::Result<Received>;

    /// Sends some of these bytes, and returns their number.
    fn send(&mut self, bytes: &[u8], wait: Option<Duration>) -> io::Result<usize>;

    /// Closes the sending half. The peer sees the end of input; receiving is still possible.
    fn shut_down_sending(&mut self) -> io::Result<()>;
}

/// Serves one connection to its end.
pub fn serve(stream: &mut impl BlockingStream, session: &mut Session) {
    let mut pool = Pool::default();
    let mut now = clock();
    while !run_slice(stream, &mut session.activate(&mut pool, WORK_PER_SLICE, now), &mut now) {}
}

/// Runs a session until its budget is used up or it is finished. Returns true if it is finished.
fn run_slice(
    stream: &mut impl BlockingStream,
    session: &mut ActiveSession<'_>,
    now: &mut Instant,
) -> bool {
    loop {
        session.tick(*now);
        let wait = session.deadline().map(|deadline| deadline.saturating_duration_since(*now));
        match session.want() {
            Want::Send(bytes) => {
                let sent = stream.send(bytes, wait);
                *now = clock();
                match sent {
                    Ok(n) => session.sent(n, *now),
                    Err(error) => failed(&error, session),
                }
            }
            Want::Receive(room) => {
                let received = stream.receive(room, wait);
                *now = clock();
                match received {
                    Ok(Received::Bytes(n)) => session.received(n, *now),
                    Ok(Received::Stop) => session.end_input(*now),
                    Err(error) => failed(&error, session),
                }
            }
            Want::ShutDown => match stream.shut_down_sending() {
                Ok(()) => session.shut_down(),
                Err(error) => session.cut(close_reason_of(&error)),
            },
            Want::Yield => return false,
            Want::Wait => {
                thread::park_timeout(wait.unwrap_or(TIMEOUT_SLACK));
                *now = clock();
            }
            Want::Finished => return true,
        }
    }
}

/// Cuts the session, unless the call that failed only timed out or was interrupted by a signal.
fn failed(error: &io::Error, session: &mut ActiveSession<'_>) {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {}
        _ => session.cut(close_reason_of(error)),
    }
}

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
        self.receive_timeout.set(wait, |time| socket.set_read_timeout(time))?;
        match self.receive_timeout.note(socket.read(room))? {
            0 if !self.reported && (self.stopped)() => {
                self.reported = true;
                Ok(Received::Stop)
            }
            n => Ok(Received::Bytes(n)),
        }
    }

    fn send(&mut self, bytes: &[u8], wait: Option<Duration>) -> io::Result<usize> {
        let mut socket = self.socket;
        self.send_timeout.set(wait, |time| socket.set_write_timeout(time))?;
        self.send_timeout.note(socket.write(bytes))
    }

    fn shut_down_sending(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
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

#[expect(clippy::disallowed_methods, reason = "a driver's clock: what it reads is passed on")]
fn clock() -> Instant {
    Instant::now()
}
