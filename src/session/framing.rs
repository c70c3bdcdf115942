//! The ends of messages in a stream of bytes, and of their replies.
//!
//! TCP keeps no message boundaries, and clients do not agree on one. This is what 55 clients that
//! students wrote in C, C++, Java and Python really send, and how [`FramingMode::Auto`] reads it:
//!
//! | | the client sends | the message is | its reply ends in | because |
//! | --- | --- | --- | --- | --- |
//! | 1 | NUL, a length n > 0 | the next n bytes | nothing, but begins with its length | Java's writeUTF: two bytes of length, then the text |
//! | 2 | text, newline | the text, without one CR at its end | the same newline | netcat, telnet, readLine, fgets |
//! | 3 | text, NUL, anything | the text | NUL | C sends a string with its NUL, or the whole buffer that holds it, with stale bytes behind |
//! | 2, 3 | text, newline, NUL, anything | the text | newline and NUL | the same with a line that fgets has read |
//! | 4 | text | the bytes before a gap | nothing | `send(text)`: one send, one message, and the reply is printed or compared as it is |
//!
//! A *gap* is [`GAP`] without a byte, and [`LINE_GAP`] for text without a terminator (4) once a
//! client has sent a newline. After a NUL (3) more bytes of the same buffer may follow, so the
//! reply waits for the gap: bytes that arrive before the client has its reply cannot be its next
//! message. A client that sends only whole lines never waits. A NUL that arrives after its line was
//! answered belongs to that line until a gap has passed.
//!
//! Telnet's commands at the beginning of a message are skipped, and its requests for options are
//! refused.
//!
//! [`FramingMode::Line`] ends messages only at the ends of lines, and knows telnet's commands as
//! well. It is for terminals in character mode, since a person's typing has gaps. Their return key
//! sends CR LF, CR NUL (RFC 854) or CR alone, so CR NUL ends a line there, and so does a CR before
//! a gap. The reply to both ends in CR LF. A raw service receives the bytes unframed.

use std::time::{Duration, Instant};

use super::frame::{Frame, InputState};
use super::search::find;
use super::telnet::{self, IAC, Sequence};
use super::terminator::{LENGTH, Terminator};
use crate::buffer::{Buffer, Cursor};
use crate::choice::choices;
use crate::service::{Delimiter, Framing};

mod line;

/// The silence that ends a message without a terminator: longer than the pauses between the
/// segments of one send, shorter than a person notices.
pub const GAP: Duration = Duration::from_millis(25);

/// The same for a client that has sent a newline: it will very likely send another.
pub const LINE_GAP: Duration = Duration::from_secs(1);

choices! {
    /// A rule that finds the end of a message.
    pub enum FramingMode {
        /// By what the client sends: a newline, a NUL, a length, or silence.
        Auto = "auto",
        /// By a newline, CR NUL, or CR and silence.
        Line = "line",
    }
}

/// The meaning of a NUL at the front of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nul {
    /// It begins a message.
    Begins,
    /// It belongs to the line before it, if it arrives within [`GAP`] of the last byte.
    EndsLine,
    /// It belongs to the line before it, together with all bytes up to the gap.
    Pads,
}

/// The framing of one connection's input.
#[derive(Debug)]
pub(super) struct Framer {
    mode: FramingMode,
    /// The terminator of the last message, and so of the next reply.
    terminator: Terminator,
    /// The number of bytes in the inbox that are known to contain no terminator: a message that
    /// arrives byte by byte takes linear time, not quadratic.
    searched: Cursor,
    /// True if the client has sent a newline.
    seen_newline: bool,
    nul: Nul,
    /// The time at which the gap that the pending bytes wait for is over, if they wait for one.
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

