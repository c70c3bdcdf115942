//! The driver that waits in system calls, for a thread or a process that serves one connection.

use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use super::explained::Explained;
use super::slots::Slots;
use super::{close_reason_of, halt};
use crate::buffer::Pool;
use crate::explain;
use crate::service::{MIN_WORK, WORK_PER_SLICE};
use crate::session::{ActiveSession, CloseReason, Session, Want};

/// The most by which a socket's timeout may exceed the wait asked for, and so the delay with which
/// a deadline may be noticed. Setting a timeout is a system call, so any shorter timeout is left as
/// it is: a call that times out early is repeated.
pub(super) const TIMEOUT_SLACK: Duration = Duration::from_millis(10);

/// The shortest wait for a client's next message that may end late.
const LONG_WAIT: Duration = Duration::from_secs(60);

/// The most work after which the clock is not read again, in products of 64-bit limbs: it takes a
/// few microseconds.
const LITTLE_WORK: u32 = 16 * MIN_WORK;

/// The outcome of a receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The number of bytes; 0 means the end of input.
    Bytes(usize),
    /// No bytes: the server stops, and nothing more should be waited for. Returned once.
    Stop,
    /// No bytes: the client was silent for as long as it may be.
    Silence,
}

/// A connection whose calls block for at most `wait`, or without limit if that is `None`; with a
/// `wait` of zero they do not block. A call that times out fails with [`io::ErrorKind::WouldBlock`]
/// or [`io::ErrorKind::TimedOut`].
pub trait BlockingStream {
    /// The system call in which it waits, for a line that explains it; empty if that is the receive
    /// or the send itself.
    const WAITS_IN: &'static str = "";

    /// Receives into `room`; waits until there is at least one byte or the end of input.
    fn receive(&mut self, room: &mut [u8], wait: Option<Duration>) -> io::Result<Received>;

    /// The same for a long wait between two messages, which may last longer than `wait`. It ends
    /// with [`Received::Silence`], or fails as a receive does.
    fn receive_next(&mut self, room: &mut [u8], wait: Duration) -> io::Result<Received> {
        self.receive(room, Some(wait))
    }

    /// Sends some of these bytes, and returns their number.
    fn send(&mut self, bytes: &[u8], wait: Option<Duration>) -> io::Result<usize>;

    /// Closes the sending half. The peer sees the end of input; receiving is still possible.
    fn shut_down_sending(&mut self) -> io::Result<()>;

    /// See [`Socket::acknowledge`](super::Socket::acknowledge).
    fn acknowledge(&mut self);

    /// See [`Socket::take_error`](super::Socket::take_error).
    fn take_error(&mut self) -> Option<io::Error> {
        None
    }
}

/// Serves one connection, opened at `now`, to its end. Where there are `slots`, it waits for one
/// before a heavy message. Such a message is only served when a slice begins, so nothing is sent or
/// received with a slot. If the slots are closed, the connection is cut.
pub fn serve(
    stream: &mut (impl BlockingStream + AsFd),
    session: &mut Session,
    now: Instant,
    slots: Option<&Slots>,
) {
    if explain::is_enabled() {
        let mut stream = Explained::new(stream, session.client());
        return serve_on(&mut stream, session, now, slots);
    }
    serve_on(stream, session, now, slots);
}

fn serve_on(
    stream: &mut impl BlockingStream,
    session: &mut Session,
    now: Instant,
    slots: Option<&Slots>,
) {
    let (mut pool, mut now) = (Pool::of_small_blocks(), now);
    loop {
        let mut slot = None;
        if let Some(slots) = slots.filter(|_| session.is_heavy()) {
            slot = slots.acquire();
            // The client is not slow meanwhile.
            let then = std::mem::replace(&mut now, clock());
            session.delay(now - then);
            if slot.is_none() {
                session.cut(CloseReason::Forced);
            }
            // Nobody waits for a reply that cannot arrive.
            if let Some(error) = stream.take_error() {
                session.cut(close_reason_of(&error));
            }
        }
        let mut slice = session.activate(&mut pool, WORK_PER_SLICE, now);
        drop(slot);
        if run_slice(stream, &mut slice, &mut now) {
            return;
        }
    }
}

