//! socklab: a laboratory for TCP servers.
//!
//! A **service** is a pure state machine, a **session** turns bytes into its events and its answers
//! into bytes, and every server **model** only moves bytes between a socket and a session. So one
//! service text runs unchanged under every server design, and everything but the thin drivers is
//! tested without a socket, a thread or a clock.
//!
//! A module imports only from rows above its own; `tests/tidy.rs` keeps it so.
//!
//! | layer | modules |
//! | --- | --- |
//! | 0 | [`arithmetic`], [`buffer`], [`duration`], [`error`], [`escape`], [`random`] |
//! | 1 | [`service`] |
//! | 2 | [`session`] |
//! | 3 | [`drive`], [`net`], [`signal`] |
//! | 4 | [`reactor`] |
//! | 5 | [`model`], [`client`], [`load`] |
//! | 6 | [`cli`] |

pub mod arithmetic;
pub mod buffer;
pub mod choice;
pub mod cli;
pub mod client;
pub mod drive;
pub mod duration;
pub mod error;
pub mod escape;
pub mod load;
pub mod model;
pub mod net;
pub mod random;
pub mod reactor;
pub mod service;
pub mod session;
pub mod signal;
