//! The connection on the standard input and output of the process, which may be one socket, two
//! pipes, or anything else that can be read and written; or a socket that the process was passed.
//!
//! Every call waits in poll(2), and then reads or writes without blocking. So time limits work on
//! pipes, which have no timeouts, and a request to stop is noticed while no input arrives. The
//! descriptors are used as they are: a duplicate would keep the connection open after a close, and
//! `O_NONBLOCK` would be seen by every process that shares the open file (fcntl(2)).

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use rustix::pipe::{PIPE_BUF, PipeFlags, pipe_with};
use rustix::stdio::{dup2_stdout, stderr, stdin, stdout};
use socket2::SockRef;

use super::blocking::{BlockingStream, Received};
use crate::error::{Failure, is_disconnect};

/// The progress of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    /// The server stops. Input that has already arrived is received first.
    Requested,
    /// [`Received::Stop`] was returned.
    Reported,
}

/// This process's stdin and stdout, or a socket in their place.
#[derive(Debug)]
pub struct Stdio<'a> {
    input: BorrowedFd<'a>,
    output: BorrowedFd<'a>,
    /// The descriptors that become readable when the session must end.
    stop_fds: [BorrowedFd<'a>; 2],
    stop: Stop,
    /// Set by a signal handler, whose signal interrupts every wait: the connection is cut.
    cut: &'a AtomicBool,
    input_is_socket: bool,
    output_is_socket: bool,
    /// The failure of a stdin or stdout that is no socket, so that no network is to blame.
    failure: Option<Failure>,
}

