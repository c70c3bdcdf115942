//! How much one request may cost. Whatever a text asks for is weighed against these numbers before
//! it is computed, so that an answer is late or large in no case.

/// Bytes of one text. Messages are usually limited to far less.
pub const TEXT_BYTES: usize = 1 << 16;

/// Brackets open at one time, as in Python's tokenizer.
pub const OPEN_BRACKETS: usize = 200;

/// Operators that wait for their right side at one time: `- - - 1`, `2 ** 2 ** 2`.
pub const NESTING: usize = 1_000;

/// Bits of any integer, literals and intermediate results included.
pub const INTEGER_BITS: u64 = 1 << 18;

/// Decimal digits of an integer that is read or printed, as in Python since 3.11.
pub const DECIMAL_DIGITS: usize = 4_300;

/// Products of 64-bit limbs that one request may cost: 5 to 30 ms of a processor.
pub const WORK: u64 = 1 << 25;

/// Elements of all the tuples that one request makes, beside those that are written out.
pub const ELEMENTS: usize = 10_000;

/// Bytes of an answer, and of any string.
pub const REPLY_BYTES: usize = 1 << 16;

/// Limbs of all the large integers that one request makes: 32 MiB.
pub const LIMBS: u64 = 1 << 22;

/// Bits of one limb of a large integer.
pub const LIMB_BITS: u64 = 64;

// Positions in a text and in its code are kept in 32 bits.
const _: () = assert!(TEXT_BYTES < u32::MAX as usize / 4);
// Whatever may be printed may also be computed: a decimal digit is less than four bits.
const _: () = assert!(DECIMAL_DIGITS as u64 * 4 < INTEGER_BITS);
// A literal is no larger than an integer may be: no digit is more than four bits.
const _: () = assert!(TEXT_BYTES as u64 * 4 <= INTEGER_BITS);
// One product of the largest integers fits in a request's work.
const _: () = assert!((INTEGER_BITS / LIMB_BITS) * (INTEGER_BITS / LIMB_BITS) <= WORK);
