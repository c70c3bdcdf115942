//! The unit that framing cuts from the front of an inbox, and the input that it depends on.

use std::time::Instant;

/// The frame at the front of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'p> {
    /// No whole message yet.
    Incomplete,
    /// No whole message yet. Only the first `keep` bytes of the inbox matter; the others are
    /// padding.
    Padded { keep: usize },
    /// Bytes that belong to no message, followed by `rest`.
    Skip { rest: &'p [u8] },
    /// The same, but telnet expects `refusal` as the answer.
    Refuse { refusal: [u8; 3], rest: &'p [u8] },
    /// A message and the bytes after its terminator.
    Message { text: &'p [u8], rest: &'p [u8] },
    /// A message longer than the limit.
    TooLong,
    /// The end of input.
    End,
}

/// The state of the input other than its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputState {
    /// True if no bytes will follow the pending ones.
    pub(super) ended: bool,
    /// The longest message, in bytes.
    pub(super) limit: usize,
    /// The time of the last byte in either direction before the bytes that have just arrived.
    pub(super) active_at: Instant,
    pub(super) now: Instant,
}
