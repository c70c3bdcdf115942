//! `syn-cookies`: clients of a full server that believe they are connected, and are not.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::event::PollFlags;

use super::ends::Ends;
use super::sockets::{begin_to_connect, listen, poll_for, receive_now, send};
use super::threads::{now, wait_until};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "syn-cookies",
    question: "Connected, and the server's greeting never comes?",
    prediction: Prediction {
        question: "listen(0), eight clients: seven get no answer and try again. Connected are:",
        answers: [
            "all, for the server as for the clients",
            "all think so; the server knows of two",
            "two; the others are refused",
        ],
        right: 1,
    },
    place: Place::Anywhere,
    run,
};

const CLIENTS: usize = 8;

/// The time in which clients without an answer try again, all at once: after 1 s (RFC 6298).
const RETRY: Duration = Duration::from_millis(1500);

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let listener = listen(0)?;
    let address = listener.local_addr()?;
    narrator.line("server", "listen(0): for one client at a time", "LISTEN");
    let begin = |_| begin_to_connect(address).map(TcpStream::from);
    let clients: Vec<TcpStream> = (0..CLIENTS).map(begin).collect::<io::Result<_>>()?;
    let connected = || clients.iter().filter(|it| it.peer_addr().is_ok()).count();
    let known = |client: &&TcpStream| Ends::of(client).is_ok_and(|ends| ends.server().is_some());
    wait_until(|| connected() > 0);
    narrator.expect("clients", "8 times connect: done at once", 1, connected());
    let (_first, _) = listener.accept()?;
    narrator.line("server", "accept: client 1 is served; one may wait", "");

    let start = now();
    wait_until(|| connected() == CLIENTS || now() - start > RETRY);
    let seconds = (now() - start).as_secs_f64();
    let (believe, there) = (connected(), clients.iter().filter(known).count());
    let call = format!("connect is done, after {seconds:.1} s, for");
    narrator.line("clients", call, format!("{believe} clients: they have tried again"));
    narrator.expect("kernel", "of these, connected on the server's side", 2, there);
    let stranded = clients.iter().find(|client| client.peer_addr().is_ok() && !known(client));
    let Some(stranded) = stranded else {
        narrator.doubt("the clients did not try again together, or SYN cookies are off");
        return Ok(());
    };

    let (mut second, _) = listener.accept()?;
    second.write_all(b"hello")?;
    narrator.line("server", "accept the one that waited, send \"hello\"", "5");
    let greeted = |client: &&TcpStream| poll_for(*client, PollFlags::IN, 0).contains(PollFlags::IN);
    wait_until(|| clients.iter().any(|client| greeted(&client)));
    narrator.expect("clients", "that can read it", 1, clients.iter().filter(greeted).count());
    let queued = poll_for(&listener, PollFlags::IN, 300).contains(PollFlags::IN);
    let waits = if queued { "a client" } else { "nobody" };
    narrator.expect("server", "its queue, 0.3 s later", "nobody", waits);
    narrator.expect("client 3", "recv: the greeting never comes", "EAGAIN", receive_now(stranded));
    narrator.expect("client 3", "send \"x\"", "1", send(stranded, b"x"));
    wait_until(|| known(&stranded));
    let there = if known(&stranded) { "connected" } else { "not connected" };
    narrator.expect("kernel", "client 3 on the server's side", "connected", there);

    narrator.so(
        "a SYN cookie keeps no memory of a client until it sends. One that waits for a greeting",
        "waits for ever: limit that wait, and give a service that speaks first a large backlog.",
    );
    narrator.cure("socklab serve --service quiz --max-clients 1    (its backlog is 1024)");
    Ok(())
}
