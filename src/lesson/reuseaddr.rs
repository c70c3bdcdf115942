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

/// Another address of the loopback interface.
const OTHER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The most ports that are tried: a program may have the first one on the other address.
const TRIES: usize = 5;

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let mut first = listen(any_port())?;
    for _ in 1..TRIES {
        if listen((OTHER_ADDRESS, first.local_addr()?.port()).into()).is_ok() {
            break;
        }
        first = listen(any_port())?;
    }
    let port = first.local_addr()?.port();
    narrator.line("server 1", format!("listen 127.0.0.1:{port}, SO_REUSEADDR on"), "LISTEN");
    narrator.line("server 2", "listen, SO_REUSEADDR on, the same port, on:", "");
    for (host, remark, expected) in [
        (Ipv4Addr::LOCALHOST, "the same address", "EADDRINUSE"),
        (Ipv4Addr::UNSPECIFIED, "all addresses, including that one", "EADDRINUSE"),
        (OTHER_ADDRESS, "another address", "LISTEN"),
    ] {
        let second = listen((host, port).into());
        let call = format!("  {host}, {remark}");
        narrator.expect("", call, expected, outcome(&second, "LISTEN"));
    }

    let with_port = |address| listen_on(address, 5, |socket| socket.set_reuse_port(true));
    let third = with_port(any_port())?;
    let address = third.local_addr()?;
    narrator.line("server 3", format!("listen {address}, SO_REUSEPORT on"), "LISTEN");
    let fourth = outcome(&with_port(address), "LISTEN");
    narrator.expect("server 4", "the same, SO_REUSEPORT on", "LISTEN", fourth);
    let fifth = outcome(&listen(address), "LISTEN");
    narrator.expect("server 5", "the same, SO_REUSEADDR only", "EADDRINUSE", fifth);

    narrator.so(
        "on Linux SO_REUSEADDR is about TIME-WAIT: no two servers listen on the same address \
         and port. SO_REUSEPORT allows it, if all set it and run as the same user: socklab show \
         reuseport.",
    );
    narrator.python("s.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1), before s.bind((host, port))");
    narrator.cure("socklab serve --model sharded");
    Ok(())
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    listen_on(address, 5, |socket| socket.set_reuse_address(true))
}
