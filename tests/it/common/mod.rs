//! What the tests of the whole server share: conversations to hold with it, and the server itself
//! as a process.

pub mod connection;
pub mod server;
pub mod transcript;
