//! `rst`: a close with unread input is a reset.

use std::io;
use std::time::Duration;

use socket2::SockRef;

use super::ends::Ends;
use super::sockets::{connect, listen, receive, send};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "rst",
    question: "Connection reset instead of an end: why?",
    prediction: Prediction {
        question: "A server sends \"bye\" and closes, the question unread. The client reads:",
        answers: ["\"bye\", ECONNRESET", "\"bye\", end of input", "ECONNRESET, and never \"bye\""],
        right: 0,
    },
    place: Place::Anywhere,
    run,
};

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let listener = listen(5)?;
    let (client, server) = connect(&listener)?;
    let ends = Ends::of(&client)?;
    narrator.expect("client 1", "connect, send \"1+1\\n\"", "4", send(&client, b"1+1\n"));
    ends.arrived(4);
    narrator.expect("server", "send \"bye\"", "3", send(&server, b"bye"));
    drop(server);
    narrator.line("server", "close, with 4 bytes unread", "RST");
    narrator.states(&ends, "gone", "gone");
    narrator.expect("client 1", "recv: it had arrived before", "\"bye\"", receive(&client));
    narrator.expect("client 1", "recv", "ECONNRESET", receive(&client));
    let again = receive(&client);
    narrator.expect("client 1", "recv: an error is reported only once", "end of input", again);

    let (client, server) = connect(&listener)?;
    narrator.line("client 2", "connect", "succeeds");
    SockRef::from(&server).set_linger(Some(Duration::ZERO))?;
    drop(server);
    narrator.line("server", "close with SO_LINGER of 0 s: asks for RST", "RST");
    narrator.expect("client 2", "recv", "ECONNRESET", receive(&client));

    let (client, server) = connect(&listener)?;
    narrator.expect("client 3", "connect, send \"1+1\\n\"", "4", send(&client, b"1+1\n"));
    narrator.expect("server", "recv", "\"1+1\\n\"", receive(&server));
    drop(server);
    narrator.line("server", "close, with all read", "FIN");
    narrator.expect("client 3", "recv", "end of input", receive(&client));

    narrator.so(
        "a reset comes if the peer closed with bytes unread, asked for it (SO_LINGER of 0 s), got \
         bytes after its close (show sigpipe), or closed the queue you waited in (show \
         reuseport).",
    );
    narrator.python(
        "conn.shutdown(SHUT_WR); then conn.recv(4096) until b\"\", with a settimeout; conn.close()",
    );
    narrator.cure("socklab serve --explain tells what a close leaves unread, and what is lost");
    Ok(())
}
