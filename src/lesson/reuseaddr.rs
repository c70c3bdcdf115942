//! `reuseaddr`: `SO_REUSEADDR` does not let two servers listen on one address.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::sockets::{any_port, listen_on, outcome};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "reuseaddr",
    question: "Can two servers listen on one port?",
    prediction: Prediction {
        question: "A server listens on 127.0.0.1. A second one binds its port, both SO_REUSEADDR.",
        answers: ["it can listen", "it takes the port from the first", "EADDRINUSE"],
        right: 2,
    },
    place: Place::Anywhere,
    run,
};

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let first = listen(any_port())?;
    let port = first.local_addr()?.port();
    narrator.line("server", format!("listen 127.0.0.1:{port}, SO_REUSEADDR on"), "LISTEN");
    narrator.line("another", "SO_REUSEADDR on, the same port, on:", "");
    for (host, expected) in [
        (Ipv4Addr::LOCALHOST, "EADDRINUSE"),
        // All addresses, of which the first server has one.
        (Ipv4Addr::UNSPECIFIED, "EADDRINUSE"),
        (Ipv4Addr::new(127, 0, 0, 2), "LISTEN"),
    ] {
        let second = listen((host, port).into());
        narrator.expect("", format!("  {host}"), expected, outcome(&second, "LISTEN"));
    }

    let with_port = |address| listen_on(address, 5, |socket| socket.set_reuse_port(true));
    let third = with_port(any_port())?;
    let address = third.local_addr()?;
    narrator.line("server", format!("listen {address}, SO_REUSEPORT on"), "LISTEN");
    let fourth = outcome(&with_port(address), "LISTEN");
    narrator.expect("another", "the same, SO_REUSEPORT on", "LISTEN", fourth);
    let fifth = outcome(&listen(address), "LISTEN");
    narrator.expect("another", "the same, SO_REUSEADDR only", "EADDRINUSE", fifth);

    narrator.so(
        "on Linux SO_REUSEADDR is about TIME-WAIT, and never shares a port between listeners.",
        "SO_REUSEPORT does, if all of them set it and have one user: socklab show reuseport.",
    );
    narrator.cure("socklab serve --model sharded");
    Ok(())
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    listen_on(address, 5, |socket| socket.set_reuse_address(true))
}
