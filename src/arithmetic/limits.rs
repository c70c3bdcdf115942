//! How much one request may cost. Whatever a text asks for is weighed against these numbers before
//! it is computed, so that an answer is late or large in no case.

use super::error::{Class, Error};

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

/// Counts what a request has cost so far.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// In products of limbs; at most [`WORK`].
    spent: u64,
    /// Elements of tuples made; at most [`ELEMENTS`].
    elements: usize,
    /// Limbs of large integers made; at most [`LIMBS`].
    limbs: u64,
}

impl Meter {
    /// What was charged until now.
    pub(super) fn spent(&self) -> u64 {
        self.spent
    }

    /// Pays for an operation about to be done, or refuses it.
    pub(super) fn charge(&mut self, work: u64) -> Result<(), Error> {
        let spent = self.spent.saturating_add(work);
        if spent > WORK {
            return Err(refusal("calculation too long", WORK, "limb products"));
        }
        self.spent = spent;
        Ok(())
    }

    /// Counts the elements of a tuple about to be made, or refuses it.
    pub(super) fn count_elements(&mut self, elements: usize) -> Result<(), Error> {
        let total = self.elements.saturating_add(elements);
        if total > ELEMENTS {
            return Err(refusal("tuple too large", ELEMENTS as u64, "elements"));
        }
        self.elements = total;
        Ok(())
    }

    /// Counts the limbs of a large integer that was made.
    pub(super) fn count_limbs(&mut self, limbs: u64) -> Result<(), Error> {
        self.limbs += limbs;
        if self.limbs > LIMBS {
            return Err(refusal("integers too large in all", LIMBS, "limbs"));
        }
        Ok(())
    }
}

/// Refuses a string of so many bytes.
pub(super) fn check_bytes(bytes: usize) -> Result<(), Error> {
    if bytes > REPLY_BYTES {
        return Err(refusal("string too long", REPLY_BYTES as u64, "bytes"));
    }
    Ok(())
}

fn refusal(what: &str, limit: u64, unit: &str) -> Error {
    Error::Formatted(Class::Overflow, format!("{what} (limit {limit} {unit})").into())
}

/// Refuses an integer of so many bits.
pub(super) fn check_bits(bits: u64) -> Result<(), Error> {
    if bits > INTEGER_BITS { Err(Error::TooLarge) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_refused_before_it_is_done_and_not_counted_then() {
        let mut meter = Meter::default();
        assert!(meter.charge(WORK - 1).is_ok());
        assert!(meter.charge(2).is_err());
        assert_eq!(meter.spent(), WORK - 1);
        assert!(meter.charge(1).is_ok());
        assert!(meter.charge(u64::MAX).is_err());
    }
}
