//! socklab: a laboratory for TCP servers.
//!
//! A **service** is a pure state machine, a **session** turns bytes into its events and its answers
//! into bytes, and every server **model** only moves bytes between a socket and a session.
//!
//! A module imports only from those above it in this list; `tests/tidy.rs` keeps it so.

pub mod arithmetic;

pub mod net;

pub mod client;