impl<'a> Stdio<'a> {
    /// Takes over the connection. The session ends in order when either of `stop_fds` becomes
    /// readable, also by an end of input, and immediately when a signal handler sets `cut`.
    pub fn new(stop_fds: [BorrowedFd<'a>; 2], cut: &'a AtomicBool) -> io::Result<Self> {
        // Only TCP has this option; a socket of another kind does not need it.
        sockopt::set_tcp_nodelay(stdout(), true).ok();
        Ok(Self {
            input: stdin(),
            output: stdout(),
            input_is_socket: is_socket(stdin())?,
            output_is_socket: is_socket(stdout())?,
            ..Self::on_socket(stdin(), stop_fds, cut)
        })
    }

    /// The same with a socket of a server in the place of both.
    pub fn on_socket(
        socket: BorrowedFd<'a>,
        stop_fds: [BorrowedFd<'a>; 2],
        cut: &'a AtomicBool,
    ) -> Self {
        let (input, output, stop) = (socket, socket, Stop::No);
        let (input_is_socket, output_is_socket) = (true, true);
        Self {
            input,
            output,
            stop_fds,
            stop,
            cut,
            input_is_socket,
            output_is_socket,
            failure: None,
        }
    }

    /// Closes stderr if it is the connection of a session: log lines must not be sent to the peer.
    /// They are lost.
    pub fn detach_stderr_from_peer() -> io::Result<()> {
        detach_stderr(&[stdin(), stdout()], &[FileType::Socket, FileType::Fifo])
    }

    /// Closes stderr if it is the same socket as stdin, as under inetd and systemd. This is for the
    /// time before the command is known: a usage error must not be sent to the peer either. It is
    /// lost, and only the exit code tells it. A pipe stays open: a person may read it in a pager.
    pub fn detach_stderr_from_socket() -> io::Result<()> {
        detach_stderr(&[stdin()], &[FileType::Socket])
    }

    /// The kind of file that stdin is, with its article.
    pub fn input_kind() -> &'static str {
        match fstat(stdin()).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Socket) => "a socket without an address",
            Ok(FileType::Fifo) => "a pipe",
            Ok(FileType::RegularFile) => "a file",
            _ if io::stdin().is_terminal() => "a terminal",
            _ => "a device",
        }
    }

    /// The failure of stdin or stdout that has ended the session, if it was this machine's: a
    /// full disk, an input that is a folder.
    pub fn into_failure(self) -> Option<Failure> {
        self.failure
    }

    /// Notes the failure of a call on something else than a socket.
    fn note(&mut self, action: &str, error: Errno) -> io::Error {
        let error = io::Error::from(error);
        let is_retried =
            matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
        if !is_retried && !is_disconnect(&error) {
            self.failure = Some(Failure::cannot(action, &error));
        }
        error
    }

    fn check(&self) -> io::Result<()> {
        let cut = self.cut.load(Ordering::Acquire);
        if cut { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Waits for input. False means that there is none, and that the server stops.
    fn wait_readable(&mut self, wait: Option<Duration>) -> io::Result<bool> {
        let (input, [stop_fd, other]) = (self.input, &self.stop_fds);
        let watched = &mut [
            PollFd::new(&input, PollFlags::IN),
            PollFd::new(stop_fd, PollFlags::IN),
            PollFd::new(other, PollFlags::IN),
        ];
        let (watched, wait) = match self.stop {
            Stop::No => (&mut watched[..], wait),
            Stop::Requested => (&mut watched[..1], Some(Duration::ZERO)),
            Stop::Reported => (&mut watched[..1], wait),
        };
        poll(watched, timespec(wait)?.as_ref())?;
        let mut ready = watched.iter().map(|watched| !watched.revents().is_empty());
        let has_input = ready.next().unwrap_or(false);
        if ready.any(|ready| ready) {
            self.stop = Stop::Requested;
        }
        match self.stop {
            _ if has_input => Ok(true),
            Stop::Requested => {
                self.stop = Stop::Reported;
                Ok(false)
            }
            Stop::No | Stop::Reported => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl AsFd for Stdio<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.input
    }
}

impl BlockingStream for Stdio<'_> {
    const WAITS_IN: &'static str = " in poll";

    fn receive(&mut self, room: &mut [u8], wait: Option<Duration>) -> io::Result<Received> {
        self.check()?;
        if !self.wait_readable(wait)? {
            return Ok(Received::Stop);
        }
        let received = if self.input_is_socket {
            recv(self.input, room, RecvFlags::DONTWAIT)?.0
        } else {
            let received = rustix::io::read(self.input, room);
            received.map_err(|error| self.note("read standard input", error))?
        };
        Ok(Received::Bytes(received))
    }

    fn send(&mut self, bytes: &[u8], wait: Option<Duration>) -> io::Result<usize> {
        self.check()?;
        let output = self.output;
        let ready = poll(&mut [PollFd::new(&output, PollFlags::OUT)], timespec(wait)?.as_ref())?;
        if ready == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.output_is_socket {
            Ok(send(output, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
        } else {
            // A pipe that is ready has room for this much (pipe(7)); a longer write could block.
            let sent = rustix::io::write(output, &bytes[..bytes.len().min(PIPE_BUF)]);
            sent.map_err(|error| self.note("write to standard output", error))
        }
    }

    fn acknowledge(&mut self) {
        // Only TCP has the option.
        SockRef::from(&self.input).set_tcp_quickack(true).ok();
    }

    fn shut_down_sending(&mut self) -> io::Result<()> {
        if self.output_is_socket {
            return Ok(shutdown(self.output, Shutdown::Write)?);
        }
        // The reader of a pipe sees the end when the last descriptor of the writing end is closed.
        Ok(dup2_stdout(dead_end()?)?)
    }
}

fn is_socket(descriptor: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(descriptor)?.st_mode) == FileType::Socket)
}

/// Closes stderr if it is the same as one of `others`, and of one of these kinds.
fn detach_stderr(others: &[BorrowedFd<'_>], kinds: &[FileType]) -> io::Result<()> {
    let log = fstat(stderr())?;
    let is_log = |other: &BorrowedFd<'_>| {
        fstat(other).is_ok_and(|it| (it.st_dev, it.st_ino) == (log.st_dev, log.st_ino))
    };
    if kinds.contains(&FileType::from_raw_mode(log.st_mode)) && others.iter().any(is_log) {
        rustix::stdio::dup2_stderr(dead_end()?)?;
    }
    Ok(())
}

/// A pipe without a reader, which takes nothing. Unlike `/dev/null`, it is there in a chroot.
fn dead_end() -> io::Result<OwnedFd> {
    let (_, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok(writer)
}

/// Every time limit of this program fits into a timespec.
fn timespec(wait: Option<Duration>) -> io::Result<Option<Timespec>> {
    wait.map(Timespec::try_from).transpose().map_err(io::Error::other)
}
