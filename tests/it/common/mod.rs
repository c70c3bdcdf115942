//! Fixtures of the integration tests: a session without a socket, the server as a process, files,
//! and transcripts that hold for both.

pub mod connection;
pub mod file;
pub mod server;
pub mod transcript;

/// Compares bytes, and shows both sides escaped where they differ.
#[track_caller]
pub fn assert_bytes(actual: &[u8], expected: &[u8]) {
    assert_eq!(actual.escape_ascii().to_string(), expected.escape_ascii().to_string());
}
