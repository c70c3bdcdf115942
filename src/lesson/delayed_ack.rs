//! `delayed-ack`: the receiver's own delayed acknowledgement holds back the rest of a message.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::sockopt::set_tcp_quickack;

use super::sockets::{connect, listen};
use super::threads::{now, start};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "delayed-ack",
    question: "Why do the two halves of a message come 40 ms apart, and can the server prevent it?",
    prediction: Prediction {
        question: "A client with Nagle's algorithm sends a message in two calls. The server can:",
        answers: [
            "do nothing",
            "set TCP_NODELAY on its side",
            "acknowledge the first half at once",
        ],
        right: 2,
    },
    place: Place::Anywhere,
    run,
};

const MESSAGES: usize = 15;

/// Less than the shortest delay of an acknowledgement (40 ms in Linux).
const DELAY: Duration = Duration::from_millis(35);

fn run(narrator: &mut Narrator) -> io::Result<()> {
    narrator.line("client", "send \"1+\", send \"1\"", "");
    narrator.line(
        "kernel",
        "the client's kernel: \"1\" waits until \"1+\" is acknowledged (show nagle)",
        "",
    );
    narrator.line(
        "kernel",
        "the server's kernel: waits for a reply that can carry the acknowledgement",
        "",
    );
    narrator.line("server", "recv \"1+\", recv \"1\"; between them (median of 15):", "");
    let plain = gap(|_| Ok(()))?;
    let nodelay = gap(|server| server.set_nodelay(true))?;
    let quick = gap(|server| Ok(set_tcp_quickack(server, true)?))?;
    let text = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
    narrator.check("server", "  as it is", text(plain), plain > DELAY, "more than 35 ms");
    let call = "  with TCP_NODELAY on the server's side";
    narrator.check("server", call, text(nodelay), nodelay > DELAY, "more than 35 ms");
    let call = "  with TCP_QUICKACK set after each \"1+\"";
    narrator.check("server", call, text(quick), quick < plain, "less");
    if quick > DELAY {
        narrator.doubt("the machine is so busy that all is slow");
    }
    narrator.so(
        "some servers take a short silence as the end of a message. If theirs is under 40 \
         ms, they see two messages here. Set TCP_QUICKACK after each recv that leaves a \
         message unfinished: it does not stay set.",
    );
    narrator.python("s.setsockopt(IPPROTO_TCP, TCP_QUICKACK, 1), as socklab serve does");
    narrator.cure("socklab grade --only two-pieces,byte-by-byte -- python3 server.py {port}");
    Ok(())
}

/// The median of the times between the two halves, if the server does `then` after the first.
fn gap(then: impl Fn(&TcpStream) -> io::Result<()>) -> io::Result<Duration> {
    let (client, mut server) = connect(&listen(5)?)?;
    let asking = start(move || ask(client))?;
    let mut gaps = Vec::new();
    for _ in 0..MESSAGES {
        server.read_exact(&mut [0; 2])?;
        let first = now();
        then(&server)?;
        server.read_exact(&mut [0; 1])?;
        gaps.push(now() - first);
        server.write_all(b"2")?;
    }
    asking.join().expect("it does not panic")?;
    gaps.sort();
    Ok(gaps[MESSAGES / 2])
}

/// A client that sends each message in two calls.
fn ask(mut client: TcpStream) -> io::Result<()> {
    for _ in 0..MESSAGES {
        client.write_all(b"1+")?;
        client.write_all(b"1")?;
        client.read_exact(&mut [0; 1])?;
    }
    Ok(())
}
