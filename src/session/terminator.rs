//! How a message ended, and so how its reply ends: what the client sent is what it looks for.

use crate::buffer::Buffer;
use crate::service::Delimiter;

/// The length that Java's writeUTF puts before a text, in bytes.
pub(super) const LENGTH: usize = 2;

/// How a message ended, and so how its reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Terminator {
    /// A gap or the end of input ended it: the reply has no end of its own.
    None,
    Lf,
    CrLf,
    Nul,
    LfNul,
    CrLfNul,
    /// It had a length in front, and so has the reply.
    Length,
}

impl Terminator {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::None | Self::Length => b"",
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
            Self::Nul => b"\0",
            Self::LfNul => b"\n\0",
            Self::CrLfNul => b"\r\n\0",
        }
    }

    /// The newline at `at`, with the CR before it if there is one; and where the text before it
    /// ends.
    #[inline]
    pub(super) fn of_line(pending: &[u8], at: usize) -> (usize, Self) {
        match at.checked_sub(1) {
            Some(before) if pending[before] == b'\r' => (before, Self::CrLf),
            _ => (at, Self::Lf),
        }
    }

    /// The same with a NUL behind it.
    pub(super) fn with_nul(self) -> Self {
        match self {
            Self::Lf => Self::LfNul,
            Self::CrLf => Self::CrLfNul,
            other => other,
        }
    }

    /// How the reply's reader will know where it ends.
    #[inline]
    pub(super) fn delimiter(self) -> Delimiter {
        match self {
            Self::None | Self::Nul => Delimiter::None,
            Self::Lf | Self::CrLf => Delimiter::Newline,
            Self::LfNul | Self::CrLfNul => Delimiter::NewlineNul,
            Self::Length => Delimiter::Length,
        }
    }

    /// Begins a reply: to a message that had its length in front, with room for the same.
    #[inline]
    pub(super) fn begin_reply(self, outbox: &mut Buffer) {
        if self == Self::Length {
            outbox.write(&[0; LENGTH]);
        }
    }

    /// Ends the reply the text of which begins at `text_at` in the outbox, if anything was written.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call for each reply, to write one byte")]
    pub(super) fn end_reply(self, outbox: &mut Buffer, text_at: usize) {
        match self {
            Self::Lf if outbox.len() == text_at => {}
            Self::Lf => outbox.push(b'\n'),
            _ => self.end_unusual(outbox, text_at),
        }
    }

    /// The same for all others than [`Lf`](Self::Lf).
    #[inline(never)]
    fn end_unusual(self, outbox: &mut Buffer, text_at: usize) {
        match self {
            Self::Length => fill_in_length(outbox, text_at),
            _ if outbox.len() == text_at => {}
            _ => outbox.write(self.bytes()),
        }
    }
}

/// Writes the length of a reply into the room that was left for it; without a reply there is none.
#[cold]
fn fill_in_length(outbox: &mut Buffer, text_at: usize) {
    let length_at = text_at - LENGTH;
    if outbox.len() == text_at {
        return outbox.truncate(length_at);
    }
    to_modified_utf8(outbox, text_at);
    // Two bytes cannot say more. No service has so much to say to such a client.
    let length = u16::try_from(outbox.len() - text_at).unwrap_or(u16::MAX);
    outbox.truncate(text_at + usize::from(length));
    outbox.overwrite(length_at, &length.to_be_bytes());
}

/// Writes the outbox anew from the byte at `start`, in the modified UTF-8 that readUTF takes: a
/// character of four bytes stands there as its two UTF-16 surrogates, of three bytes each.
fn to_modified_utf8(outbox: &mut Buffer, start: usize) {
    let bytes = &outbox.pending()[start..];
    if !bytes.iter().any(|&byte| byte >= 0xf0) {
        return;
    }
    let text = String::from_utf8_lossy(bytes).into_owned();
    outbox.truncate(start);
    for letter in text.chars() {
        let mut units = [0; 2];
        match letter.encode_utf16(&mut units) {
            [_] => outbox.write(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            pair => {
                for unit in pair {
                    outbox.write(&three_bytes(*unit));
                }
            }
        }
    }
}

/// A UTF-16 unit beyond 0x7ff, as UTF-8 writes characters of that size.
fn three_bytes(unit: u16) -> [u8; 3] {
    let [high, low] = unit.to_be_bytes();
    let middle = (high & 0x0f) << 2 | low >> 6;
    [0xe0 | high >> 4, 0x80 | middle, 0x80 | low & 0x3f]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_was_written_nothing_is_ended() {
        for terminator in [Terminator::Lf, Terminator::CrLf, Terminator::Nul, Terminator::Length] {
            let mut outbox = Buffer::default();
            outbox.write(b"before");
            terminator.begin_reply(&mut outbox);
            let text_at = outbox.len();
            terminator.end_reply(&mut outbox, text_at);
            assert_eq!(outbox.pending(), b"before", "{terminator:?}");
        }
    }

    #[test]
    fn java_reads_a_large_character_as_two_surrogates() {
        let mut outbox = Buffer::default();
        Terminator::Length.begin_reply(&mut outbox);
        outbox.write("no \u{1f44e}\u{2b50}".as_bytes());
        Terminator::Length.end_reply(&mut outbox, LENGTH);
        // U+1F44E is D83D DC4E.
        let text = b"no \xed\xa0\xbd\xed\xb1\x8e\xe2\xad\x90";
        assert_eq!(outbox.pending(), [&[0, 12], &text[..]].concat());
    }
}