/// Runs a session until its budget is used up, its next message is heavy, or it is finished.
/// Returns true if it is finished.
///
/// A send is tried without a wait first: most need none. The clock is read after each call, and
/// before the next one if there was more than a little work.
///
/// A timer fires only after a call that did not wait and found nothing: a call that was
/// interrupted, or timed out late because the process was halted, says nothing about what has
/// arrived.
fn run_slice(
    stream: &mut impl BlockingStream,
    session: &mut ActiveSession<'_>,
    now: &mut Instant,
) -> bool {
    let mut has_room = true;
    loop {
        if session.work() > LITTLE_WORK {
            *now = read_clock(session, *now, halt::longest_run(1, session.work().into()));
        }
        let tries = has_room && session.owes();
        let until_due = |deadline: Instant| deadline.saturating_duration_since(*now);
        let wait = if tries { Some(Duration::ZERO) } else { session.deadline().map(until_due) };
        let is_due = !tries && wait == Some(Duration::ZERO);
        let long_wait = wait.filter(|&it| it >= LONG_WAIT && session.is_between_messages());
        let failed = match session.want() {
            Want::Send(bytes) => {
                let length = bytes.len();
                let sent = stream.send(bytes, wait);
                has_room = sent.as_ref().is_ok_and(|&n| n == length);
                *now = read_clock(session, *now, longest_call(wait, &sent));
                sent.map(|n| session.sent(n, *now))
            }
            Want::Receive(room) => {
                let received = match long_wait {
                    Some(wait) => stream.receive_next(room, wait),
                    None => stream.receive(room, wait),
                };
                *now = read_clock(session, *now, longest_call(wait, &received));
                received.map(|received| report(received, stream, session, *now))
            }
            Want::ShutDown => stream.shut_down_sending().map(|()| session.shut_down()),
            Want::Yield => return false,
            Want::Wait if is_due => Err(io::ErrorKind::TimedOut.into()),
            Want::Wait => {
                let wait = wait.unwrap_or(TIMEOUT_SLACK);
                thread::park_timeout(wait);
                *now = read_clock(session, *now, wait);
                Ok(())
            }
            Want::Finished => return true,
        };
        match failed.map_err(|error| (error.kind(), error)) {
            Ok(()) | Err((io::ErrorKind::Interrupted, _)) => {}
            Err((io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, _)) => {
                if is_due {
                    session.tick(*now);
                }
            }
            Err((_, error)) => session.cut(close_reason_of(&error)),
        }
    }
}

/// Reports the outcome of a receive to the session.
fn report(
    received: Received,
    stream: &mut impl BlockingStream,
    session: &mut ActiveSession<'_>,
    now: Instant,
) {
    match received {
        Received::Bytes(n) => {
            session.renew_budget();
            session.received(n, now);
            if session.awaits_rest() {
                stream.acknowledge();
            }
        }
        Received::Stop => session.end_input(now),
        Received::Silence => session.cut(CloseReason::Idle),
    }
}

/// The longest time of a call with this result that should wait for `wait`. The signals that the
/// program receives go to its main thread, or end the connection of a process, so an interrupt is a
/// halt.
fn longest_call<T>(wait: Option<Duration>, result: &io::Result<T>) -> Duration {
    let interrupted = |error: &io::Error| error.kind() == io::ErrorKind::Interrupted;
    let timeout = wait.map(|wait| wait + TIMEOUT_SLACK);
    halt::longest_wait(timeout, result.as_ref().is_err_and(interrupted))
}

/// Reads the clock. If far more than `longest` has passed since `then`, the process was halted, and
/// all deadlines of the session move by that.
fn read_clock(session: &mut ActiveSession<'_>, then: Instant, longest: Duration) -> Instant {
    let now = clock();
    let halt = halt::time_halted(now.saturating_duration_since(then), longest);
    if !halt.is_zero() {
        session.delay(halt);
    }
    now
}

/// A call that would wait is made without waiting first: only one that does wait says so.
impl<S: BlockingStream + AsFd> BlockingStream for Explained<&mut S> {
    fn receive(&mut self, room: &mut [u8], wait: Option<Duration>) -> io::Result<Received> {
        let mut received = self.inner.receive(room, Some(Duration::ZERO));
        if self.waits("recv from", S::WAITS_IN, &received, wait) {
            received = self.inner.receive(room, wait);
        }
        match &received {
            Ok(Received::Bytes(n)) => self.tell_receive(room, Ok(*n)),
            Ok(Received::Stop) => self.tell_stop(),
            // Only a receive_next of the inner stream returns it, which is not called.
            Ok(Received::Silence) => {}
            Err(error) => self.tell_receive(room, Err(error)),
        }
        received
    }

    fn send(&mut self, bytes: &[u8], wait: Option<Duration>) -> io::Result<usize> {
        let mut sent = self.inner.send(bytes, Some(Duration::ZERO));
        if self.waits("send to", S::WAITS_IN, &sent, wait) {
            sent = self.inner.send(bytes, wait);
        }
        self.tell_send(bytes, &sent);
        sent
    }

    fn shut_down_sending(&mut self) -> io::Result<()> {
        let shut = self.inner.shut_down_sending();
        self.tell_shutdown(&shut);
        shut
    }

    fn acknowledge(&mut self) {
        self.inner.acknowledge();
        self.tell_acknowledgement();
    }

    fn take_error(&mut self) -> Option<io::Error> {
        let error = self.inner.take_error()?;
        self.tell_error(&error);
        Some(error)
    }
}

#[expect(clippy::disallowed_methods, reason = "a driver's clock: what it reads is passed on")]
fn clock() -> Instant {
    Instant::now()
}
