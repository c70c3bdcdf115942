//! What the system gives a server besides bytes: a socket to listen on, connections from it, the
//! errors that come instead, and how its failures are worded.

pub mod accept;
pub mod limited_listener;
pub mod limiter;
pub mod listener;
pub mod nofile;
pub mod rate_limit;
