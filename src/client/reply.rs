//! The end of a reply: a state machine without I/O, which takes bytes and times.
//!
//! TCP keeps no message boundaries, and servers do not agree on one: ours end a reply with a
//! newline, many others send bare text and expect the client to receive it in one call. So a reply
//! ends with the first of these:
//!
//! - a newline as the last byte received, not counting NULs behind it (the end of a C string);
//! - a gap without a byte: [`GAP`], or [`LINE_GAP`] once the server has sent a newline;
//! - the end of input.
//!
//! A server written in C may send its whole buffer: text, a NUL, and bytes of earlier messages. So
//! the text of a reply ends at its first NUL, and the newlines behind it end nothing.

use std::mem;
use std::time::{Duration, Instant};

/// The gap that ends a reply of a server that has never sent a newline: longer than the pause
/// between the segments of one write, and shorter than a person notices.
pub(super) const GAP: Duration = Duration::from_millis(25);

/// The gap that ends a reply without a newline of a server that has sent one before. Such a server
/// usually sends lines, so the line is not complete yet. Only if it mixes both do we wait in vain.
pub(super) const LINE_GAP: Duration = Duration::from_secs(1);

/// The longest reply, in bytes: far more than a person reads, far less than there is memory.
pub(super) const MAX_REPLY_LEN: usize = 1 << 20;

const _: () = assert!(GAP.as_nanos() < LINE_GAP.as_nanos());

/// The state of the reply that is being received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyState {
    /// More may come: it changes with the next bytes, or at the time [`Reply::due`].
    Incomplete,
    /// The reply is complete: [`Reply::take`] it.
    Complete,
    /// The deadline passed before the reply was complete.
    Late,
    /// The reply is longer than [`MAX_REPLY_LEN`].
    TooLong,
    /// The server closed the connection before the first byte.
    Closed,
}

/// The reply that is being received, and what is known of the server's habits.
#[derive(Debug)]
pub(super) struct Reply {
    /// The part received so far, at most [`MAX_REPLY_LEN`] bytes.
    text: Vec<u8>,
    /// The latest time for a byte of it. The gap that ends the reply may reach beyond.
    deadline: Instant,
    /// The time of the last byte of `text`; without meaning while `text` is empty.
    received_at: Instant,
    /// The position of the first NUL in `text`.
    nul_at: Option<usize>,
    /// `text` ends with a newline, and with any number of NULs behind it.
    line_ended: bool,
    /// The server has sent a newline on this connection, before any NUL of its reply.
    seen_newline: bool,
    /// The previous reply ended with a gap, so a newline or NULs at the beginning of this one
    /// terminate the previous one: a server may write text and terminator apart.
    late_terminator: bool,
}

