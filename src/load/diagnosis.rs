//! The diagnosis of a stream of replies that is not as expected, line by line.
//!
//! Replies are normally compared as blocks of bytes. From the first byte that differs, the bytes of
//! a connection go through this module until they are in step again:
//!
//! | first in the stream | finding | requests it settles |
//! | --- | --- | --- |
//! | the expected reply | right | one |
//! | a reply that was skipped before | reordered | none |
//! | the reply before the expected one | duplicated | none |
//! | the reply to a later request | those between are skipped: missing unless they come later | up to it |
//! | the next two replies without the newline between them | merged, and right | two |
//! | any other line | wrong | one |
//! | any line, while no reply is expected | unasked | none |
//! | no newline within the limit | endless: the connection is given up | one, if there is one |

use super::workload::Workload;
use crate::buffer::Buffer;

/// The longest line, in bytes. After more than that without a newline no later reply can be found.
const MAX_LINE: usize = 1 << 20;

/// The most skipped replies that are remembered, in case they come later.
const MAX_SKIPPED: usize = 1024;

/// The kind of the first line in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Right,
    Wrong,
    /// The previous reply again.
    Duplicated,
    /// A reply without its newline, and the next one right behind it.
    Merged,
    /// A reply that was counted as missing.
    Reordered,
    /// A right reply, before which this number of replies is missing.
    Skipped(usize),
    /// A line that answers no request.
    Unasked,
    /// No newline within [`MAX_LINE`]: nothing can be said of the rest of the connection.
    Endless,
}

/// The replies that a connection expects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// The position of the next one in the workload.
    pub(super) position: usize,
    /// The number of requests in flight.
    pub(super) awaited: usize,
    /// True if any request was answered before.
    pub(super) answered: bool,
}

/// The bytes of a connection from the first unexpected one on.
#[derive(Debug, Default)]
pub(super) struct ReplyDiagnosis {
    /// Bytes received and not classified. A server may send line after line without a request, so
    /// taking one costs no more than its own length.
    pending: Buffer,
    /// The positions of skipped replies, at most [`MAX_SKIPPED`].
    skipped: Vec<usize>,
}

impl ReplyDiagnosis {
    /// True if all bytes pushed were classified, so that blocks can be compared again.
    #[inline]
    pub(super) fn is_in_step(&self) -> bool {
        self.pending.is_empty()
    }

    /// The bytes that were pushed and not classified.
    pub(super) fn pending(&self) -> &[u8] {
        self.pending.pending()
    }

