//! The command `socklab`: parse, log, run, exit code.

fn main() {}
