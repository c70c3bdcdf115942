//! What the system gives a server besides bytes, and how its failures are worded.

pub mod failure;
