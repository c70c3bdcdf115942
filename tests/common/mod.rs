//! What the tests of the whole server share: conversations to hold with it, and the server itself
//! as a process.

#![allow(dead_code, reason = "each test file uses its own part of this one")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unreachable_pub, reason = "each test file is a crate that uses this one as a module")]

pub mod connection;
pub mod server;
pub mod transcript;
