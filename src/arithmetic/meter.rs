//! The cost of a request, counted against the limits.

use super::error::{Class, Error};
use super::limits::{ELEMENTS, INTEGER_BITS, LIMBS, REPLY_BYTES, WORK};

/// The cost of a request so far.
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
    /// The work charged so far.
    pub(super) fn spent(&self) -> u64 {
        self.spent
    }

    /// Charges for an operation before it is done, or refuses it.
    pub(super) fn charge(&mut self, work: u64) -> Result<(), Error> {
        let spent = self.spent.saturating_add(work);
        if spent > WORK {
            return Err(refusal("calculation too long", WORK, "limb products"));
        }
        self.spent = spent;
        Ok(())
    }

    /// Counts the elements of a tuple before it is made, or refuses it.
    pub(super) fn count_elements(&mut self, elements: usize) -> Result<(), Error> {
        let total = self.elements.saturating_add(elements);
        if total > ELEMENTS {
            return Err(refusal("tuple too large", ELEMENTS as u64, "elements"));
        }
        self.elements = total;
        Ok(())
    }

    /// Counts the limbs of a large integer after it is made, or refuses it.
    pub(super) fn count_limbs(&mut self, limbs: u64) -> Result<(), Error> {
        self.limbs += limbs;
        if self.limbs > LIMBS {
            return Err(refusal("integers too large in all", LIMBS, "limbs"));
        }
        Ok(())
    }
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
