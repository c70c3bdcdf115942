//! Where a message ends in a stream of bytes, and how its reply ends.
//!
//! TCP keeps no message boundaries, and clients do not agree on one. What 55 clients of students in
//! C, C++, Java and Python really send, and what [`FramingMode::Auto`] makes of it:
//!
//! | | the client sends | the message is | its reply ends in | because |
//! | --- | --- | --- | --- | --- |
//! | 1 | NUL, a length n > 0 | the n bytes that follow | nothing, but begins with its length | Java's writeUTF: two bytes of length, then the text |
//! | 2 | text, newline | the text, less one CR | the same newline | netcat, telnet, readLine, fgets |
//! | 3 | text, NUL, anything | the text | NUL | C sends a string with its NUL, or the whole buffer that it stands in, with stale bytes behind |
//! | 2, 3 | text, newline, NUL, anything | the text | newline and NUL | the same, with a line that fgets has read |
//! | 4 | text | what has come before a gap | nothing | `send(text)`: one send, one message, and the reply is printed or compared as it is |
//!
//! A *gap* is [`GAP`] without a byte, and [`LINE_GAP`] once a client has sent a newline. Where a
//! NUL says that more may follow (3), the reply waits for the gap: what comes before the client has
//! its answer cannot be its next message. A client that only sends whole lines never waits for
//! anything: its NUL may come when the line was answered, and belongs to it up to a gap later.
//!
//! Telnet's option sequences at the beginning of a message are skipped, and not answered.
//!
//! [`FramingMode::Line`] knows newlines only (and skips telnet's options, too): it serves a
//! terminal in character mode, the typing of which has gaps. A raw service sees the bytes as they
//! come.

use std::time::{Duration, Instant};

use super::search::find;
use super::telnet::{self, IAC, Sequence};
use super::terminator::{LENGTH, Terminator};
use crate::buffer::{Buffer, Cursor};
use crate::choice::choices;
use crate::service::{Delimiter, Framing};

/// The silence that ends a message without a terminator: longer than the pauses within one send,
/// shorter than a person notices.
pub const GAP: Duration = Duration::from_millis(25);

/// The same for a client that has sent a newline: the next one is very likely still to come.
pub const LINE_GAP: Duration = Duration::from_secs(1);

choices! {
    /// A rule that finds the end of a message.
    pub enum FramingMode {
        /// By what the client sends: a newline, a NUL, a length, or silence.
        Auto = "auto",
        /// By a newline.
        Line = "line",
    }
}

/// What stands at the front of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'p> {
    /// No whole message yet.
    Incomplete,
    /// No whole message yet, and of what is there only the first bytes count.
    Padded { keep: usize },
    /// Bytes that are no part of a message, before this.
    Skip { rest: &'p [u8] },
    /// A message: its text, and what is behind it and its terminator.
    Message { text: &'p [u8], rest: &'p [u8] },
    /// A message longer than the limit.
    TooLong,
    /// Nothing, and nothing will come.
    End,
}

/// What is known of the input besides its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputState {
    /// Nothing will follow what is pending.
    pub(super) ended: bool,
    /// The longest message, in bytes.
    pub(super) limit: usize,
    /// When the last byte moved before what came now, if anything did.
    pub(super) active_at: Instant,
    pub(super) now: Instant,
}

/// What a NUL at the front of the inbox belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nul {
    /// To what follows it.
    Begins,
    /// To the line that was taken last, if it comes within a gap behind it.
    EndsLine,
    /// To that line, and so does what follows up to the gap.
    Pads,
}

/// Cuts one connection's input.
#[derive(Debug)]
pub(super) struct Framer {
    mode: FramingMode,
    /// The end of the last message, and so of the next reply.
    terminator: Terminator,
    /// How many bytes of the inbox are known to hold no terminator, so that a message which comes a
    /// byte at a time costs time in proportion to its length, not to the square of it.
    searched: Cursor,
    /// The client has sent a newline.
    seen_newline: bool,
    nul: Nul,
    /// When the gap will be long enough to end what is pending, if it waits for one.
    gap_at: Option<Instant>,
}

impl Framer {
    pub(super) fn new(framing: Framing, mode: FramingMode) -> Self {
        let terminator = match framing {
            Framing::Messages => Terminator::Lf,
            Framing::Raw => Terminator::None,
        };
        Self {
            mode,
            terminator,
            searched: Cursor::default(),
            seen_newline: false,
            nul: Nul::Begins,
            gap_at: None,
        }
    }

