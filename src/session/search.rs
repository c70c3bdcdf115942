//! Where a line ends, found fast when the line is short, as nearly all are.

/// The part of a line that is searched in words, in bytes.
const SHORT_LINE: usize = 16;

/// Where the first of the bytes `ends` is. Most lines are so short that it is found eight bytes at
/// a time before a `search` of 32 at a time has begun.
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

/// The lowest bit set in the result is the highest of the first byte in `word` that is `byte`, if
/// there is one: taking 1 away makes a byte negative that was 0 and not before. Bits above that one
/// mean nothing.
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
    fn the_first_end_is_found_wherever_it_is_and_whatever_is_around_it() {
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
