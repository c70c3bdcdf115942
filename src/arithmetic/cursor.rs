//! The position of the lexer in its text.

use super::token::Span;

/// A text, and the token in it that is being read.
pub(super) struct Cursor<'t> {
    pub(super) text: &'t [u8],
    /// The start of the last token.
    pub(super) start: usize,
    /// The next byte to read: at most the text's length.
    pub(super) at: usize,
}

impl Cursor<'_> {
    /// The byte at `at + ahead`, or 0 after the end.
    #[inline]
    pub(super) fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// The last token as a span.
    #[inline]
    pub(super) fn span(&self) -> Span {
        // TEXT_BYTES is far below 2^32.
        #[expect(clippy::cast_possible_truncation, reason = "a text is shorter than TEXT_BYTES")]
        Span { start: self.start as u32, end: self.at as u32 }
    }

    /// Returns true if the bytes since `start` are text. A comment and a string are checked here,
    /// because nothing else looks at their bytes.
    pub(super) fn is_text(&self) -> bool {
        let skipped = self.text.get(self.start..self.at).unwrap_or_default();
        memchr::memchr(0, skipped).is_none() && core::str::from_utf8(skipped).is_ok()
    }

    /// The number of the line that a byte is on. The text's end belongs to the line that it ends.
    pub(super) fn line_at(&self, at: usize) -> u32 {
        let before = &self.text[..at.min(self.text.len().saturating_sub(1))];
        let is_line_end = |&index: &usize| match before[index] {
            b'\n' => true,
            b'\r' => self.text.get(index + 1) != Some(&b'\n'),
            _ => false,
        };
        let ends = (0..before.len()).filter(is_line_end).count();
        u32::try_from(ends + 1).unwrap_or(u32::MAX)
    }
}

/// Returns true for a byte that may continue a word. A byte that is not ASCII may; the word is
/// checked when all of it is known.
pub(super) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
