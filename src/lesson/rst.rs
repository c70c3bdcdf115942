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
    narrator.expect("client", "send \"1+1\\n\"", "4", send(&client, b"1+1\n"));
    ends.arrived(4);
    narrator.expect("server", "send \"bye\"", "3", send(&server, b"bye"));
    drop(server);
    narrator.line("server", "close, with 4 bytes unread", "RST");
    narrator.states(&ends, "gone", "gone");
    narrator.expect("client", "recv: it had arrived before", "\"bye\"", receive(&client));
    narrator.expect("client", "recv", "ECONNRESET", receive(&client));
    narrator.expect("client", "recv: an error is reported once", "end of input", receive(&client));

    let (client, server) = connect(&listener)?;
    SockRef::from(&server).set_linger(Some(Duration::ZERO))?;
    drop(server);
    narrator.line("server", "SO_LINGER of 0 s, close", "RST");
    narrator.expect("client", "recv", "ECONNRESET", receive(&client));

    let (client, server) = connect(&listener)?;
    narrator.expect("client", "send \"1+1\\n\"", "4", send(&client, b"1+1\n"));
    narrator.expect("server", "recv", "\"1+1\\n\"", receive(&server));
    drop(server);
    narrator.line("server", "close, with all read", "FIN");
    narrator.expect("client", "recv", "end of input", receive(&client));

    narrator.so(
        "a reset says: there were bytes that I did not read, or I wished it. Read all before you",
        "close, or shutdown(SHUT_WR) and read until the peer's end: socklab show lost-busy.",
    );
    narrator
        .cure("socklab serve --explain    (a close tells what is unread, and what a reset costs)");
    Ok(())
}
