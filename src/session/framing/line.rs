//! The ends of messages with [`FramingMode::Line`](super::FramingMode::Line).

use super::{Framer, GAP};
use crate::session::frame::{Frame, InputState};
use crate::session::telnet::{self, IAC, Sequence};
use crate::session::terminator::Terminator;

impl Framer {
    /// The frame at the front of the inbox, which is not empty.
    pub(super) fn next_line<'p>(&mut self, pending: &'p [u8], input: &InputState) -> Frame<'p> {
        if pending[0] == IAC
            && let Sequence::Whole(whole) = telnet::sequence(pending)
        {
            return self.skip_telnet(pending, whole);
        }
        if self.terminator == Terminator::Cr && matches!(pending[0], b'\n' | 0) {
            // The other half of a line's end. Its line was answered with CR LF.
            return self.end_at(Terminator::CrLf, Frame::Skip { rest: &pending[1..] });
        }
        let searched = self.searched.at();
        let is_end = |&at: &usize| pending[at] == b'\n' || at > 0 && pending[at - 1] == b'\r';
        let mut ends = memchr::memchr2_iter(b'\n', 0, &pending[searched..]).map(|at| searched + at);
        match ends.find(is_end) {
            Some(at) if pending[at] == b'\n' => self.whole_line(pending, at),
            Some(nul) => self.cr_line(pending, nul - 1, Terminator::CrLf, nul + 1),
            None => match pending.len() - 1 {
                cr if pending[cr] == b'\r' && cr <= input.limit && self.gap_elapsed(input, GAP) => {
                    self.cr_line(pending, cr, Terminator::Cr, cr + 1)
                }
                _ => self.no_end(pending, input),
            },
        }
    }

    /// The line whose CR is at `cr`, and whose end is at `end`.
    fn cr_line<'p>(
        &mut self,
        pending: &'p [u8],
        cr: usize,
        terminator: Terminator,
        end: usize,
    ) -> Frame<'p> {
        self.end_line(terminator);
        Frame::Message { text: &pending[..cr], rest: &pending[end..] }
    }
}
