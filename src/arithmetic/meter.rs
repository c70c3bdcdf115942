//! The cost of a request, counted against the limits.

use super::error::{Class, Error};
use super::limits::{ELEMENTS, INTEGER_BITS, LIMB_BITS, LIMBS, REPLY_BYTES, WORK};

/// The cost of an element of a tuple: to copy the value, and to drop it.
const ELEMENT_COST: u64 = 8;

/// The cost of allocating a value and freeing it.
const ALLOCATION_COST: u64 = 16;

/// The cost of a limb of memory besides writing it: the kernel clears a page at its first use.
const MEMORY_COST: u64 = 2;

/// The cost of a request so far.
#[derive(Debug)]
pub(super) struct Meter {
    /// In products of limbs; at most `most_work`.
    spent: u64,
    /// At most [`WORK`].
    most_work: u64,
    /// True if an operation was refused that would have exceeded `most_work`.
    is_exceeded: bool,
    /// Elements of tuples made; at most [`ELEMENTS`].
    elements: usize,
    /// Limbs of large integers and strings made; at most [`LIMBS`].
    limbs: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self::within(WORK)
    }
}

impl Meter {
    /// A meter for less than a request may cost.
    pub(super) fn within(most_work: u64) -> Self {
        let most_work = most_work.min(WORK);
        Self { spent: 0, most_work, is_exceeded: false, elements: 0, limbs: 0 }
    }

    /// True if the evaluation failed because it may not do all the work that a request may.
    pub(super) fn is_exceeded(&self) -> bool {
        self.is_exceeded && self.most_work < WORK
    }

    /// The work charged so far.
    pub(super) fn spent(&self) -> u64 {
        self.spent
    }

    /// Charges for an operation before it is done, or refuses it.
    pub(super) fn charge(&mut self, work: u64) -> Result<(), Error> {
        let spent = self.spent.saturating_add(work);
        if spent > self.most_work {
            self.is_exceeded = true;
            return Err(refusal("calculation too long", WORK, "limb products"));
        }
        self.spent = spent;
        Ok(())
    }

    /// Charges for a pass over this many bytes, a limb at a time, or refuses it.
    pub(super) fn charge_bytes(&mut self, bytes: usize) -> Result<(), Error> {
        self.charge(limbs_of(bytes))
    }

    /// Counts the elements of a tuple and charges for them before it is made, or refuses it.
    pub(super) fn count_elements(&mut self, elements: usize) -> Result<(), Error> {
        let total = self.elements.saturating_add(elements);
        if total > ELEMENTS {
            return Err(refusal("tuple too large", ELEMENTS as u64, "elements"));
        }
        self.elements = total;
        self.charge(elements as u64 * ELEMENT_COST)
    }

    /// Counts the limbs of a large integer after it is made and charges for their memory, or
    /// refuses it.
    pub(super) fn count_integer(&mut self, limbs: u64) -> Result<(), Error> {
        self.count_limbs("integers too large in all", limbs)
    }

    /// The same for a string.
    pub(super) fn count_string(&mut self, bytes: usize) -> Result<(), Error> {
        self.count_limbs("strings too large in all", limbs_of(bytes))
    }

    fn count_limbs(&mut self, message: &str, limbs: u64) -> Result<(), Error> {
        self.limbs += limbs;
        if self.limbs > LIMBS {
            return Err(refusal(message, LIMBS, "limbs"));
        }
        self.charge(ALLOCATION_COST + limbs * MEMORY_COST)
    }
}

/// The limbs that hold this many bytes.
pub(super) fn limbs_of(bytes: usize) -> u64 {
    (bytes as u64 * 8).div_ceil(LIMB_BITS)
}

/// Refuses a string of more than [`REPLY_BYTES`].
pub(super) fn check_bytes(bytes: usize) -> Result<(), Error> {
    if bytes > REPLY_BYTES {
        return Err(refusal("string too long", REPLY_BYTES as u64, "bytes"));
    }
    Ok(())
}

fn refusal(what: &str, limit: u64, unit: &str) -> Error {
    Error::Formatted(Class::Overflow, format!("{what} (limit {limit} {unit})").into())
}

/// Refuses an integer of more than [`INTEGER_BITS`].
pub(super) fn check_bits(bits: u64) -> Result<(), Error> {
    if bits > INTEGER_BITS { Err(Error::TooLarge) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_work_is_not_counted() {
        let mut meter = Meter::default();
        assert!(meter.charge(WORK - 1).is_ok());
        assert!(meter.charge(2).is_err());
        assert_eq!(meter.spent(), WORK - 1);
        assert!(meter.charge(1).is_ok());
        assert!(meter.charge(u64::MAX).is_err());
    }
}
