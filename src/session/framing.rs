//! Where a message ends in a stream of bytes, and how its reply ends.
//!
//! TCP keeps no message boundaries, and clients do not agree on one. What 55 clients of students in
//! C, C++, Java and Python really send, and what [`Delimiting::Auto`] makes of it:
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
//! [`Delimiting::Line`] knows newlines only (and skips telnet's options, too): it serves a terminal
//! in character mode, the typing of which has gaps. A raw service sees the bytes as they come.

use std::time::{Duration, Instant};

use super::telnet::{self, IAC, Sequence};
use super::terminator::{LENGTH, Terminator};
use crate::buffer::{Buffer, Cursor};
use crate::service::{self, Delimiter, MAX_REPLY};

/// The silence that ends a message without a terminator: longer than the pauses within one send,
/// shorter than a person notices.
pub const GAP: Duration = Duration::from_millis(25);

/// The same for a client that has sent a newline: the next one is very likely still to come.
pub const LINE_GAP: Duration = Duration::from_secs(1);

/// The part of a line that is searched in words, in bytes.
const SHORT_LINE: usize = 16;

/// How the end of a message is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delimiting {
    /// By what the client sends: see the table above.
    #[default]
    Auto,
    /// By a newline.
    Line,
}

/// What stands at the front of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// No whole message yet.
    Incomplete,
    /// No whole message yet, and of what is there only the first bytes count.
    Padded { keep: usize },
    /// Bytes that are no part of a message.
    Skip { whole: usize },
    /// A message: `skip` bytes, then its text of `text` bytes; `whole` bytes go with it.
    Message { skip: usize, text: usize, whole: usize },
    /// A message longer than the limit.
    TooLong,
    /// Nothing, and nothing will come.
    End,
}

impl Frame {
    fn line(text: usize, whole: usize) -> Self {
        Self::Message { skip: 0, text, whole }
    }
}

/// What is known of the input besides its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
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
    /// None for a raw service, which has no messages.
    delimiting: Option<Delimiting>,
    /// The end of the last message, and so of the next reply.
    terminator: Terminator,
    /// How many bytes of the inbox are known to hold no terminator, so that a message which comes a
    /// byte at a time costs time in proportion to its length, not to the square of it.
    searched: Cursor,
    /// The client has sent a newline.
    speaks_lines: bool,
    nul: Nul,
    /// When the gap will be long enough to end what is pending, if it waits for one.
    gap_at: Option<Instant>,
}

