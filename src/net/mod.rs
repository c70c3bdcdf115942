//! Listening sockets: how they are bound, what is accepted from them, and how many clients there
//! may be.

pub mod accept;
pub mod address;
pub mod limited_listener;
pub mod limiter;
pub mod listener;
pub mod nofile;
pub mod rate_limit;
pub mod wakers;
