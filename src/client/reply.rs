//! The end of a reply: a state machine without I/O, which takes bytes and times.
//!
//! TCP keeps no message boundaries, and servers do not agree on one: ours end a reply with a
//! newline, many others send bare text and expect the client to receive it in one call. So a reply
//! ends with the first of these:
//!
//! - a newline as the last byte received, not counting NULs behind it (the end of a C string);
//! - a gap without a byte: [`GAP`], or [`LINE_GAP`] once the server has sent a newline;
//! - the end of input.

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
    /// The last byte of `text` that is not NUL is a newline.
    line_ended: bool,
    /// The server has sent a newline on this connection.
    seen_newline: bool,
    /// The previous reply ended with a gap, so a newline at the beginning of this one terminates
    /// the previous one. Where a server writes text and newline apart, Nagle's algorithm holds the
    /// newline back until our delayed acknowledgement, up to 40 ms.
    late_newline: bool,
}

impl Reply {
    /// The state of a connection made at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            text: Vec::new(),
            deadline: now,
            received_at: now,
            line_ended: false,
            seen_newline: false,
            late_newline: false,
        }
    }

    /// Begins a new reply, with a `deadline` for its last byte.
    pub(super) fn expect(&mut self, deadline: Instant) {
        self.text.clear();
        self.line_ended = false;
        self.deadline = deadline;
    }

    /// The time at which the state changes if no byte comes before.
    pub(super) fn due(&self) -> Instant {
        match (self.text.is_empty(), self.seen_newline) {
            (true, _) => self.deadline,
            (false, false) => self.received_at + GAP,
            (false, true) => self.received_at + LINE_GAP,
        }
    }

    /// Takes the bytes received at `now`, at least one.
    pub(super) fn received(&mut self, bytes: &[u8], now: Instant) -> ReplyState {
        self.seen_newline |= memchr::memchr(b'\n', bytes).is_some();
        let bytes = self.without_late_newline(bytes);
        if bytes.len() > MAX_REPLY_LEN - self.text.len() {
            return ReplyState::TooLong;
        }
        self.text.extend_from_slice(bytes);
        self.received_at = now;
        if let Some(last) = bytes.iter().rfind(|&&byte| byte != 0) {
            self.line_ended = *last == b'\n';
        }
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

    /// True if no byte of the reply was received.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Takes the text received so far, without its terminator.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.late_newline = !self.text.is_empty() && !self.line_ended;
        let mut text = mem::take(&mut self.text);
        let end = text.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        text.truncate(end);
        if text.pop_if(|last| *last == b'\n').is_some() {
            text.pop_if(|last| *last == b'\r');
        }
        text
    }

    /// `bytes` without the newline that terminates the previous reply.
    fn without_late_newline<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if !mem::take(&mut self.late_newline) {
            return bytes;
        }
        bytes.strip_prefix(b"\r\n").or_else(|| bytes.strip_prefix(b"\n")).unwrap_or(bytes)
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
    fn nuls_at_the_end_are_a_terminator_and_others_are_text() {
        let (mut reply, start) = expected();
        assert_eq!(reply.received(b"6\x006\0\0", start), ReplyState::Incomplete);
        assert_eq!(reply.take(), b"6\x006");
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
