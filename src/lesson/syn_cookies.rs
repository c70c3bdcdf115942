//! `syn-cookies`: clients of a full server that believe they are connected, and are not.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rustix::event::PollFlags;

use super::ends::{Ends, counter};
use super::sockets::{begin_to_connect, listen, poll_for, receive_now, send};
use super::threads::{now, wait_until};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "syn-cookies",
    question: "Connected, but the server's greeting never comes: why?",
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
    narrator.line("server", "listen(0): room for 1 client in its queue", "LISTEN");
    let begin = |_| begin_to_connect(address).map(TcpStream::from);
    let clients: Vec<TcpStream> = (0..CLIENTS).map(begin).collect::<io::Result<_>>()?;
    let connected = || clients.iter().filter(|it| it.peer_addr().is_ok()).count();
    wait_until(|| connected() > 0);
    narrator.expect("clients", "8 of them connect; connected at once", 1, connected());
    narrator.line("kernel", "the queue is full: no answer to the SYNs of the 7 others", "");
    let (_first, _) = listener.accept()?;
    narrator.line("server", "accept client 1: again room for 1 in the queue", "");

    let (start, sent) = (now(), counter("SyncookiesSent"));
    wait_until(|| connected() == CLIENTS || now() - start > RETRY);
    let seconds = (now() - start).as_secs_f64();
    let (believe, there) = (connected(), clients.iter().filter(|client| known(client)).count());
    let stranded = (1..).zip(&clients).find(|(_, it)| it.peer_addr().is_ok() && !known(it));
    let Some((number, stranded)) = stranded else {
        narrator.doubt("the clients did not try again together, or SYN cookies are off");
        return Ok(());
    };
    let call = format!("{seconds:.1} s later the 7 repeat their SYNs, all at once");
    narrator.line("clients", call, "");
    let cookies = counter("SyncookiesSent") - sent;
    let call = "says yes, and keeps no record (SYN cookie), to";
    narrator.check("kernel", call, format!("{cookies} clients"), cookies > 0, "at least one");
    narrator.line("clients", "connected, as the clients see it", believe);
    narrator.expect("kernel", "connected, as the server sees it", 2, there);

    let client = format!("client {number}");
    greet(narrator, &listener, &clients)?;
    narrator.expect(&client, "recv: no \"hello\" has come", "EAGAIN", receive_now(stranded));
    narrator.expect(&client, "send \"x\": the packet has the cookie", "1", send(stranded, b"x"));
    wait_until(|| known(stranded));
    let there = if known(stranded) { "connected" } else { "not connected" };
    narrator.expect("kernel", "this client, as the server sees it", "connected", there);

    narrator.so("a busy kernel says yes and remembers nothing (SYN cookie). If its queue is full \
         when the client confirms, the client thinks that it is connected, and the server \
         learns of it when the client sends.");
    narrator.python(
        "listener.listen(1024) for a long queue; in the client s.settimeout(5) for the greeting",
    );
    narrator.cure("socklab serve --service quiz --max-clients 1    (its backlog is 1024)");
    Ok(())
}

/// True if the server's kernel knows of the connection.
fn known(client: &TcpStream) -> bool {
    Ends::of(client).is_ok_and(|ends| ends.server().is_some())
}

/// A greeting for the one client that waits in the queue.
fn greet(narrator: &mut Narrator, listener: &TcpListener, clients: &[TcpStream]) -> io::Result<()> {
    let (mut server, peer) = listener.accept()?;
    server.write_all(b"hello")?;
    let is_peer = |client: &TcpStream| client.local_addr().is_ok_and(|address| address == peer);
    let number = clients.iter().position(is_peer).map_or(0, |index| index + 1);
    let call = "accept the one in the queue, send \"hello\"";
    narrator.line("server", call, format!("5, to client {number}"));
    let greeted = |client: &&TcpStream| poll_for(*client, PollFlags::IN, 0).contains(PollFlags::IN);
    wait_until(|| clients.iter().any(|client| greeted(&client)));
    let reached = clients.iter().filter(greeted).count();
    narrator.expect("clients", "that can read a \"hello\"", 1, reached);
    let queued = poll_for(listener, PollFlags::IN, 300).contains(PollFlags::IN);
    let waits = if queued { "a client" } else { "nobody" };
    narrator.expect("server", "who waits in its queue, 0.3 s later", "nobody", waits);
    Ok(())
}