    /// When what is pending is a message, if nothing more comes.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.gap_at
    }

    /// More has come, so it was no gap.
    #[inline]
    pub(super) fn interrupt_gap(&mut self) {
        self.gap_at = None;
    }

    /// How the client will know where the next reply ends.
    #[inline]
    pub(super) fn delimiter(&self) -> Delimiter {
        self.terminator.delimiter()
    }

    /// Begins a reply.
    #[inline]
    pub(super) fn begin_reply(&self, outbox: &mut Buffer) {
        self.terminator.begin_reply(outbox);
    }

    /// Ends the reply the text of which begins at `text_at` in the outbox.
    #[inline]
    pub(super) fn end_reply(&self, outbox: &mut Buffer, text_at: usize) {
        self.terminator.end_reply(outbox, text_at);
    }

    /// A whole line at the front of the inbox, and what is behind it. Nearly every message is one,
    /// and this is seen at a glance; if not, [`next`](Self::next) looks closely.
    #[inline]
    pub(super) fn line<'p>(
        &mut self,
        pending: &'p [u8],
        limit: usize,
    ) -> Option<(&'p [u8], &'p [u8])> {
        if *pending.first()? == IAC {
            return None;
        }
        let unsearched = &pending[self.searched.at()..];
        let found = match self.mode {
            FramingMode::Auto => find(unsearched, [b'\n', 0], |far| memchr::memchr2(b'\n', 0, far)),
            FramingMode::Line => find(unsearched, [b'\n'], |far| memchr::memchr(b'\n', far)),
        };
        let at = self.searched.at() + found?;
        if pending[at] != b'\n' {
            return None;
        }
        let (text, terminator) = Terminator::of_line(pending, at);
        if text > limit {
            return None;
        }
        let rest = &pending[at + 1..];
        if rest.first() == Some(&0) && self.mode == FramingMode::Auto {
            return None;
        }
        self.end_line(terminator);
        Some((&pending[..text], rest))
    }

    /// Looks at the front of the inbox. What the answer speaks of must be consumed before the next
    /// look.
    pub(super) fn next<'p>(&mut self, pending: &'p [u8], input: &InputState) -> Frame<'p> {
        if pending.is_empty() {
            return if input.ended { Frame::End } else { Frame::Incomplete };
        }
        let frame = match self.mode {
            FramingMode::Line => self.next_line(pending, input),
            FramingMode::Auto => self.next_auto(pending, input),
        };
        match frame {
            Frame::Message { text, .. } if text.len() > input.limit => Frame::TooLong,
            frame => frame,
        }
    }

    fn next_line<'p>(&mut self, pending: &'p [u8], input: &InputState) -> Frame<'p> {
        if pending[0] == IAC
            && let Sequence::Whole(whole) = telnet::sequence(pending)
        {
            return self.end_at(self.terminator, Frame::Skip { rest: &pending[whole..] });
        }
        match memchr::memchr(b'\n', &pending[self.searched.at()..]) {
            Some(at) => self.whole_line(pending, self.searched.at() + at),
            None => self.no_end(pending, input),
        }
    }

    /// The rules of the table, 1 to 4.
    fn next_auto<'p>(&mut self, pending: &'p [u8], input: &InputState) -> Frame<'p> {
        if pending[0] == 0 {
            return self.next_nul(pending, input);
        }
        if pending[0] == IAC
            && let Some(frame) = self.next_option(pending, input)
        {
            return frame;
        }
        match memchr::memchr2(b'\n', 0, &pending[self.searched.at()..]) {
            None => {
                let gap = if self.seen_newline { LINE_GAP } else { GAP };
                let gap_elapsed = self.gap_elapsed(input, gap);
                self.no_end(pending, &InputState { ended: gap_elapsed, ..*input })
            }
            Some(at) => {
                let at = self.searched.at() + at;
                if pending[at] == b'\n' && pending.get(at + 1) != Some(&0) {
                    return self.whole_line(pending, at);
                }
                self.padded(pending, at, input)
            }
        }
    }

    /// A whole line, its newline at `at`.
    fn whole_line<'p>(&mut self, pending: &'p [u8], at: usize) -> Frame<'p> {
        let (text, terminator) = Terminator::of_line(pending, at);
        self.end_line(terminator);
        Frame::Message { text: &pending[..text], rest: &pending[at + 1..] }
    }

    /// This is the end of a line.
    #[inline]
    fn end_line(&mut self, terminator: Terminator) {
        self.terminator = terminator;
        self.seen_newline = true;
        self.nul = Nul::EndsLine;
        self.searched = Cursor::default();
        self.gap_at = None;
    }

    /// No terminator in sight: a message only if this is all.
    fn no_end<'p>(&mut self, pending: &'p [u8], input: &InputState) -> Frame<'p> {
        if input.ended {
            return self.end_at(Terminator::None, Frame::Message { text: pending, rest: &[] });
        }
        self.searched = Cursor::to(pending.len());
        // The last byte may turn out to belong to the terminator.
        if pending.len() <= input.limit + 1 { Frame::Incomplete } else { Frame::TooLong }
    }

    /// Text, then a NUL or a newline and a NUL, where the first of them is `at`. What follows up to
    /// the gap is padding, or what stood in the client's buffer before.
    fn padded<'p>(&mut self, pending: &'p [u8], at: usize, input: &InputState) -> Frame<'p> {
        let is_line = pending[at] == b'\n';
        self.seen_newline |= is_line;
        let (text, terminator) = match Terminator::of_line(pending, at) {
            (text, terminator) if is_line => (text, terminator.with_nul()),
            // To who has used writeUTF, two NULs are an empty text.
            _ if self.terminator == Terminator::Length && pending == [0; LENGTH] => {
                (at, Terminator::Length)
            }
            _ => (at, Terminator::Nul),
        };
        // One that is too long need not be waited for, and might leave no room to wait in.
        if text <= input.limit && !self.gap_elapsed(input, GAP) {
            self.searched = Cursor::to(at);
            // Two NULs, so that what comes next is not taken for a length.
            return Frame::Padded { keep: pending.len().min(at + 2) };
        }
        self.end_at(terminator, Frame::Message { text: &pending[..text], rest: &[] })
    }

    /// What begins with telnet's IAC, if it is telnet's: else every message has its answer.
    #[cold]
    fn next_option<'p>(&mut self, pending: &'p [u8], input: &InputState) -> Option<Frame<'p>> {
        match telnet::sequence(pending) {
            Sequence::Whole(whole) => {
                let skipped = Frame::Skip { rest: &pending[whole..] };
                Some(self.end_at(self.terminator, skipped))
            }
            Sequence::Partial if pending.len() <= input.limit && !self.gap_elapsed(input, GAP) => {
                Some(Frame::Incomplete)
            }
            Sequence::Partial | Sequence::None => None,
        }
    }

    /// What begins with a NUL.
    #[cold]
    fn next_nul<'p>(&mut self, pending: &'p [u8], input: &InputState) -> Frame<'p> {
        if self.nul == Nul::EndsLine && input.now >= input.active_at + GAP {
            self.nul = Nul::Begins;
        }
        match pending.get(1) {
            _ if self.nul != Nul::Begins => self.padding_of_last(input),
            Some(&length) if length > 0 => {
                let (behind, length) = (&pending[LENGTH..], usize::from(length));
                if behind.len() < length && !input.ended {
                    return Frame::Incomplete;
                }
                let (text, rest) = behind.split_at(length.min(behind.len()));
                self.end_at(Terminator::Length, Frame::Message { text, rest })
            }
            // NULs only, as far as can be seen: a client's empty buffer.
            _ => self.padded(pending, 0, input),
        }
    }

    /// A line was answered before the NUL behind its newline came: it is no message.
    fn padding_of_last(&mut self, input: &InputState) -> Frame<'static> {
        self.nul = Nul::Pads;
        if !self.gap_elapsed(input, GAP) {
            return Frame::Padded { keep: 1 };
        }
        let terminator = self.terminator.with_nul();
        self.end_at(terminator, Frame::Skip { rest: &[] })
    }

    /// This is the end of a message.
    fn end_at<'p>(&mut self, terminator: Terminator, frame: Frame<'p>) -> Frame<'p> {
        self.terminator = terminator;
        self.nul = Nul::Begins;
        self.searched = Cursor::default();
        self.gap_at = None;
        frame
    }

    /// Whether nothing has come for `gap`, or will come at all. If not, the gap begins now.
    fn gap_elapsed(&mut self, input: &InputState, gap: Duration) -> bool {
        let gap_at = *self.gap_at.get_or_insert(input.now + gap);
        input.ended || gap_at <= input.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A framer with its limit and a clock in our hands.
    struct Cutter {
        framer: Framer,
        input: InputState,
    }

    impl Cutter {
        #[expect(clippy::disallowed_methods, reason = "any instant will do to begin with")]
        fn new(framing_mode: FramingMode, limit: usize) -> Self {
            let framer = Framer::new(Framing::Messages, framing_mode);
            let now = Instant::now();
            Self { framer, input: InputState { ended: false, limit, active_at: now, now } }
        }

        /// As a session looks at its inbox.
        fn next<'p>(&mut self, pending: &'p [u8]) -> Frame<'p> {
            match self.framer.line(pending, self.input.limit) {
                Some((text, rest)) => message(text, rest),
                None => self.framer.next(pending, &self.input),
            }
        }

        fn at_the_end<'p>(&mut self, pending: &'p [u8]) -> Frame<'p> {
            self.framer.next(pending, &InputState { ended: true, ..self.input })
        }
    }

    fn message<'p>(text: &'p [u8], rest: &'p [u8]) -> Frame<'p> {
        Frame::Message { text, rest }
    }

    fn lines(limit: usize) -> Cutter {
        Cutter::new(FramingMode::Line, limit)
    }

    #[test]
    fn a_line_ends_at_its_newline_and_gives_its_terminator_back() {
        for framing_mode in [FramingMode::Line, FramingMode::Auto] {
            let mut cutter = Cutter::new(framing_mode, 10);
            assert_eq!(cutter.next(b"1+2\n3"), message(b"1+2", b"3"));
            assert_eq!(cutter.framer.terminator, Terminator::Lf);
            assert_eq!(cutter.next(b"1+2\r\n"), message(b"1+2", b""));
            assert_eq!(cutter.framer.terminator, Terminator::CrLf);
            assert_eq!(cutter.framer.deadline(), None, "whole lines wait for nothing");
        }
    }

    #[test]
    fn a_whole_line_is_seen_at_a_glance_if_it_is_not_too_long_and_not_padded() {
        let mut auto = Cutter::new(FramingMode::Auto, 4).framer;
        let mut line = Cutter::new(FramingMode::Line, 4).framer;
        for (pending, seen) in [
            (&b"1234\n5"[..], Some((&b"1234"[..], &b"5"[..]))),
            (b"1\n2", Some((b"1", b"2"))),
            (b"12345\n", None),
            (b"1234", None),
            (b"\xff1\n", None),
            (b"", None),
        ] {
            assert_eq!((auto.line(pending, 4), line.line(pending, 4)), (seen, seen));
        }
        assert_eq!(auto.line(b"1\n\0", 4), None);
        assert_eq!(line.line(b"1\n\0", 4), Some((&b"1"[..], &b"\0"[..])));
        assert_eq!(auto.line(b"1\0\n", 4), None);
        assert_eq!(line.line(b"1\0\n", 4), Some((&b"1\0"[..], &b""[..])));
    }

    #[test]
    fn an_unterminated_message_counts_only_at_the_end_of_input() {
        let mut cutter = lines(10);
        assert_eq!(cutter.next(b"1+2"), Frame::Incomplete);
        assert_eq!(cutter.at_the_end(b"1+2"), message(b"1+2", b""));
        assert_eq!(cutter.framer.terminator, Terminator::None);
        assert_eq!(cutter.at_the_end(b""), Frame::End);
    }

    #[test]
    fn the_limit_counts_text_and_not_its_terminator() {
        assert_eq!(lines(4).next(b"1234\r\n"), message(b"1234", b""));
        assert_eq!(lines(4).next(b"1234\r"), Frame::Incomplete);
        assert_eq!(lines(4).next(b"12345\n"), Frame::TooLong);
        assert_eq!(lines(4).next(b"123456"), Frame::TooLong);
        assert_eq!(lines(4).at_the_end(b"12345"), Frame::TooLong);
        assert_eq!(lines(4).at_the_end(b"1234"), message(b"1234", b""));
    }

    #[test]
    fn a_line_that_begins_like_an_option_and_is_none_is_a_line() {
        for framing_mode in [FramingMode::Line, FramingMode::Auto] {
            let mut cutter = Cutter::new(framing_mode, 4);
            assert_eq!(cutter.next(b"\xff12\n34\n"), message(b"\xff12", b"34\n"));
            assert_eq!(cutter.next(b"\xff123\r\n4"), message(b"\xff123", b"4"));
            assert_eq!(cutter.next(b"\xff1234\n"), Frame::TooLong);
        }
    }

    #[test]
    fn bytes_that_were_searched_are_not_searched_again() {
        let mut cutter = lines(10);
        assert_eq!(cutter.next(b"12"), Frame::Incomplete);
        // A newline where the search has been is not seen: the search really goes on from there.
        assert_eq!(cutter.next(b"\n2\n"), message(b"\n2", b""));
        assert_eq!(cutter.next(b"\n"), message(b"", b""));
    }
}