    /// Adds received bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.write(bytes);
    }

    /// Removes the first line and classifies it. None if that needs more bytes.
    pub(super) fn next(
        &mut self,
        workload: &Workload,
        expected: Expected,
    ) -> Option<(Vec<u8>, Finding)> {
        let pending = self.pending.pending();
        if pending.is_empty() {
            return None;
        }
        let reply = workload.reply(expected.position);
        if expected.awaited > 0 {
            if pending.starts_with(reply) {
                return Some((self.take(reply.len()), Finding::Right));
            }
            if reply.starts_with(pending) {
                return None;
            }
        }
        let Some(end) = memchr::memchr(b'\n', pending) else {
            let length = pending.len();
            return (length > MAX_LINE).then(|| (self.take(length), Finding::Endless));
        };
        let line = self.take(end + 1);
        let finding = self.classify(&line, workload, expected);
        Some((line, finding))
    }

    /// The finding for a line that is not the expected reply.
    fn classify(&mut self, line: &[u8], workload: &Workload, expected: Expected) -> Finding {
        let Expected { position, awaited, answered } = expected;
        if let Some(found) = self.skipped.iter().position(|&at| workload.reply(at) == line) {
            self.skipped.remove(found);
            return Finding::Reordered;
        }
        if answered && workload.reply(workload.advance(position, workload.len() - 1)) == line {
            return Finding::Duplicated;
        }
        if awaited == 0 {
            return Finding::Unasked;
        }
        let later = (1..awaited).find(|&n| workload.reply(workload.advance(position, n)) == line);
        if let Some(missing) = later {
            let room = MAX_SKIPPED.saturating_sub(self.skipped.len());
            self.skipped.extend((0..missing.min(room)).map(|n| workload.advance(position, n)));
            return Finding::Skipped(missing);
        }
        let second = workload.reply(workload.advance(position, 1));
        let first = workload.reply(position).trim_ascii_end();
        if awaited > 1 && line.strip_prefix(first) == Some(second) {
            return Finding::Merged;
        }
        Finding::Wrong
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let taken = self.pending.pending()[..n].to_vec();
        self.pending.consume(n);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Dialect;

    /// The number of requests in flight that a finding settles.
    fn settles(finding: Finding) -> usize {
        match finding {
            Finding::Right | Finding::Wrong => 1,
            Finding::Merged => 2,
            Finding::Skipped(missing) => missing + 1,
            _ => 0,
        }
    }

    /// The findings in a stream while the values 1 to 5 are expected.
    fn found(stream: &str) -> Vec<Finding> {
        let expressions = ["1", "2", "3", "4", "5", "6"].map(str::to_owned);
        let workload = Workload::calc(&expressions, Dialect::Python);
        let mut diagnosis = ReplyDiagnosis::default();
        let mut expected = Expected { position: 0, awaited: 5, answered: false };
        let mut findings = Vec::new();
        // The pieces in which it arrives make no difference, so it arrives in the smallest.
        for byte in stream.as_bytes() {
            diagnosis.push(&[*byte]);
            while let Some((_, finding)) = diagnosis.next(&workload, expected) {
                findings.push(finding);
                expected.position = workload.advance(expected.position, settles(finding));
                expected.awaited -= settles(finding);
                expected.answered |= settles(finding) > 0;
            }
        }
        findings
    }

    #[test]
    fn each_kind_of_fault_is_told_from_the_others() {
        use Finding::{Duplicated, Merged, Reordered, Right, Skipped, Unasked, Wrong};
        for (stream, findings) in [
            ("1\n2\n3\n", &[Right, Right, Right][..]),
            ("1\n7\n3\n", &[Right, Wrong, Right]),
            ("1\n1\n2\n3\n", &[Right, Duplicated, Right, Right]),
            ("2\n1\n3\n", &[Skipped(1), Reordered, Right]),
            ("4\n2\n3\n1\n5\n", &[Skipped(3), Reordered, Reordered, Reordered, Right]),
            ("1\n3\n4\n5\n", &[Right, Skipped(1), Right, Right]),
            ("12\n3\n", &[Merged, Right]),
            ("1\n23\n4\n", &[Right, Merged, Right]),
            ("1\n\n3\n", &[Right, Wrong, Right]),
            ("1\n2\n3\n4\n5\n5\n", &[Right, Right, Right, Right, Right, Duplicated]),
            ("1\n2\n3\n4\n5\n?\n", &[Right, Right, Right, Right, Right, Unasked]),
            // An extra line is taken for a wrong reply, and so the next reply for a repeated one.
            ("what?\n1\n2\n", &[Wrong, Duplicated, Right]),
        ] {
            assert_eq!(found(stream), findings, "{stream:?}");
        }
    }

    #[test]
    fn a_line_over_the_limit_is_endless() {
        let workload = Workload::echo(16, 1);
        let mut diagnosis = ReplyDiagnosis::default();
        let expected = Expected { position: 0, awaited: 1, answered: false };
        diagnosis.push(&vec![b'x'; MAX_LINE]);
        assert!(diagnosis.next(&workload, expected).is_none());
        diagnosis.push(b"x");
        let found =
            diagnosis.next(&workload, expected).map(|(bytes, finding)| (bytes.len(), finding));
        assert_eq!(found, Some((MAX_LINE + 1, Finding::Endless)));
        assert!(diagnosis.is_in_step());
    }
}
