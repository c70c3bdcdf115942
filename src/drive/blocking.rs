//! The driver that waits in system calls, for a thread or a process with one connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::close_reason_of;
use crate::buffer::Pool;
use crate::service::WORK_PER_SLICE;
use crate::session::{ActiveSession, Session, Want};

/// The delay with which a deadline may be noticed. Setting a socket's timeout is a system call: a
/// timeout that would fire no later than this is left as it is.
const TIMEOUT_SLACK: Duration = Duration::from_millis(10);

/// The outcome of a receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The number of bytes; 0 means the end of input.
    Bytes(usize),
    /// No bytes, and none will be waited for: the server stops. Returned once.
    Stop,
}

/// A connection whose calls block, for `wait` at most, or without limit if that is none. A call
/// whose time is over fails with [`io::ErrorKind::WouldBlock`] or [`io::ErrorKind::TimedOut`].
pub trait BlockingStream {
    /// Receives what there is, at least one byte.
    fn receive(&mut self, room: &mut [u8], wait: Option<Duration>) -> io::Result<Received>;

    /// Sends some of these bytes, and returns how many.
    fn send(&mut self, bytes: &[u8], wait: Option<Duration>) -> io::Result<usize>;

    /// Closes the sending half: the peer sees the end of input, and we can still receive.
    fn shut_down_sending(&mut self) -> io::Result<()>;
}

/// Serves one connection to its end.
pub fn serve(stream: &mut impl BlockingStream, session: &mut Session) {
    let mut pool = Pool::default();
    let mut now = clock();
    while !run_slice(stream, &mut session.activate(&mut pool, WORK_PER_SLICE, now), &mut now) {}
}

/// Runs a session until its budget is used up. True means that it is finished.
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

/// Takes the error of a system call: its time was over, a signal interrupted it, or the connection
/// is broken.
fn failed(error: &io::Error, session: &mut ActiveSession<'_>) {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {}
        _ => session.cut(close_reason_of(error)),
    }
}

/// A blocking socket with its timeouts. An end of input while `stopped` says true is the server's
/// doing: the receiving half of the socket was shut down to end a wait.
pub struct TimedSocket<'a, F> {
    socket: &'a TcpStream,
    stopped: F,
    /// True after [`Received::Stop`].
    reported: bool,
    receive_timeout: Timeout,
    send_timeout: Timeout,
}

impl<'a, F: Fn() -> bool> TimedSocket<'a, F> {
    /// A socket without timeouts so far.
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

/// One direction's timeout, as the socket has it.
#[derive(Default)]
struct Timeout {
    current: Option<Duration>,
}

impl Timeout {
    /// Makes the next call wait for about `wait` and no longer, by `set` if need be.
    fn set(
        &mut self,
        wait: Option<Duration>,
        set: impl FnOnce(Option<Duration>) -> io::Result<()>,
    ) -> io::Result<()> {
        // A timeout of 0 would mean to wait for ever.
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

    /// After a call that ran out of its time the next one gets a time of its own.
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
