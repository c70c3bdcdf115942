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

use super::script::Script;

/// Bytes without a newline after which nobody can say where a reply ends.
const LONGEST_LINE: usize = 1 << 20;

/// The replies passed over that are remembered, in case they come after all.
const PASSED_OVER: usize = 1024;

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
    Passed(usize),
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
            Self::Passed(missing) => missing + 1,
            Self::Duplicated | Self::Reordered | Self::Unasked | Self::Endless => 0,
        }
    }
}

/// Where a connection stands with its replies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// The place in the script of the reply that is next.
    pub(super) at: usize,
    /// The replies that are awaited.
    pub(super) awaited: usize,
    /// Whether there was a reply before.
    pub(super) answered: bool,
}

/// What was received and is not understood yet.
#[derive(Debug, Default)]
pub(super) struct Suspect {
    held: Vec<u8>,
    /// The places of replies that were passed over.
    passed_over: Vec<usize>,
}

impl Suspect {
    /// Whether the stream is in step as far as it is known.
    #[inline]
    pub(super) fn is_clear(&self) -> bool {
        self.held.is_empty()
    }

    /// More of the stream.
    pub(super) fn hold(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Finds out what is at the front, and takes it away: the bytes, and what they mean. None if
    /// more of the stream must be known.
    pub(super) fn next(
        &mut self,
        script: &Script,
        standing: Standing,
    ) -> Option<(Vec<u8>, Finding)> {
        if self.held.is_empty() {
            return None;
        }
        let expected = script.reply(standing.at);
        if standing.awaited > 0 {
            if self.held.starts_with(expected) {
                return Some((self.take(expected.len()), Finding::Right));
            }
            if expected.starts_with(&self.held) {
                return None;
            }
        }
        let Some(end) = memchr::memchr(b'\n', &self.held) else {
            let endless = self.held.len() > LONGEST_LINE;
            return endless.then(|| (std::mem::take(&mut self.held), Finding::Endless));
        };
        let line = self.take(end + 1);
        let finding = self.judge(&line, script, standing);
        Some((line, finding))
    }

    /// What a line means that is not the reply that is next.
    fn judge(&mut self, line: &[u8], script: &Script, standing: Standing) -> Finding {
        let Standing { at, awaited, answered } = standing;
        if let Some(found) = self.passed_over.iter().position(|&at| script.reply(at) == line) {
            self.passed_over.remove(found);
            return Finding::Reordered;
        }
        if answered && script.reply(script.after(at, script.len() - 1)) == line {
            return Finding::Duplicated;
        }
        if awaited == 0 {
            return Finding::Unasked;
        }
        let later = (1..awaited).find(|&n| script.reply(script.after(at, n)) == line);
        if let Some(missing) = later {
            let room = PASSED_OVER.saturating_sub(self.passed_over.len());
            self.passed_over.extend((0..missing.min(room)).map(|n| script.after(at, n)));
            return Finding::Passed(missing);
        }
        let second = script.reply(script.after(at, 1));
        let first = script.reply(at).trim_ascii_end();
        if awaited > 1 && line.strip_prefix(first) == Some(second) {
            return Finding::Merged;
        }
        Finding::Wrong
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let rest = self.held.split_off(n);
        std::mem::replace(&mut self.held, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Dialect;

    /// What is found in the stream, when the values 1 to 5 are awaited.
    fn found(stream: &str) -> Vec<Finding> {
        let expressions = ["1", "2", "3", "4", "5", "6"].map(str::to_owned);
        let script = Script::calc(&expressions, Dialect::Python);
        let mut suspect = Suspect::default();
        let mut standing = Standing { at: 0, awaited: 5, answered: false };
        let mut findings = Vec::new();
        // Whatever the pieces are that it comes in.
        for byte in stream.as_bytes() {
            suspect.hold(&[*byte]);
            while let Some((_, finding)) = suspect.next(&script, standing) {
                findings.push(finding);
                standing.at = script.after(standing.at, finding.settles());
                standing.awaited -= finding.settles();
                standing.answered |= finding.settles() > 0;
            }
        }
        findings
    }

    #[test]
    fn each_way_to_be_wrong_is_told_from_the_others() {
        use Finding::{Duplicated, Merged, Passed, Reordered, Right, Unasked, Wrong};
        for (stream, findings) in [
            ("1\n2\n3\n", &[Right, Right, Right][..]),
            ("1\n7\n3\n", &[Right, Wrong, Right]),
            ("1\n1\n2\n3\n", &[Right, Duplicated, Right, Right]),
            ("2\n1\n3\n", &[Passed(1), Reordered, Right]),
            ("4\n2\n3\n1\n5\n", &[Passed(3), Reordered, Reordered, Reordered, Right]),
            ("1\n3\n4\n5\n", &[Right, Passed(1), Right, Right]),
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
        let script = Script::echo(16, 1);
        let mut suspect = Suspect::default();
        let standing = Standing { at: 0, awaited: 1, answered: false };
        suspect.hold(&vec![b'x'; LONGEST_LINE]);
        assert!(suspect.next(&script, standing).is_none());
        suspect.hold(b"x");
        let found = suspect.next(&script, standing).map(|(bytes, finding)| (bytes.len(), finding));
        assert_eq!(found, Some((LONGEST_LINE + 1, Finding::Endless)));
        assert!(suspect.is_clear());
    }
}
