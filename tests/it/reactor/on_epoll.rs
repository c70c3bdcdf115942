//! The tests of the readiness loop on epoll.

use socklab::reactor::Mio as System;

#[path = "tests.rs"]
mod tests;
