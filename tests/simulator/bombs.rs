//! Bombers: clients whose messages take as much work as a message may. Nothing is computed; the
//! work is only charged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socklab::service::{Event, Framing, MIN_WORK, Next, Output, Service, WORK_PER_SLICE};

/// Most work of one message, in products of 64-bit limbs.
const MAX_WORK: u64 = 256 * WORK_PER_SLICE as u64;

/// The light messages that use up the budget of a slice.
pub const LIGHT_PER_SLICE: usize = (WORK_PER_SLICE / MIN_WORK) as usize;

/// Most work for which a light client waits in a whole run beside bombers that do `work`, in all
/// the times from an event of its input to its replies, of `slices` slices: a bomber comes between
/// two slices, or before an event that is reported again, and a few by chance.
pub fn most_waited_for(work: u64, slices: usize) -> u64 {
    (4 + 2 * slices) as u64 * MAX_WORK + work / 64
}

/// Time of this work.
pub fn time(work: u64) -> Duration {
    Duration::from_nanos(work * 3 / 4)
}

/// Longest time of a few messages from each of `clients`.
pub fn time_of_all(clients: usize) -> Duration {
    time(MAX_WORK) * 4 * u32::try_from(clients).unwrap()
}

/// The reply to each message.
pub const REPLY: &str = "done";

/// The message that takes the most work.
pub fn message() -> String {
    MAX_WORK.to_string()
}

/// A service that charges what the message says.
pub struct Bomb {
    /// The work of all bombers.
    pub work: Arc<AtomicU64>,
}

impl Service for Bomb {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, event: Event<'_>, _: Instant, out: &mut Output<'_>) -> Next {
        if let Event::Message(text) = event {
            let work: u64 = std::str::from_utf8(text).unwrap().parse().unwrap();
            if work > out.most_work().into() {
                out.charge(out.most_work().into());
                return Next::Defer;
            }
            out.charge(work);
            out.write(REPLY.as_bytes());
            self.work.fetch_add(work, Ordering::Relaxed);
        }
        Next::Read
    }
}
