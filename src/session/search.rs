//! The search for the end of a line, fast for short lines, as nearly all are.

/// The bytes at the beginning of a line that are searched eight at a time.
const SHORT_LINE: usize = 16;

/// The index of the first byte that is one of `ends`. Most lines are so short that comparing eight
/// bytes at a time finds it before `search`, which compares 32 at a time, would have started.
#[inline]
pub(super) fn find<const N: usize>(
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

/// A mark at the first byte of `word` that equals `byte`: the lowest bit set in the result is the
/// highest bit of that byte. Higher bits mean nothing, and 0 means that there is no such byte.
///
/// Subtracting 1 sets the highest bit of a byte that was 0 (Warren: Hacker's Delight, "Find first
/// 0-byte").
#[inline]
fn mark(word: u64, byte: u8) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let zeros = word ^ (ONES * u64::from(byte));
    zeros.wrapping_sub(ONES) & !zeros & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_end_is_found_at_every_index_and_between_any_bytes() {
        // Neighbours of the ends, and bytes with the highest bit.
        for filler in [1, 9, 11, b'x', 0x7f, 0x80, 0x81, 0x8a, 0xff] {
            for at in 0..40 {
                let mut bytes = vec![filler; at];
                bytes.extend([b'\n', 0, b'\n', filler]);
                let far = |far: &[u8]| {
                    assert!(bytes.len() - far.len() == SHORT_LINE || far.len() < 8);
                    far.iter().position(|&byte| byte == b'\n')
                };
                assert_eq!(find(&bytes, [b'\n', 0], far), Some(at), "{filler}");
                bytes[at] = filler;
                let far = |far: &[u8]| far.iter().position(|&byte| byte == 0);
                assert_eq!(find(&bytes, [b'\n', 0], far), Some(at + 1), "{filler}");
            }
            assert_eq!(find(&[filler; 40], [b'\n', 0], |_| None), None);
        }
    }
}
