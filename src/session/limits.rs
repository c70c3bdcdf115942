//! The limits of one connection, in memory and in time.

use std::time::Duration;

use super::FramingMode;
use crate::buffer::BUFFER_SIZE;
use crate::service::MAX_REPLY;

/// The high-water mark of the outbox, in bytes: no step is taken while it holds more.
pub(super) const OUTBOX_HIGH_WATER: usize = BUFFER_SIZE / 2;

/// The most bytes that an outbox can hold.
pub const OUTBOX_LIMIT: usize = OUTBOX_HIGH_WATER + MAX_REPLY + LONGEST_TERMINATOR;

/// The length of `\r\n` and a NUL, in bytes.
const LONGEST_TERMINATOR: usize = 3;

/// The largest value of [`Limits::max_message`], in bytes: a longer message might leave no room for
/// its own terminator.
pub const MAX_MESSAGE_LIMIT: usize = BUFFER_SIZE / 2;

/// The longest wait for the peer's FIN after ours, measured from the last byte in either direction.
/// A connection that was silent for longer is closed without waiting.
pub const LINGER: Duration = Duration::from_secs(2);

/// The most input that is discarded, in bytes: while lingering, or between two messages as padding
/// and as telnet commands.
pub const LINGER_BYTES: u32 = 16 * 1024 * 1024;

const _: () = assert!(MAX_MESSAGE_LIMIT + LONGEST_TERMINATOR < BUFFER_SIZE);

/// The slowest rate at which a peer may take its replies, in bytes a second: 16, less than a modem
/// ever had. A peer that takes a byte now and then would keep its place and its replies' memory.
pub(super) const LEAST_RATE: u32 = 16;

/// The limits of a connection, the same for all connections of a server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The rule that finds the end of a message.
    pub framing_mode: FramingMode,
    /// The longest message, in bytes, 1 to [`MAX_MESSAGE_LIMIT`].
    pub max_message: usize,
    /// The longest time without a byte in either direction while the server owes no reply.
    pub idle: Duration,
    /// The longest time from the first byte of a message to its last. It does not restart with each
    /// byte: a client that sends one now and then could stay indefinitely.
    pub arrival: Duration,
    /// The longest time for which replies are owed. Every 16 bytes that the peer takes extend it by
    /// a second, but never to more than this time from then.
    pub unread: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            framing_mode: FramingMode::Auto,
            max_message: 4096,
            idle: Duration::from_secs(5 * 60),
            arrival: Duration::from_secs(60),
            unread: Duration::from_secs(60),
        }
    }
}
