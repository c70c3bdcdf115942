//! The connection that a process was started with: its stdin and its stdout, which may be one
//! socket or two pipes, or whatever else can be read and written.
//!
//! Every call waits in poll(2) and then does only what can be done at once: so time limits hold on
//! pipes, which know no timeouts, and a word to stop is heard while nothing comes. The descriptors
//! are used as they are. A copy would keep the connection open after it was closed; and a change
//! of their mode to non-blocking would be seen by every process that shares them.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use rustix::pipe::PIPE_BUF;
use rustix::stdio::{dup2_stdout, stderr, stdin, stdout};

use super::blocking::{BlockingStream, Received};

/// Whether and how far a server was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Not,
    /// What has come is still received; then the session is told.
    Wanted,
    Told,
}

/// This process's stdin and stdout.
#[derive(Debug)]
pub struct Stdio {
    /// What is to be heard besides the peer.
    stop_fds: [OwnedFd; 2],
    stop: Stop,
    /// Set by a signal, which interrupts every wait: the connection is cut.
    cut: Arc<AtomicBool>,
    input_is_socket: bool,
    output_is_socket: bool,
}

impl Stdio {
    /// `stop_fds`: descriptors either of which has something to read, if only the end of input, as
    /// soon as the session is to end. `cut`, when set by a signal: it ends at once.
    pub fn new(stop_fds: [OwnedFd; 2], cut: Arc<AtomicBool>) -> io::Result<Self> {
        // Only TCP has it, and a socket of another kind does not need it.
        sockopt::set_tcp_nodelay(stdout(), true).ok();
        Ok(Self {
            stop_fds,
            stop: Stop::Not,
            cut,
            input_is_socket: is_socket(stdin())?,
            output_is_socket: is_socket(stdout())?,
        })
    }

    /// Sees to it that what is written to stderr is not sent to the peer: inetd and systemd may
    /// give us the connection there, too.
    pub fn detach_stderr_from_peer() -> io::Result<()> {
        let log = fstat(stderr())?;
        let is_the_connection = [stdin(), stdout()].into_iter().any(|connection| {
            fstat(connection).is_ok_and(|stat| {
                let kind = FileType::from_raw_mode(stat.st_mode);
                matches!(kind, FileType::Socket | FileType::Fifo)
                    && (stat.st_dev, stat.st_ino) == (log.st_dev, log.st_ino)
            })
        });
        if is_the_connection {
            rustix::stdio::dup2_stderr(dev_null()?)?;
        }
        Ok(())
    }

    fn check(&self) -> io::Result<()> {
        let cut = self.cut.load(Ordering::Acquire);
        if cut { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Waits until there is something to receive. False: it was told to stop instead, and nothing
    /// is there.
    fn wait_readable(&mut self, wait: Option<Duration>) -> io::Result<bool> {
        let (input, [stop_fd, other]) = (stdin(), &self.stop_fds);
        let watched = &mut [
            PollFd::new(&input, PollFlags::IN),
            PollFd::new(stop_fd, PollFlags::IN),
            PollFd::new(other, PollFlags::IN),
        ];
        let (watched, wait) = match self.stop {
            Stop::Not => (&mut watched[..], wait),
            Stop::Wanted => (&mut watched[..1], Some(Duration::ZERO)),
            Stop::Told => (&mut watched[..1], wait),
        };
        poll(watched, timespec(wait)?.as_ref())?;
        let mut marked = watched.iter().map(|watched| !watched.revents().is_empty());
        let incoming = marked.next().unwrap_or(false);
        if marked.any(|ready| ready) {
            self.stop = Stop::Wanted;
        }
        match self.stop {
            _ if incoming => Ok(true),
            Stop::Wanted => {
                self.stop = Stop::Told;
                Ok(false)
            }
            Stop::Not | Stop::Told => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl BlockingStream for Stdio {
    fn receive(&mut self, room: &mut [u8], wait: Option<Duration>) -> io::Result<Received> {
        self.check()?;
        if !self.wait_readable(wait)? {
            return Ok(Received::Stop);
        }
        let received = if self.input_is_socket {
            recv(stdin(), room, RecvFlags::DONTWAIT).map(|(n, _)| n)
        } else {
            rustix::io::read(stdin(), room)
        };
        Ok(Received::Bytes(received?))
    }

    fn send(&mut self, bytes: &[u8], wait: Option<Duration>) -> io::Result<usize> {
        self.check()?;
        let output = stdout();
        let ready = poll(&mut [PollFd::new(&output, PollFlags::OUT)], timespec(wait)?.as_ref())?;
        if ready == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let sent = if self.output_is_socket {
            send(output, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
        } else {
            // A pipe that is ready has room for so much (pipe(7)); more might wait, without limit.
            rustix::io::write(output, &bytes[..bytes.len().min(PIPE_BUF)])
        };
        Ok(sent?)
    }

    fn shut_down_sending(&mut self) -> io::Result<()> {
        if self.output_is_socket {
            return Ok(shutdown(stdout(), Shutdown::Write)?);
        }
        // The end of a pipe is seen when the last descriptor of its end is gone.
        Ok(dup2_stdout(dev_null()?)?)
    }
}

fn is_socket(descriptor: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(descriptor)?.st_mode) == FileType::Socket)
}

fn dev_null() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/null")
}

/// The limits of time are such that they fit.
fn timespec(wait: Option<Duration>) -> io::Result<Option<Timespec>> {
    wait.map(Timespec::try_from).transpose().map_err(io::Error::other)
}
