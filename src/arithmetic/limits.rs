//! Limits on the cost of one request, so that no answer is late or large. Each is checked before
//! the operation that would exceed it, or right after it where the excess is small.

/// Bytes of one text. Messages are usually limited to far less.
pub const TEXT_BYTES: usize = 1 << 16;

/// Brackets open at the same time, as in Python's tokenizer.
pub const OPEN_BRACKETS: usize = 200;

/// Operators that wait for their right side at the same time: `- - - 1`, `2 ** 2 ** 2`.
pub const NESTING: usize = 1_000;

/// Bits of any integer, literals and intermediate results included.
pub const INTEGER_BITS: u64 = 1 << 18;

/// Decimal digits of an integer that is read or printed, as in Python since 3.11.
pub const DECIMAL_DIGITS: usize = 4_300;

/// The work of one request, in products of 64-bit limbs: 5 to 50 ms of processor time.
pub const WORK: u64 = 1 << 25;

/// The work of reading a byte: of its token, of the op that it is compiled to and of running that,
/// as far as its operands have few limbs.
pub const BYTE_COST: u64 = 16;

/// The work of a byte on the fast path.
pub const FAST_BYTE_COST: u64 = 4;

/// Elements of all tuples that one request makes, besides those written in its text.
pub const ELEMENTS: usize = 10_000;

/// Bytes of an answer, and of any string.
pub const REPLY_BYTES: usize = 1 << 16;

/// Limbs of all large integers and strings that one request makes: 32 MiB.
pub const LIMBS: u64 = 1 << 22;

/// Bits of one limb of a large integer.
pub const LIMB_BITS: u64 = 64;

// Positions in a text and indices of its ops have 32 bits.
const _: () = assert!(TEXT_BYTES < u32::MAX as usize / 4);
// An integer that may be printed may be computed: a decimal digit is less than four bits.
const _: () = assert!(DECIMAL_DIGITS as u64 * 4 < INTEGER_BITS);
// A literal is within the limit of an integer: no digit is more than four bits.
const _: () = assert!(TEXT_BYTES as u64 * 4 <= INTEGER_BITS);
// Reading the longest text is a small part of the work of a request.
const _: () = assert!(TEXT_BYTES as u64 * BYTE_COST <= WORK / 16);
// A product of the largest integers is within the work of a request.
const _: () = assert!((INTEGER_BITS / LIMB_BITS) * (INTEGER_BITS / LIMB_BITS) <= WORK);
