//! Where a message ends in a stream of bytes, and how its reply ends.
//!
//! A message service sees lines: text up to a newline, less one carriage return before it. The
//! reply ends as its message ended. A raw service sees the bytes as they come.

use crate::buffer::Buffer;
use crate::service;

/// The part of a line that is searched byte by byte, in bytes.
const SHORT_LINE: usize = 16;

/// How a message ended, and so how its reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Terminator {
    /// The end of input ended it: the reply ends with the connection.
    None,
    Lf,
    CrLf,
}

/// What stands at the front of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// No whole message yet.
    Incomplete,
    /// A message: its text is the first `text` bytes, and `whole` bytes go with it.
    Message { text: usize, whole: usize },
    /// A message longer than the limit.
    TooLong,
    /// Nothing, and nothing will come.
    End,
}

/// Cuts one connection's input.
#[derive(Debug)]
pub(super) struct Framer {
    framing: service::Framing,
    /// The end of the last message, and so of the next reply.
    terminator: Terminator,
    /// How many bytes of the inbox are known to hold no newline, so that a message which comes a
    /// byte at a time costs time in proportion to its length, not to the square of it.
    searched: usize,
}

impl Framer {
    pub(super) fn new(framing: service::Framing) -> Self {
        let terminator = match framing {
            service::Framing::Messages => Terminator::Lf,
            service::Framing::Raw => Terminator::None,
        };
        Self { framing, terminator, searched: 0 }
    }

    /// Ends the reply that was written last as its message ended.
    #[inline]
    pub(super) fn end_reply(&self, outbox: &mut Buffer) {
        match self.terminator {
            Terminator::None => {}
            Terminator::Lf => outbox.push(b'\n'),
            Terminator::CrLf => outbox.write(b"\r\n"),
        }
    }

    /// Looks at the front of the inbox. `ended`: nothing will follow what is `pending`. `limit` is
    /// the longest message, in bytes. After a [`Frame::Message`] its `whole` bytes must be consumed
    /// before the next look.
    #[inline]
    pub(super) fn next(&mut self, pending: &[u8], ended: bool, limit: usize) -> Frame {
        if pending.is_empty() {
            return if ended { Frame::End } else { Frame::Incomplete };
        }
        match self.framing {
            service::Framing::Raw => {
                let length = pending.len().min(service::MAX_REPLY);
                Frame::Message { text: length, whole: length }
            }
            service::Framing::Messages => self.next_line(pending, ended, limit),
        }
    }

    /// Where the first newline is. Most lines are so short that a loop finds it sooner than a
    /// search of 32 bytes at a time has begun.
    #[inline]
    fn newline(&self, pending: &[u8]) -> Option<usize> {
        let unsearched = &pending[self.searched..];
        let (near, far) = unsearched.split_at(unsearched.len().min(SHORT_LINE));
        let found = near.iter().position(|&byte| byte == b'\n');
        found.or_else(|| Some(near.len() + memchr::memchr(b'\n', far)?)).map(|n| self.searched + n)
    }

    #[inline]
    fn next_line(&mut self, pending: &[u8], ended: bool, limit: usize) -> Frame {
        let newline = self.newline(pending);
        self.searched = if newline.is_some() { 0 } else { pending.len() };
        let (text, whole, terminator) = match newline {
            Some(n) if n > 0 && pending[n - 1] == b'\r' => (n - 1, n + 1, Terminator::CrLf),
            Some(n) => (n, n + 1, Terminator::Lf),
            None if ended => (pending.len(), pending.len(), Terminator::None),
            // The last byte may turn out to belong to the terminator.
            None if pending.len() <= limit + 1 => return Frame::Incomplete,
            None => return Frame::TooLong,
        };
        if text > limit {
            return Frame::TooLong;
        }
        self.terminator = terminator;
        Frame::Message { text, whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Framer {
        Framer::new(service::Framing::Messages)
    }

    #[test]
    fn a_line_ends_at_its_newline_and_gives_its_terminator_back() {
        let mut framer = lines();
        assert_eq!(framer.next(b"1+2\n3", false, 10), Frame::Message { text: 3, whole: 4 });
        assert_eq!(framer.terminator, Terminator::Lf);
        assert_eq!(framer.next(b"1+2\r\n", false, 10), Frame::Message { text: 3, whole: 5 });
        assert_eq!(framer.terminator, Terminator::CrLf);
    }

    #[test]
    fn an_unterminated_message_counts_only_at_the_end_of_input() {
        let mut framer = lines();
        assert_eq!(framer.next(b"1+2", false, 10), Frame::Incomplete);
        assert_eq!(framer.next(b"1+2", true, 10), Frame::Message { text: 3, whole: 3 });
        assert_eq!(framer.terminator, Terminator::None);
        assert_eq!(framer.next(b"", true, 10), Frame::End);
    }

    #[test]
    fn the_limit_counts_text_and_not_its_terminator() {
        assert_eq!(lines().next(b"1234\r\n", false, 4), Frame::Message { text: 4, whole: 6 });
        assert_eq!(lines().next(b"1234\r", false, 4), Frame::Incomplete);
        assert_eq!(lines().next(b"12345\n", false, 4), Frame::TooLong);
        assert_eq!(lines().next(b"123456", false, 4), Frame::TooLong);
        assert_eq!(lines().next(b"12345", true, 4), Frame::TooLong);
    }

    #[test]
    fn bytes_that_were_searched_are_not_searched_again() {
        let mut framer = lines();
        assert_eq!(framer.next(b"12", false, 10), Frame::Incomplete);
        // A newline where the search has been is not seen: the search really goes on from there.
        assert_eq!(framer.next(b"\n2\n", false, 10), Frame::Message { text: 2, whole: 3 });
        assert_eq!(framer.next(b"\n", false, 10), Frame::Message { text: 0, whole: 1 });
    }
}
