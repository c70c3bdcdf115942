//! `accept`: the kernel makes the connection; accept(2) only fetches it.

use std::io::{self, Write};
use std::net::TcpStream;

use super::ends::Ends;
use super::sockets::listen;
use super::{Lesson, Narrator, Place, Prediction};
use crate::subject::sockets::Socket;

pub(super) const LESSON: Lesson = Lesson {
    topic: "accept",
    question: "Why does connect() succeed before accept()?",
    prediction: Prediction {
        question: "A server listens, and never calls accept. A client connects, sends 1000 bytes:",
        answers: [
            "connect waits for accept",
            "connect succeeds, send waits for accept",
            "both succeed, and the bytes are acknowledged",
        ],
        right: 2,
    },
    place: Place::Anywhere,
    run,
};

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let listener = listen(5)?;
    narrator.line("server", "listen, and no accept", "LISTEN");

    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let ends = Ends::of(&client)?;
    narrator.line("client", "connect", "succeeds");
    narrator.states(&ends, "ESTABLISHED", "ESTABLISHED");

    client.write_all(&[b'x'; 1000])?;
    narrator.line("client", "send 1000 bytes", "1000");
    ends.acknowledged();
    ends.arrived(1000);
    let unsent = ends.client().map_or(0, |row| row.unsent);
    narrator.expect("kernel", "of these, not yet acknowledged", 0, unsent);
    let row = ends.server();
    let unread = row.as_ref().map_or(0, |row| row.unread);
    narrator.expect("kernel", "in the server's receive buffer", 1000, unread);
    narrator.expect("kernel", "does the server program have a descriptor?", "no", descriptor(row));

    let (_server, peer) = listener.accept()?;
    narrator.expect("server", "accept: the peer", ends.client, peer);
    let has = descriptor(ends.server());
    narrator.expect("kernel", "does the server program have a descriptor?", "yes", has);

    narrator.so(
        "the kernel makes the connection; accept only fetches it. A successful connect or \
         send proves that a kernel is at the other end (in show self-connect it is your \
         own), not that a program serves you. Only a reply does.",
    );
    narrator
        .python("s.settimeout(2); s.recv(100) then raises TimeoutError if no reply comes in 2 s");
    narrator.cure("socklab client --timeout 2s HOST PORT");
    Ok(())
}

/// The answer: a socket that no program has a descriptor of has no inode.
fn descriptor(row: Option<Socket>) -> &'static str {
    match row.map(|row| row.inode) {
        None | Some(0) => "no",
        Some(_) => "yes",
    }
}
