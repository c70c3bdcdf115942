//! The texts of replies.

use memchr::memchr;
use memchr::memmem::{self, Finder};

/// The least letters of a word that tells an error.
const WORD: usize = 2;

/// A text without its digits.
pub(super) fn without_digits(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !byte.is_ascii_digit()).collect()
}

/// The text before a NUL, as C reads it. A NUL at the beginning belongs to a length.
pub(super) fn c_text(reply: &[u8]) -> &[u8] {
    match memchr(b'\0', reply) {
        Some(end) if end > 0 => &reply[..end],
        _ => reply,
    }
}

/// The words in a text, in lower case and in any alphabet.
pub(super) fn words(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text).to_lowercase();
    let words = text.split(|letter: char| !letter.is_alphabetic());
    words.filter(|word| word.chars().count() >= WORD).map(str::to_owned).collect()
}

/// The number of times that a text is in another one that comes in pieces.
pub(super) struct Occurrences {
    text: Finder<'static>,
    /// The end of the pieces, in which it may have begun.
    rest: Vec<u8>,
    pub(super) count: usize,
}

impl Occurrences {
    pub(super) fn new(text: &str) -> Self {
        Self { text: Finder::new(text.as_bytes()).into_owned(), rest: Vec::new(), count: 0 }
    }

    /// Adds a piece.
    pub(super) fn add(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
        let length = self.text.needle().len();
        let mut at = 0;
        for found in self.text.find_iter(&self.rest) {
            at = found + length;
            self.count += 1;
        }
        let kept = self.rest.len().saturating_sub(length - 1);
        self.rest.drain(..at.max(kept));
    }
}

/// The place of a part in a text.
pub(super) fn find(text: &[u8], part: &str) -> Option<usize> {
    memmem::find(text, part.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_counted_across_pieces() {
        let mut found = Occurrences::new("121");
        for piece in ["12", "1121", "2", "1\n12", "x121"] {
            found.add(piece.as_bytes());
        }
        assert_eq!(found.count, 3);
    }
}
