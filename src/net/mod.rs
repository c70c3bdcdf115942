//! What the system gives a server besides bytes: a socket to listen on, connections from it, the
//! errors that come instead, and how its failures are worded.

pub mod accept;
pub mod descriptors;
pub mod door;
pub mod failure;
pub mod listener;
pub mod pace;
pub mod room;
