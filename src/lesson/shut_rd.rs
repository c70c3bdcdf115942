//! `shut-rd`: `shutdown(SHUT_RD)` sends nothing, and stops nobody.

use std::io;
use std::net::Shutdown;

use super::ends::Ends;
use super::sockets::{connect, listen, receive, send};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "shut-rd",
    question: "What does shutdown(SHUT_RD) do?",
    prediction: Prediction {
        question: "A server does shutdown(SHUT_RD); its client sends \"still\". The server's recv:",
        answers: ["\"still\"", "end of input, for ever", "an error"],
        right: 0,
    },
    place: Place::Anywhere,
    run,
};

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let (client, server) = connect(&listen(5)?)?;
    let ends = Ends::of(&client)?;
    server.shutdown(Shutdown::Read)?;
    narrator.line("server", "shutdown(SHUT_RD)", "ok");
    narrator.states(&ends, "ESTABLISHED", "ESTABLISHED");
    narrator.expect("server", "recv, which waits no more", "end of input", receive(&server));

    narrator.expect("client", "send \"still\"", "5", send(&client, b"still"));
    ends.arrived(5);
    let unread = ends.server().map_or(0, |row| row.unread);
    narrator.expect("kernel", "in the server's receive buffer", 5, unread);
    narrator.expect("server", "recv", "\"still\"", receive(&server));
    narrator.expect("server", "recv", "end of input", receive(&server));
    narrator.states(&ends, "ESTABLISHED", "ESTABLISHED");

    narrator.so(
        "nothing is sent: the peer cannot know. It only lets a recv that waits return, so that",
        "another thread can wake the one that serves a client, when the server is to stop.",
    );
    narrator.cure("socklab serve --model thread    (its stop wakes the threads so)");
    Ok(())
}
