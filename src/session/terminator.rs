//! The terminator of a message, and of its reply: a client looks for the one that it sends.

use crate::buffer::Buffer;
use crate::service::Delimiter;

/// The length that Java's writeUTF puts before a text, in bytes.
pub(super) const LENGTH: usize = 2;

/// The terminator of a message and of its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Terminator {
    /// None: a gap or the end of input ended the message. The reply has no terminator.
    None,
    Lf,
    CrLf,
    /// A CR and a pause, from a terminal. The reply ends in CR LF, which is what a terminal needs.
    Cr,
    Nul,
    LfNul,
    CrLfNul,
    /// None, but a length before the text. The reply begins with its length as well.
    Length,
}

impl Terminator {
    /// The words for it; none if there is none.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Lf => Some("a newline"),
            Self::CrLf => Some("CR and newline"),
            Self::Cr => Some("CR and silence"),
            Self::Nul => Some("a NUL and silence"),
            Self::LfNul => Some("a newline, a NUL and silence"),
            Self::CrLfNul => Some("CR, newline, NUL and silence"),
            Self::Length => Some("the length in front of it"),
        }
    }

    fn bytes(self) -> &'static [u8] {
        match self {
            Self::None | Self::Length => b"",
            Self::Lf => b"\n",
            Self::CrLf | Self::Cr => b"\r\n",
            Self::Nul => b"\0",
            Self::LfNul => b"\n\0",
            Self::CrLfNul => b"\r\n\0",
        }
    }

    /// The length of the text, and the terminator, of a line whose newline is at `at`. A CR before
    /// the newline belongs to the terminator.
    #[inline]
    pub(super) fn of_line(pending: &[u8], at: usize) -> (usize, Self) {
        match at.checked_sub(1) {
            Some(before) if pending[before] == b'\r' => (before, Self::CrLf),
            _ => (at, Self::Lf),
        }
    }

    /// The same newline with a NUL behind it.
    pub(super) fn with_nul(self) -> Self {
        match self {
            Self::Lf => Self::LfNul,
            Self::CrLf => Self::CrLfNul,
            other => other,
        }
    }

    /// The delimiter by which the client finds the end of the reply.
    #[inline]
    pub(super) fn delimiter(self) -> Delimiter {
        match self {
            Self::None | Self::Nul => Delimiter::None,
            Self::Lf | Self::CrLf | Self::Cr => Delimiter::Newline,
            Self::LfNul | Self::CrLfNul => Delimiter::NewlineNul,
            Self::Length => Delimiter::Length,
        }
    }

    /// Begins a reply: writes two bytes for its length, if the message had one.
    #[inline]
    pub(super) fn begin_reply(self, outbox: &mut Buffer) {
        if self == Self::Length {
            outbox.write(&[0; LENGTH]);
        }
    }

    /// Ends the reply whose text begins at `text_at` in the outbox. An empty reply has no end.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call for each reply, to write one byte")]
    pub(super) fn end_reply(self, outbox: &mut Buffer, text_at: usize) {
        match self {
            Self::Lf if outbox.len() == text_at => {}
            Self::Lf => outbox.push(b'\n'),
            Self::None => {}
            _ => self.end_unusual(outbox, text_at),
        }
    }

    /// The same for the other terminators.
    #[inline(never)]
    fn end_unusual(self, outbox: &mut Buffer, text_at: usize) {
        match self {
            Self::Length => fill_in_length(outbox, text_at),
            _ if outbox.len() == text_at => {}
            _ => outbox.write(self.bytes()),
        }
    }
}

/// Writes the length of a reply into the two bytes before it; removes them if the reply is empty.
#[cold]
fn fill_in_length(outbox: &mut Buffer, text_at: usize) {
    let length_at = text_at - LENGTH;
    if outbox.len() == text_at {
        return outbox.truncate(length_at);
    }
    to_modified_utf8(outbox, text_at);
    // Two bytes hold no larger length, and no service sends such a client a longer reply.
    let length = u16::try_from(outbox.len() - text_at).unwrap_or(u16::MAX);
    outbox.truncate(text_at + usize::from(length));
    outbox.overwrite(length_at, &length.to_be_bytes());
}

/// Rewrites the outbox from the byte at `start` in the modified UTF-8 that Java's readUTF expects
/// (`java.io.DataInput`): a character of four bytes becomes two UTF-16 surrogates of three bytes.
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

/// The UTF-8 form of three bytes for a UTF-16 unit above 0x7ff, which may be a surrogate.
fn three_bytes(unit: u16) -> [u8; 3] {
    let [high, low] = unit.to_be_bytes();
    let middle = (high & 0x0f) << 2 | low >> 6;
    [0xe0 | high >> 4, 0x80 | middle, 0x80 | low & 0x3f]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_reply_has_no_terminator() {
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
