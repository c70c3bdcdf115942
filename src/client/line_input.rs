//! The lines of a pipe or a file, waited for without losing sight of the server.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};

use super::connection::MAX_MESSAGE;
use crate::error::Failure;

/// The most bytes read by one call.
const READ_SIZE: usize = 16 * 1024;

/// The lines of a descriptor. It may be non-blocking: a program that shares it decides that.
#[derive(Debug)]
pub(super) struct LineInput<F> {
    from: F,
    /// The bytes read and not taken, at most [`MAX_MESSAGE`] + [`READ_SIZE`].
    buffer: Vec<u8>,
    /// The beginning of `buffer`, as far as no newline is in it.
    searched: usize,
    ended: bool,
}

/// The event that ended a wait for a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// A line came.
    Line,
    /// The input ended.
    End,
    /// Something happened at the server.
    Server,
}

impl<F: AsFd> LineInput<F> {
    /// The lines of `from`.
    pub(super) fn new(from: F) -> Self {
        Self { from, buffer: Vec::new(), searched: 0, ended: false }
    }

    /// Waits for the next line, and stores it in `line` without its newline, which the last line
    /// may lack. Of a line over the limit, just enough is stored to exceed it, so that it is
    /// refused when sent.
    ///
    /// While no line comes, `events` of the socket `server` and its closing end the wait.
    pub(super) fn next(
        &mut self,
        line: &mut Vec<u8>,
        server: BorrowedFd<'_>,
        events: PollFlags,
    ) -> Result<Waited, Failure> {
        loop {
            if let Some(waited) = self.take_line(line) {
                return Ok(waited);
            }
            let mut fds =
                [PollFd::new(&self.from, PollFlags::IN), PollFd::from_borrowed_fd(server, events)];
            match poll(&mut fds, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(cannot_read(error)),
            }
            // Lines come first: what was to be sent before the server closed is sent.
            if !fds[0].revents().is_empty() {
                self.fill().map_err(cannot_read)?;
            } else if !fds[1].revents().is_empty() {
                return Ok(Waited::Server);
            }
        }
    }

    fn take_line(&mut self, line: &mut Vec<u8>) -> Option<Waited> {
        let newline = memchr::memchr(b'\n', &self.buffer[self.searched..]);
        let length = match newline {
            Some(at) => self.searched + at,
            None if self.ended && self.buffer.is_empty() => return Some(Waited::End),
            None if self.ended || self.buffer.len() > MAX_MESSAGE => self.buffer.len(),
            None => {
                self.searched = self.buffer.len();
                return None;
            }
        };
        line.clear();
        line.extend_from_slice(&self.buffer[..length]);
        self.buffer.drain(..length + usize::from(newline.is_some()));
        self.searched = 0;
        Some(Waited::Line)
    }

    /// Reads once what is there.
    fn fill(&mut self) -> Result<(), Errno> {
        let start = self.buffer.len();
        self.buffer.resize(start + READ_SIZE, 0);
        let received = read(&self.from, &mut self.buffer[start..]);
        self.buffer.truncate(start + received.unwrap_or(0));
        match received {
            Ok(received) => self.ended = received == 0,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn cannot_read(error: Errno) -> Failure {
    Failure::cannot("read standard input", &error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs::File;
    use std::io::{PipeReader, PipeWriter, Seek, Write, pipe};
    use std::thread;

    use rustix::fs::{MemfdFlags, OFlags, fcntl_getfl, fcntl_setfl, memfd_create};

    /// A server at which nothing happens.
    struct Quiet {
        read: PipeReader,
        _write: PipeWriter,
    }

    impl Quiet {
        fn new() -> Self {
            let (read, write) = pipe().unwrap();
            Self { read, _write: write }
        }

        fn next(&self, input: &mut LineInput<impl AsFd>) -> Option<Vec<u8>> {
            let mut line = Vec::new();
            match input.next(&mut line, self.read.as_fd(), PollFlags::IN).unwrap() {
                Waited::Line => Some(line),
                Waited::End => None,
                Waited::Server => panic!("the server is quiet"),
            }
        }
    }

    fn lines(text: &[u8]) -> Vec<Vec<u8>> {
        let mut file = File::from(memfd_create("input", MemfdFlags::CLOEXEC).unwrap());
        file.write_all(text).unwrap();
        file.rewind().unwrap();
        let mut input = LineInput::new(file);
        let server = Quiet::new();
        std::iter::from_fn(|| server.next(&mut input)).collect()
    }

    #[test]
    fn a_last_line_without_a_newline_is_a_line() {
        assert_eq!(lines(b"1 + 2\n\n3"), [&b"1 + 2"[..], b"", b"3"]);
        assert_eq!(lines(b"1 + 2\n"), [b"1 + 2"]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn of_a_line_over_the_limit_enough_is_read_to_refuse_it() {
        let mut longest = vec![b'1'; MAX_MESSAGE];
        longest.push(b'\n');
        assert_eq!(lines(&longest)[0].len(), MAX_MESSAGE);
        assert!(lines(&vec![b'1'; 3 * MAX_MESSAGE])[0].len() > MAX_MESSAGE);
    }

    #[test]
    fn a_non_blocking_input_is_waited_for() {
        let (from, mut to) = pipe().unwrap();
        let flags = fcntl_getfl(&from).unwrap();
        fcntl_setfl(&from, flags | OFlags::NONBLOCK).unwrap();
        let mut input = LineInput::new(from);
        let write = move || to.write_all(b"1 + 2\n").unwrap();
        let writer = thread::Builder::new().spawn(write).unwrap();
        let server = Quiet::new();
        assert_eq!(server.next(&mut input).as_deref(), Some(&b"1 + 2"[..]));
        writer.join().unwrap();
        assert_eq!(server.next(&mut input), None);
    }

    #[test]
    fn a_server_that_closes_ends_the_wait_behind_the_lines_that_have_come() {
        let (from, mut to) = pipe().unwrap();
        let (server, _) = pipe().unwrap();
        to.write_all(b"1\n2\n3").unwrap();
        let mut input = LineInput::new(from);
        let mut line = Vec::new();
        let mut wait = || input.next(&mut line, server.as_fd(), PollFlags::IN).unwrap();
        assert_eq!([wait(), wait(), wait()], [Waited::Line, Waited::Line, Waited::Server]);
    }
}
