//! The same tests on poll(2).

use socklab::reactor::Poll as System;

#[expect(clippy::duplicate_mod, reason = "the same tests on another kernel")]
#[path = "tests.rs"]
mod tests;
