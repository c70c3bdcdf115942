//! What one connection may take of the server's memory and time.

use std::sync::Arc;
use std::time::Duration;

use super::{FramingMode, Traffic};
use crate::buffer::BUFFER_SIZE;
use crate::service::MAX_REPLY;

/// No step is taken while this many bytes of replies wait to be sent.
pub(super) const OUTBOX_HIGH_WATER: usize = BUFFER_SIZE / 2;

/// The most bytes of replies that can wait to be sent on one connection.
pub const OUTBOX_LIMIT: usize = OUTBOX_HIGH_WATER + MAX_REPLY + LONGEST_TERMINATOR;

/// `\r\n` and a NUL, in bytes.
const LONGEST_TERMINATOR: usize = 3;

/// The largest value of [`Limits::max_message`], in bytes: with any longer one there might be no
/// room to receive the end of a message behind its beginning.
pub const MAX_MESSAGE_LIMIT: usize = BUFFER_SIZE / 2;

/// How long the end of a connection waits for the peer's, counted from the last byte either way:
/// so long something may still be on its way. A connection that was silent for longer is closed at
/// once, and a server that only has such clients stops at once.
pub const LINGER: Duration = Duration::from_secs(2);

/// The input that is thrown away while lingering before the connection is cut, in bytes.
pub const LINGER_BYTES: usize = 16 * 1024 * 1024;

const _: () = assert!(MAX_MESSAGE_LIMIT + LONGEST_TERMINATOR < BUFFER_SIZE);

/// What a connection may take. The same for all connections of a server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How the end of a message is known.
    pub framing_mode: FramingMode,
    /// The longest message, in bytes, 1 to [`MAX_MESSAGE_LIMIT`].
    pub max_message: usize,
    /// How long a connection that owes nothing may go without a byte in either direction.
    pub idle: Duration,
    /// How long one message may take to arrive, from its first byte to its last. It is the whole
    /// message's time: a client that sends a byte now and then would otherwise stay for ever.
    pub arrival: Duration,
    /// How long a reply may stand without the peer taking any of it.
    pub unread: Duration,
    /// Where its traffic is counted.
    pub traffic: Arc<Traffic>,
}

impl Limits {
    /// The same limits with traffic counters of their own.
    #[must_use]
    pub fn with_own_counters(&self) -> Self {
        Self { traffic: Arc::default(), ..self.clone() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            framing_mode: FramingMode::default(),
            max_message: 4096,
            idle: Duration::from_secs(5 * 60),
            arrival: Duration::from_secs(60),
            unread: Duration::from_secs(60),
            traffic: Arc::default(),
        }
    }
}
