//! The integration tests: one binary, with a folder for each subject. Most tests compare the bytes
//! that a peer sends with the bytes that it receives.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unreachable_pub, reason = "the modules of a test are its own")]

mod common;

mod client {
    mod conversation;
    mod play;
    mod program;
    mod script;
    mod terminal;
}
mod grade {
    mod servers;
}
mod load {
    mod any_server;
    mod client;
    mod program;
    mod remarks;
}
mod protocol {
    mod edges;
    mod framing;
    mod hostile;
    mod quiz;
    mod services;
    mod session;
}
mod slots;
mod reactor {
    mod on_epoll;
    mod on_poll;
}
mod system {
    mod admission;
    mod blockers;
    mod close_reasons;
    mod command_line;
    mod compare;
    mod explain;
    mod prestarted;
    mod processes;
    mod server;
    mod sharded;
    mod show;
    mod source_limit;
    mod stdio;
    mod with;
}
