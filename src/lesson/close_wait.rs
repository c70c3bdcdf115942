//! `close-wait`: the program has not closed what its peer has closed long ago.

use std::io;

use super::ends::Ends;
use super::sockets::{connect, listen, receive};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "close-wait",
    question: "Why do sockets in CLOSE_WAIT pile up?",
    prediction: Prediction {
        question: "A client closes; the server reads the end of input and does not close. Then:",
        answers: [
            "CLOSE-WAIT ends after 60 s",
            "the kernel closes the server's end",
            "CLOSE-WAIT lasts until the server closes",
        ],
        right: 2,
    },
    place: Place::Anywhere,
    run,
};

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let listener = listen(5)?;
    let mut forgotten = Vec::new();
    for n in 1..=3 {
        let (client, server) = connect(&listener)?;
        let ends = Ends::of(&client)?;
        drop(client);
        narrator.line(&format!("client {n}"), "connect, close: its FIN", "");
        narrator.expect("server", "recv, and no close", "end of input", receive(&server));
        narrator.states(&ends, "FIN-WAIT-2", "CLOSE-WAIT");
        forgotten.push((ends, server));
    }
    narrator.line("server", "its descriptors of clients that have left", forgotten.len());
    for (n, (ends, server)) in (1..).zip(forgotten) {
        drop(server);
        narrator.line("server", format!("close of client {n}: its FIN"), "");
        narrator.states(&ends, "TIME-WAIT", "gone");
    }
    narrator.so(
        "CLOSE-WAIT is always a bug of the program on that side: it has not called close. No limit",
        "of the kernel ends it. Close on every path: end of input, error, limit on time.",
    );
    narrator.cure("socklab grade --only nothing-left -- python3 server.py {port}");
    Ok(())
}