impl Framer {
    pub(super) fn new(framing: service::Framing, delimiting: Delimiting) -> Self {
        let (delimiting, terminator) = match framing {
            service::Framing::Messages => (Some(delimiting), Terminator::Lf),
            service::Framing::Raw => (None, Terminator::None),
        };
        Self {
            delimiting,
            terminator,
            searched: Cursor::default(),
            speaks_lines: false,
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

    /// Ends the reply that was begun where the outbox had `before` bytes.
    #[inline]
    pub(super) fn end_reply(&self, outbox: &mut Buffer, before: usize) {
        self.terminator.end_reply(outbox, before);
    }

    /// Looks at the front of the inbox. What the answer speaks of must be consumed before the next
    /// look.
    #[inline]
    pub(super) fn next(&mut self, pending: &[u8], situation: Situation) -> Frame {
        if pending.is_empty() {
            return if situation.ended { Frame::End } else { Frame::Incomplete };
        }
        let frame = match self.delimiting {
            None => {
                let length = pending.len().min(MAX_REPLY);
                return Frame::line(length, length);
            }
            Some(Delimiting::Line) => self.next_line(pending, situation),
            Some(Delimiting::Auto) => self.next_auto(pending, situation),
        };
        match frame {
            Frame::Message { text, .. } if text > situation.limit => Frame::TooLong,
            frame => frame,
        }
    }

    #[inline]
    fn next_line(&mut self, pending: &[u8], situation: Situation) -> Frame {
        if pending[0] == IAC
            && let Sequence::Whole(whole) = telnet::sequence(pending)
        {
            return self.end_at(self.terminator, Frame::Skip { whole });
        }
        let unsearched = &pending[self.searched.at()..];
        match find(unsearched, [b'\n'], |far| memchr::memchr(b'\n', far)) {
            Some(at) => self.end_line(pending, self.searched.at() + at),
            None => self.no_end(pending, situation),
        }
    }

    /// The rules of the table, 1 to 4.
    #[inline]
    fn next_auto(&mut self, pending: &[u8], situation: Situation) -> Frame {
        if pending[0] == 0 {
            return self.next_nul(pending, situation);
        }
        if pending[0] == IAC
            && let Some(frame) = self.next_option(pending, situation)
        {
            return frame;
        }
        let unsearched = &pending[self.searched.at()..];
        match find(unsearched, [b'\n', 0], |far| memchr::memchr2(b'\n', 0, far)) {
            None => {
                let gap = if self.speaks_lines { LINE_GAP } else { GAP };
                let quiet = self.quiet(situation, gap);
                self.no_end(pending, Situation { ended: quiet, ..situation })
            }
            Some(at) => {
                let at = self.searched.at() + at;
                if pending[at] == b'\n' && pending.get(at + 1) != Some(&0) {
                    return self.end_line(pending, at);
                }
                self.padded(pending, at, situation)
            }
        }
    }

    /// A whole line, its newline at `at`.
    #[inline]
    fn end_line(&mut self, pending: &[u8], at: usize) -> Frame {
        let (text, terminator) = Terminator::of_line(pending, at);
        self.terminator = terminator;
        self.speaks_lines = true;
        self.nul = Nul::EndsLine;
        self.searched = Cursor::default();
        self.gap_at = None;
        Frame::line(text, at + 1)
    }

    /// No terminator in sight: a message only if this is all.
    fn no_end(&mut self, pending: &[u8], situation: Situation) -> Frame {
        if situation.ended {
            return self.end_at(Terminator::None, Frame::line(pending.len(), pending.len()));
        }
        self.searched = Cursor::to(pending.len());
        // The last byte may turn out to belong to the terminator.
        if pending.len() <= situation.limit + 1 { Frame::Incomplete } else { Frame::TooLong }
    }

    /// Text, then a NUL or a newline and a NUL, where the first of them is `at`. What follows up to
    /// the gap is padding, or what stood in the client's buffer before.
    fn padded(&mut self, pending: &[u8], at: usize, situation: Situation) -> Frame {
        let is_line = pending[at] == b'\n';
        self.speaks_lines |= is_line;
        let (text, terminator) = match Terminator::of_line(pending, at) {
            (text, terminator) if is_line => (text, terminator.with_nul()),
            // To who has used writeUTF, two NULs are an empty text.
            _ if self.terminator == Terminator::Length && pending == [0; LENGTH] => {
                (at, Terminator::Length)
            }
            _ => (at, Terminator::Nul),
        };
        // One that is too long need not be waited for, and might leave no room to wait in.
        if text <= situation.limit && !self.quiet(situation, GAP) {
            self.searched = Cursor::to(at);
            // Two NULs, so that what comes next is not taken for a length.
            return Frame::Padded { keep: pending.len().min(at + 2) };
        }
        self.end_at(terminator, Frame::line(text, pending.len()))
    }

    /// What begins with telnet's IAC, if it is telnet's: else every message has its answer.
    #[cold]
    fn next_option(&mut self, pending: &[u8], situation: Situation) -> Option<Frame> {
        match telnet::sequence(pending) {
            Sequence::Whole(whole) => Some(self.end_at(self.terminator, Frame::Skip { whole })),
            Sequence::Partial
                if pending.len() <= situation.limit && !self.quiet(situation, GAP) =>
            {
                Some(Frame::Incomplete)
            }
            Sequence::Partial | Sequence::None => None,
        }
    }

    /// What begins with a NUL.
    #[cold]
    fn next_nul(&mut self, pending: &[u8], situation: Situation) -> Frame {
        if self.nul == Nul::EndsLine && situation.now >= situation.active_at + GAP {
            self.nul = Nul::Begins;
        }
        match pending.get(1) {
            _ if self.nul != Nul::Begins => self.padding_of_last(pending, situation),
            Some(&length) if length > 0 => {
                let (text, whole) = (usize::from(length), LENGTH + usize::from(length));
                if pending.len() < whole && !situation.ended {
                    return Frame::Incomplete;
                }
                let whole = whole.min(pending.len());
                let text = text.min(whole - LENGTH);
                self.end_at(Terminator::Length, Frame::Message { skip: LENGTH, text, whole })
            }
            // NULs only, as far as can be seen: a client's empty buffer.
            _ => self.padded(pending, 0, situation),
        }
    }

    /// A line was answered before the NUL behind its newline came: it is no message.
    fn padding_of_last(&mut self, pending: &[u8], situation: Situation) -> Frame {
        self.nul = Nul::Pads;
        if !self.quiet(situation, GAP) {
            return Frame::Padded { keep: 1 };
        }
        let terminator = self.terminator.with_nul();
        self.end_at(terminator, Frame::Skip { whole: pending.len() })
    }

    /// This is the end of a message.
    fn end_at(&mut self, terminator: Terminator, frame: Frame) -> Frame {
        self.terminator = terminator;
        self.nul = Nul::Begins;
        self.searched = Cursor::default();
        self.gap_at = None;
        frame
    }

    /// Whether nothing has come for `gap`, or will come at all. If not, the gap begins now.
    fn quiet(&mut self, situation: Situation, gap: Duration) -> bool {
        let gap_at = *self.gap_at.get_or_insert(situation.now + gap);
        situation.ended || gap_at <= situation.now
    }
}

/// Where the first of the bytes `ends` is. Most lines are so short that it is found eight bytes at
/// a time before a `search` of 32 at a time has begun.
#[inline]
fn find<const N: usize>(
    bytes: &[u8],
    ends: [u8; N],
    search: impl FnOnce(&[u8]) -> Option<usize>,
) -> Option<usize> {
    let mut at = 0;
    while at < SHORT_LINE
        && let Some(word) = bytes[at..].first_chunk()
    {
        let word = u64::from_le_bytes(*word);
        let marks = ends.into_iter().fold(0, |marks, end| marks | mark(word, end));
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    Some(at + search(&bytes[at..])?)
}

/// The lowest bit set in the result is the highest of the first byte in `word` that is `byte`, if
/// there is one: taking 1 away makes a byte negative that was 0 and not before. Bits above that one
/// mean nothing.
#[inline]
fn mark(word: u64, byte: u8) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let zeros = word ^ (ONES * u64::from(byte));
    zeros.wrapping_sub(ONES) & !zeros & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A framer with its limit and a clock in our hands.
    struct Cutter {
        framer: Framer,
        situation: Situation,
    }

    impl Cutter {
        #[expect(clippy::disallowed_methods, reason = "any instant will do to begin with")]
        fn new(delimiting: Delimiting, limit: usize) -> Self {
            let framer = Framer::new(service::Framing::Messages, delimiting);
            let now = Instant::now();
            Self { framer, situation: Situation { ended: false, limit, active_at: now, now } }
        }

        fn next(&mut self, pending: &[u8]) -> Frame {
            self.framer.next(pending, self.situation)
        }

        fn at_the_end(&mut self, pending: &[u8]) -> Frame {
            self.framer.next(pending, Situation { ended: true, ..self.situation })
        }
    }

    fn lines(limit: usize) -> Cutter {
        Cutter::new(Delimiting::Line, limit)
    }

    #[test]
    fn a_line_ends_at_its_newline_and_gives_its_terminator_back() {
        for delimiting in [Delimiting::Line, Delimiting::Auto] {
            let mut cutter = Cutter::new(delimiting, 10);
            assert_eq!(cutter.next(b"1+2\n3"), Frame::line(3, 4));
            assert_eq!(cutter.framer.terminator, Terminator::Lf);
            assert_eq!(cutter.next(b"1+2\r\n"), Frame::line(3, 5));
            assert_eq!(cutter.framer.terminator, Terminator::CrLf);
            assert_eq!(cutter.framer.deadline(), None, "whole lines wait for nothing");
        }
    }

    #[test]
    fn an_unterminated_message_counts_only_at_the_end_of_input() {
        let mut cutter = lines(10);
        assert_eq!(cutter.next(b"1+2"), Frame::Incomplete);
        assert_eq!(cutter.at_the_end(b"1+2"), Frame::line(3, 3));
        assert_eq!(cutter.framer.terminator, Terminator::None);
        assert_eq!(cutter.at_the_end(b""), Frame::End);
    }

    #[test]
    fn the_limit_counts_text_and_not_its_terminator() {
        assert_eq!(lines(4).next(b"1234\r\n"), Frame::line(4, 6));
        assert_eq!(lines(4).next(b"1234\r"), Frame::Incomplete);
        assert_eq!(lines(4).next(b"12345\n"), Frame::TooLong);
        assert_eq!(lines(4).next(b"123456"), Frame::TooLong);
        assert_eq!(lines(4).at_the_end(b"12345"), Frame::TooLong);
    }

    #[test]
    fn bytes_that_were_searched_are_not_searched_again() {
        let mut cutter = lines(10);
        assert_eq!(cutter.next(b"12"), Frame::Incomplete);
        // A newline where the search has been is not seen: the search really goes on from there.
        assert_eq!(cutter.next(b"\n2\n"), Frame::line(2, 3));
        assert_eq!(cutter.next(b"\n"), Frame::line(0, 1));
    }
}