impl Reply {
    /// The state of a connection made at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            text: Vec::new(),
            deadline: now,
            received_at: now,
            nul_at: None,
            line_ended: false,
            seen_newline: false,
            late_terminator: false,
        }
    }

    /// Begins a new reply, with a `deadline` for its last byte.
    pub(super) fn expect(&mut self, deadline: Instant) {
        self.text.clear();
        self.nul_at = None;
        self.line_ended = false;
        self.deadline = deadline;
    }

    /// The time at which the state changes if no byte comes before.
    pub(super) fn due(&self) -> Instant {
        if self.text.is_empty() {
            self.deadline
        } else if self.seen_newline && self.nul_at.is_none() {
            self.received_at + LINE_GAP
        } else {
            self.received_at + GAP
        }
    }

    /// Takes the bytes received at `now`, at least one.
    pub(super) fn received(&mut self, bytes: &[u8], now: Instant) -> ReplyState {
        let bytes = self.without_late_terminator(bytes);
        if bytes.len() > MAX_REPLY_LEN - self.text.len() {
            return ReplyState::TooLong;
        }
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        self.received_at = now;
        let mut behind_nul = bytes;
        if self.nul_at.is_none() {
            let end = memchr::memchr(0, bytes);
            self.nul_at = end.map(|end| start + end);
            let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.seen_newline |= memchr::memchr(b'\n', line).is_some();
            self.line_ended = line.last().map_or(self.line_ended, |&last| last == b'\n');
            behind_nul = rest;
        }
        // Stale bytes: more of them may follow.
        self.line_ended &= behind_nul.iter().all(|&byte| byte == 0);
        if self.line_ended {
            ReplyState::Complete
        } else if now > self.deadline {
            ReplyState::Late
        } else {
            ReplyState::Incomplete
        }
    }

    /// The state if no byte has come by `now`.
    pub(super) fn silence(&self, now: Instant) -> ReplyState {
        if now < self.due() {
            ReplyState::Incomplete
        } else if self.text.is_empty() {
            ReplyState::Late
        } else {
            ReplyState::Complete
        }
    }

    /// The state at the end of input.
    pub(super) fn ended(&self) -> ReplyState {
        if self.text.is_empty() { ReplyState::Closed } else { ReplyState::Complete }
    }

    /// True if no byte of the reply has come.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Takes the text received so far, without its terminator and what is behind it.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let nul_at = self.nul_at;
        let mut text = self.take_raw();
        text.truncate(nul_at.unwrap_or(text.len()));
        if text.pop_if(|last| *last == b'\n').is_some() {
            text.pop_if(|last| *last == b'\r');
        }
        text
    }

    /// Takes all bytes received so far, for a parser that knows newlines and NULs itself.
    pub(super) fn take_raw(&mut self) -> Vec<u8> {
        self.late_terminator = !self.text.is_empty() && !self.line_ended && self.nul_at.is_none();
        self.nul_at = None;
        mem::take(&mut self.text)
    }

    /// `bytes` without those that terminate the previous reply.
    fn without_late_terminator<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if !mem::take(&mut self.late_terminator) {
            return bytes;
        }
        let newline = bytes.strip_prefix(b"\r\n").or_else(|| bytes.strip_prefix(b"\n"));
        self.seen_newline |= newline.is_some();
        let rest = newline.unwrap_or(bytes);
        &rest[rest.iter().take_while(|&&byte| byte == 0).count()..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(2);

    #[expect(clippy::disallowed_methods, reason = "an instant to count from")]
    fn some_time() -> Instant {
        Instant::now()
    }

    fn after(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A reply that has just begun, and the time at which it did.
    fn expected() -> (Reply, Instant) {
        let start = some_time();
        let mut reply = Reply::new(start);
        reply.expect(start + DEADLINE);
        (reply, start)
    }

    /// The same after the server has sent `text` as a first reply.
    fn once_answered(text: &[u8]) -> (Reply, Instant) {
        let (mut reply, start) = expected();
        reply.received(text, start);
        reply.take();
        reply.expect(start + DEADLINE);
        (reply, start)
    }

    #[test]
    fn a_newline_completes_a_reply() {
        let (mut reply, start) = expected();
        assert_eq!(reply.received(b"66\n", start), ReplyState::Complete);
        assert_eq!(reply.take(), b"66");
    }

    #[test]
    fn a_reply_that_comes_byte_by_byte_is_complete_at_its_newline() {
        let (mut reply, start) = expected();
        for byte in b"66\r" {
            assert_eq!(reply.received(&[*byte], start), ReplyState::Incomplete);
        }
        assert_eq!(reply.received(b"\n", start), ReplyState::Complete);
        assert_eq!(reply.take(), b"66");
    }

    #[test]
    fn several_lines_received_together_are_one_reply() {
        let (mut reply, start) = expected();
        assert_eq!(reply.received(b"sum: 17\nproduct: 60\n", start), ReplyState::Complete);
        assert_eq!(reply.take(), b"sum: 17\nproduct: 60");
    }

    #[test]
    fn a_reply_without_a_newline_is_complete_after_the_gap() {
        let (mut reply, start) = expected();
        assert_eq!(reply.received(b"6", start), ReplyState::Incomplete);
        assert_eq!(reply.received(b"6", start + after(20)), ReplyState::Incomplete);
        assert_eq!(reply.due(), start + after(45));
        assert_eq!(reply.silence(start + after(44)), ReplyState::Incomplete);
        assert_eq!(reply.silence(start + after(45)), ReplyState::Complete);
        assert_eq!(reply.take(), b"66");
    }

    #[test]
    fn a_server_that_has_sent_a_newline_is_given_a_second_to_end_its_line() {
        let (mut reply, start) = once_answered(b"66\n");
        assert_eq!(reply.received(b"6", start), ReplyState::Incomplete);
        assert_eq!(reply.silence(start + after(999)), ReplyState::Incomplete);
        assert_eq!(reply.silence(start + after(1000)), ReplyState::Complete);
    }

    #[test]
    fn end_of_input_completes_a_reply() {
        let (mut reply, start) = expected();
        reply.received(b"66", start);
        assert_eq!(reply.ended(), ReplyState::Complete);
        assert_eq!(reply.take(), b"66");
    }

    #[test]
    fn end_of_input_without_a_byte_is_no_reply() {
        assert_eq!(expected().0.ended(), ReplyState::Closed);
    }

    #[test]
    fn silence_until_the_deadline_is_late() {
        let (reply, start) = expected();
        assert_eq!(reply.due(), start + DEADLINE);
        assert_eq!(reply.silence(start + after(1999)), ReplyState::Incomplete);
        assert_eq!(reply.silence(start + DEADLINE), ReplyState::Late);
    }

    #[test]
    fn the_gap_may_reach_beyond_the_deadline_but_no_byte_may() {
        let (mut reply, start) = expected();
        reply.received(b"6", start + after(1990));
        assert_eq!(reply.silence(start + after(2010)), ReplyState::Incomplete);
        assert_eq!(reply.received(b"6", start + after(2010)), ReplyState::Late);
    }

    #[test]
    fn a_nul_ends_the_text_and_what_is_behind_it_is_dropped() {
        let pieces: [&[&[u8]]; 6] = [
            &[b"66\0"],
            &[b"66\0\0\0"],
            &[b"66\0 44"],
            &[b"66\0 44\n"],
            &[b"66\0", b" 44\n\0"],
            &[b"66\n\0 44\n\0\0"],
        ];
        for pieces in pieces {
            let (mut reply, start) = expected();
            for piece in pieces {
                assert_eq!(reply.received(piece, start), ReplyState::Incomplete, "{pieces:?}");
            }
            assert_eq!(reply.due(), start + GAP, "{pieces:?}");
            assert_eq!(reply.take(), b"66", "{pieces:?}");
        }
    }

    #[test]
    fn a_newline_behind_a_nul_is_no_habit_of_the_server() {
        let (mut reply, start) = once_answered(b"66\0 44\n");
        assert_eq!(reply.received(b"7", start), ReplyState::Incomplete);
        assert_eq!(reply.due(), start + GAP);
    }

    #[test]
    fn nuls_that_come_after_the_gap_belong_to_the_reply_before() {
        let (mut reply, start) = once_answered(b"66");
        assert_eq!(reply.received(b"\0\0", start), ReplyState::Incomplete);
        assert_eq!(reply.due(), start + DEADLINE, "no byte of the next reply has come");
        assert_eq!(reply.received(b"67\0", start), ReplyState::Incomplete);
        assert_eq!(reply.take(), b"67");
    }

    #[test]
    fn an_empty_string_of_c_is_an_empty_reply() {
        let (mut reply, start) = expected();
        assert_eq!(reply.received(b"\0", start), ReplyState::Incomplete);
        assert_eq!(reply.silence(start + GAP), ReplyState::Complete);
        assert_eq!(reply.take(), b"");
    }

    #[test]
    fn a_newline_before_nuls_completes_a_reply() {
        let (mut reply, start) = expected();
        assert_eq!(reply.received(b"66\n\0\0", start), ReplyState::Complete);
        assert_eq!(reply.take(), b"66");
    }

    #[test]
    fn only_the_last_newline_is_the_terminator() {
        let (mut reply, start) = expected();
        reply.received(b"66\n\n", start);
        assert_eq!(reply.take(), b"66\n");
    }

    #[test]
    fn an_empty_line_is_an_empty_reply() {
        let (mut reply, start) = expected();
        assert_eq!(reply.received(b"\n", start), ReplyState::Complete);
        assert_eq!(reply.take(), b"");
    }

    #[test]
    fn a_newline_that_comes_after_the_gap_belongs_to_the_reply_before() {
        let (mut reply, start) = once_answered(b"66");
        assert_eq!(reply.received(b"\n", start), ReplyState::Incomplete);
        assert_eq!(reply.due(), start + DEADLINE, "no byte of the next reply has come");
        assert_eq!(reply.received(b"67\n", start), ReplyState::Complete);
        assert_eq!(reply.take(), b"67");
    }

    #[test]
    fn a_reply_over_the_limit_is_refused() {
        let (mut reply, start) = expected();
        assert_eq!(reply.received(&vec![b'6'; MAX_REPLY_LEN], start), ReplyState::Incomplete);
        assert_eq!(reply.received(b"6", start), ReplyState::TooLong);
    }
}
