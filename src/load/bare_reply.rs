//! A reply of a server that knows no newline. It is complete when it has the bytes expected; any
//! other ends before a gap, like a reply to our client.
//!
//! The end of a line or of a C string belongs to the reply before it: newlines, NULs, and behind a
//! NUL the rest of the server's buffer.

use std::mem;
use std::time::Instant;

use crate::session::GAP;

/// The longest reply that is kept, in bytes.
const MAX_REPLY_LEN: usize = 1 << 20;

/// The part of a reply that has come.
#[derive(Debug)]
pub(super) struct BareReply {
    text: Vec<u8>,
    /// The time of the last byte of `text`; without meaning while that is empty.
    received_at: Instant,
}

impl BareReply {
    /// Nothing so far, at any time.
    pub(super) fn new(now: Instant) -> Self {
        Self { text: Vec::new(), received_at: now }
    }

    /// The end of the gap that ends the reply.
    #[inline]
    pub(super) fn gap_at(&self) -> Option<Instant> {
        (!self.text.is_empty()).then(|| self.received_at + GAP)
    }

    /// The bytes that have come.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The time of the last of them.
    pub(super) fn received_at(&self) -> Instant {
        self.received_at
    }

    /// Adds bytes, but for those that end the reply before; `expected` may begin with such bytes.
    pub(super) fn push(&mut self, bytes: &[u8], expected: &[u8], now: Instant) {
        let mut bytes = bytes;
        if self.text.is_empty() && !expected.first().copied().is_some_and(is_terminator) {
            let end = bytes.iter().take_while(|&&byte| is_terminator(byte)).count();
            bytes = &bytes[end..];
        }
        if !bytes.is_empty() {
            self.text.extend_from_slice(bytes);
            self.received_at = now;
        }
    }

    /// True if it is the reply expected, with whatever may stand behind one.
    pub(super) fn is(&self, expected: &[u8]) -> bool {
        let Some(behind) = self.text.strip_prefix(expected) else { return false };
        let end = behind.iter().position(|&byte| byte == 0).unwrap_or(behind.len());
        behind[..end].iter().copied().all(is_terminator)
    }

    /// True if it is over the limit.
    pub(super) fn is_too_long(&self) -> bool {
        self.text.len() > MAX_REPLY_LEN
    }

    /// Takes the bytes that have come.
    pub(super) fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.text)
    }
}

/// True for the bytes that end a line or a string.
fn is_terminator(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn what_ends_a_line_or_a_string_belongs_to_the_reply_before() {
        let now = Instant::now();
        for (pieces, is_reply) in [
            (&[&b"66"[..]][..], true),
            (&[b"6", b"6"], true),
            (&[b"66\r\n"], true),
            (&[b"66\0 44 of an earlier message"], true),
            (&[b"\n", b"\0\0", b"66"], true),
            (&[b"6"], false),
            (&[b"666"], false),
            (&[b"66\n7"], false),
        ] {
            let mut reply = BareReply::new(now);
            for piece in pieces {
                reply.push(piece, b"66", now);
            }
            assert_eq!(reply.is(b"66"), is_reply, "{pieces:?}");
            assert_eq!(reply.gap_at(), Some(now + GAP));
        }
        let mut reply = BareReply::new(now);
        reply.push(b"\r\n", b"66", now);
        assert_eq!(reply.gap_at(), None);
        reply.push(b"\r\n", b"\r\n", now);
        assert!(reply.is(b"\r\n"));
    }
}
