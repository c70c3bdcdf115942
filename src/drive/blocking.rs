//! The driver of a thread of its own: wait in the system call.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Socket, ending_of};
use crate::buffer::Pool;
use crate::session::{Session, Turn, Want};

/// How late a deadline may be noticed. A socket's timeout is a length of time, set by a system
/// call; as long as the one that is set would fire no later than this, it is left as it is.
const TIMEOUT_SLACK: Duration = Duration::from_millis(10);

/// Serves one connection to its end. When `stopping` is set, an end of input is not the peer's
/// doing: the receiving half of the socket was shut down to wake us.
pub fn serve(mut socket: &TcpStream, session: &mut Session, stopping: &AtomicBool) {
    let mut pool = Pool::default();
    let mut turn = session.turn(&mut pool);
    let (mut receive_timeout, mut send_timeout) = (Timeout::default(), Timeout::default());
    let mut drained = false;
    let mut now = clock();
    turn.open(now);
    loop {
        turn.tick(now);
        let wait = turn.deadline().map(|deadline| deadline.saturating_duration_since(now));
        match turn.want() {
            Want::Send(bytes) => {
                let sent = send_timeout
                    .set(wait, |time| socket.set_write_timeout(time))
                    .and_then(|()| socket.write(bytes));
                now = clock();
                match sent {
                    Ok(n) => turn.sent(n, now),
                    Err(error) => failed(&error, &mut turn, &mut send_timeout),
                }
            }
            Want::Receive(room) => {
                let received = receive_timeout
                    .set(wait, |time| socket.set_read_timeout(time))
                    .and_then(|()| socket.read(room));
                now = clock();
                match received {
                    Ok(0) if !drained && stopping.load(Ordering::Acquire) => {
                        drained = true;
                        turn.end_input(now);
                    }
                    Ok(n) => turn.received(n, now),
                    Err(error) => failed(&error, &mut turn, &mut receive_timeout),
                }
            }
            Want::ShutDown => match socket.shut_down_sending() {
                Ok(()) => turn.shut_down(),
                Err(error) => turn.cut(ending_of(&error)),
            },
            Want::Wait => {
                thread::park_timeout(wait.unwrap_or(TIMEOUT_SLACK));
                now = clock();
            }
            Want::Finished => return,
        }
    }
}

/// A system call did not do its work: its time was over, or a signal came, or the connection is
/// gone.
fn failed(error: &io::Error, turn: &mut Turn<'_>, timeout: &mut Timeout) {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => timeout.current = None,
        io::ErrorKind::Interrupted => {}
        _ => turn.cut(ending_of(error)),
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
}

#[expect(clippy::disallowed_methods, reason = "a driver's clock: what it reads is passed on")]
fn clock() -> Instant {
    Instant::now()
}