    /// The time at which the gap is over that ends the pending message, if it waits for one.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.gap_at
    }

    /// Prolongs the gap, if there is one.
    pub(super) fn delay_gap(&mut self, delay: Duration) {
        self.gap_at = self.gap_at.map(|at| at + delay);
    }

    /// Ends a gap that was too short: more bytes have moved.
    #[inline]
    pub(super) fn interrupt_gap(&mut self) {
        self.gap_at = None;
    }

    /// The delimiter by which the client will find the end of the next reply.
    #[inline]
    pub(super) fn delimiter(&self) -> Delimiter {
        self.terminator.delimiter()
    }

    /// The words for the terminator of the last message; none if it had none.
    pub(super) fn end(&self) -> Option<&'static str> {
        self.terminator.name()
    }

    /// Begins a reply.
    #[inline]
    pub(super) fn begin_reply(&self, outbox: &mut Buffer) {
        self.terminator.begin_reply(outbox);
    }

    /// Ends the reply whose text begins at `text_at` in the outbox.
    #[inline]
    pub(super) fn end_reply(&self, outbox: &mut Buffer, text_at: usize) {
        self.terminator.end_reply(outbox, text_at);
    }

    /// The fast path for whole lines, which nearly all messages are: the text of the line at the
    /// front of the inbox, and the bytes after it. `None` leaves the decision to
    /// [`next`](Self::next).
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
        let found = find(unsearched, [b'\n', 0], |far| memchr::memchr2(b'\n', 0, far));
        let at = self.searched.at() + found?;
        // An LF at the front may belong to the line before it.
        if pending[at] != b'\n' || at == 0 {
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

    /// The frame at the front of the inbox. Its bytes must be consumed before the next call.
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

    /// The frame by the rules of the module's table, whose numbers are in brackets:
    ///
    /// | `nul` | the inbox begins with | before the gap is over | after it |
    /// | --- | --- | --- | --- |
    /// | any | text, newline, no NUL | `Message` (2) | |
    /// | any | text, NUL; or text, newline, NUL | `Padded` | `Message` (3) |
    /// | any | text | `Incomplete` | `Message` (4) |
    /// | any | a telnet sequence | `Skip` or `Refuse` | |
    /// | any | a part of a telnet sequence | `Incomplete` | as text |
    /// | `Begins` | NUL, n > 0, n bytes | `Message` (1) | |
    /// | `Begins` | NUL, n > 0, fewer bytes | `Incomplete` | `Incomplete` |
    /// | `Begins` | NUL, then nothing or NUL | `Padded` | empty `Message` (3) |
    /// | `EndsLine` | NUL, soon after the line | `Padded`, then `Pads` | `Skip` |
    /// | `EndsLine` | NUL, later | as `Begins` | |
    /// | `Pads` | NUL | `Padded` | `Skip` |
    ///
    /// A line is followed by `EndsLine`, any other message by `Begins`. The end of input ends every
    /// gap, and also a message of n bytes.
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

    /// The whole line whose newline is at `at`.
    fn whole_line<'p>(&mut self, pending: &'p [u8], at: usize) -> Frame<'p> {
        let (text, terminator) = Terminator::of_line(pending, at);
        self.end_line(terminator);
        Frame::Message { text: &pending[..text], rest: &pending[at + 1..] }
    }

    /// Resets the state after a line.
    #[inline]
    fn end_line(&mut self, terminator: Terminator) {
        self.terminator = terminator;
        self.seen_newline = true;
        self.nul = Nul::EndsLine;
        self.searched = Cursor::default(); // mutant: search-from-the-last-line
        self.gap_at = None;
    }

    /// Bytes without a terminator: a message only if the input has ended.
    fn no_end<'p>(&mut self, pending: &'p [u8], input: &InputState) -> Frame<'p> {
        if input.ended {
            return self.end_at(Terminator::None, Frame::Message { text: pending, rest: &[] });
        }
        self.searched = Cursor::to(pending.len());
        // The last byte may be the CR of a terminator.
        if pending.len() <= input.limit + 1 { Frame::Incomplete } else { Frame::TooLong }
    }

    /// Text with a NUL, or a newline and a NUL, at `at`. Bytes that follow before the gap is over
    /// are padding, or old contents of the client's buffer.
    fn padded<'p>(&mut self, pending: &'p [u8], at: usize, input: &InputState) -> Frame<'p> {
        let is_line = pending[at] == b'\n';
        self.seen_newline |= is_line;
        let (text, terminator) = match Terminator::of_line(pending, at) {
            (text, terminator) if is_line => (text, terminator.with_nul()),
            // From a client that has used writeUTF before, two NULs are an empty text.
            _ if self.terminator == Terminator::Length && pending == [0; LENGTH] => {
                (at, Terminator::Length)
            }
            _ => (at, Terminator::Nul),
        };
        // A text that is too long does not wait for the gap: it might leave no room in the inbox.
        if text <= input.limit && !self.gap_elapsed(input, GAP) {
            self.searched = Cursor::to(at);
            // Two NULs are kept, so that the next byte is not taken for a length.
            return Frame::Padded { keep: pending.len().min(at + 2) };
        }
        self.end_at(terminator, Frame::Message { text: &pending[..text], rest: &[] })
    }

    /// The frame of bytes that begin with IAC, if they are a telnet sequence. Only those may be
    /// skipped: every message must be answered.
    #[cold]
    fn next_option<'p>(&mut self, pending: &'p [u8], input: &InputState) -> Option<Frame<'p>> {
        match telnet::sequence(pending) {
            Sequence::Whole(whole) => Some(self.skip_telnet(pending, whole)),
            Sequence::Partial if pending.len() <= input.limit && !self.gap_elapsed(input, GAP) => {
                Some(Frame::Incomplete)
            }
            Sequence::Partial | Sequence::None => None,
        }
    }

    /// The frame of a telnet sequence of `whole` bytes.
    fn skip_telnet<'p>(&mut self, pending: &'p [u8], whole: usize) -> Frame<'p> {
        let (sequence, rest) = pending.split_at(whole);
        let frame = match telnet::refusal(sequence) {
            Some(refusal) => Frame::Refuse { refusal, rest },
            None => Frame::Skip { rest },
        };
        self.end_at(self.terminator, frame)
    }

    /// The frame of bytes that begin with a NUL.
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
            // Only NULs so far: an empty buffer of the client.
            _ => self.padded(pending, 0, input),
        }
    }

    /// The NUL of a line that was answered before the NUL arrived: it is no message.
    fn padding_of_last(&mut self, input: &InputState) -> Frame<'static> {
        self.nul = Nul::Pads;
        if !self.gap_elapsed(input, GAP) {
            return Frame::Padded { keep: 1 };
        }
        let terminator = self.terminator.with_nul();
        self.end_at(terminator, Frame::Skip { rest: &[] })
    }

    /// Resets the state after a message other than a line, or after skipped bytes.
    fn end_at<'p>(&mut self, terminator: Terminator, frame: Frame<'p>) -> Frame<'p> {
        self.terminator = terminator;
        self.nul = Nul::Begins;
        self.searched = Cursor::default();
        self.gap_at = None;
        frame
    }

    /// True if no byte has moved for `gap`, or the input has ended. The first call starts the gap.
    fn gap_elapsed(&mut self, input: &InputState, gap: Duration) -> bool {
        let gap_at = *self.gap_at.get_or_insert(input.now + gap);
        input.ended || gap_at <= input.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A framer with a limit and a virtual clock.
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

        /// The next frame, as a session finds it.
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
    fn a_line_ends_at_its_newline_and_its_terminator_is_remembered() {
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
    fn a_whole_line_takes_the_fast_path_if_it_is_not_too_long_and_not_padded() {
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
        assert_eq!(line.line(b"1\0\n", 4), None);
        assert_eq!(lines(4).next(b"1\0\n"), message(b"1\0", b""));
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
    fn a_line_that_only_begins_like_a_telnet_sequence_is_a_line() {
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
        // A newline in the part already searched is not found, so the search does continue there.
        assert_eq!(cutter.next(b"\n2\n"), message(b"\n2", b""));
        assert_eq!(cutter.next(b"\n"), message(b"", b""));
    }
}
