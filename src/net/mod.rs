//! Sockets before they have a session: addresses and connects, listeners, and the limits on
//! clients, descriptors and log lines.

pub mod accept;
pub mod address;
pub mod limited_listener;
pub mod limiter;
pub mod listener;
pub mod nofile;
pub mod rate_limit;
pub mod wakers;
