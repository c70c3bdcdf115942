//! A stream of replies that is not what was expected, read line by line to say what is wrong.
//!
//! The usual way compares blocks of bytes. At the first byte that differs the connection comes here
//! until it is in step again:
//!
//! | what stands at the front | means | replies it settles |
//! | --- | --- | --- |
//! | the reply that is next | right | that one |
//! | one that was passed over before | it comes late: reordered | none |
//! | the one before | duplicated | none |
//! | one of a later request | those between are missing, unless they come after all | up to it |
//! | the next two without the newline between them | merged | both |
//! | any other line | wrong | one |
//! | anything, when nothing is expected | not asked for | none |

use super::workload::Workload;

/// Bytes without a newline after which nobody can say where a reply ends.
const MAX_LINE: usize = 1 << 20;

/// The replies passed over that are remembered, in case they come after all.
const MAX_SKIPPED: usize = 1024;

/// What is at the front of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Right,
    Wrong,
    /// The reply before once more.
    Duplicated,
    /// Two replies in one line.
    Merged,
    /// One that was missing until now.
    Reordered,
    /// So many replies are missing before this one, which is right.
    Skipped(usize),
    /// Something that answers no request.
    Unasked,
    /// No end of a line in sight: the rest of this connection tells nothing.
    Endless,
}

impl Finding {
    /// How many of the requests in flight are done with.
    pub(super) fn settles(self) -> usize {
        match self {
            Self::Right | Self::Wrong => 1,
            Self::Merged => 2,
            Self::Skipped(missing) => missing + 1,
            Self::Duplicated | Self::Reordered | Self::Unasked | Self::Endless => 0,
        }
    }
}

/// Where a connection stands with its replies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// The position in the workload of the reply that is next.
    pub(super) position: usize,
    /// The replies that are awaited.
    pub(super) awaited: usize,
    /// Whether there was a reply before.
    pub(super) answered: bool,
}

/// What was received and is not understood yet.
#[derive(Debug, Default)]
pub(super) struct ReplyDiagnosis {
    pending: Vec<u8>,
    /// The positions of replies that were skipped.
    skipped: Vec<usize>,
}

impl ReplyDiagnosis {
    /// Whether the stream is in step as far as it is known.
    #[inline]
    pub(super) fn is_in_step(&self) -> bool {
        self.pending.is_empty()
    }

    /// More of the stream.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Finds out what is at the front, and takes it away: the bytes, and what they mean. None if
    /// more of the stream must be known.
    pub(super) fn next(
        &mut self,
        workload: &Workload,
        expected: Expected,
    ) -> Option<(Vec<u8>, Finding)> {
        if self.pending.is_empty() {
            return None;
        }
        let reply = workload.reply(expected.position);
        if expected.awaited > 0 {
            if self.pending.starts_with(reply) {
                return Some((self.take(reply.len()), Finding::Right));
            }
            if reply.starts_with(&self.pending) {
                return None;
            }
        }
        let Some(end) = memchr::memchr(b'\n', &self.pending) else {
            let endless = self.pending.len() > MAX_LINE;
            return endless.then(|| (std::mem::take(&mut self.pending), Finding::Endless));
        };
        let line = self.take(end + 1);
        let finding = self.classify(&line, workload, expected);
        Some((line, finding))
    }

    /// What a line means that is not the reply that is next.
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
        let rest = self.pending.split_off(n);
        std::mem::replace(&mut self.pending, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Dialect;

    /// What is found in the stream, when the values 1 to 5 are awaited.
    fn found(stream: &str) -> Vec<Finding> {
        let expressions = ["1", "2", "3", "4", "5", "6"].map(str::to_owned);
        let workload = Workload::calc(&expressions, Dialect::Python);
        let mut diagnosis = ReplyDiagnosis::default();
        let mut expected = Expected { position: 0, awaited: 5, answered: false };
        let mut findings = Vec::new();
        // Whatever the pieces are that it comes in.
        for byte in stream.as_bytes() {
            diagnosis.push(&[*byte]);
            while let Some((_, finding)) = diagnosis.next(&workload, expected) {
                findings.push(finding);
                expected.position = workload.advance(expected.position, finding.settles());
                expected.awaited -= finding.settles();
                expected.answered |= finding.settles() > 0;
            }
        }
        findings
    }

    #[test]
    fn each_way_to_be_wrong_is_told_from_the_others() {
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
            // One line too many: the first is taken for a wrong reply, the next for a repeated one.
            ("what?\n1\n2\n", &[Wrong, Duplicated, Right]),
        ] {
            assert_eq!(found(stream), findings, "{stream:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
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
