//! `close-wait`: the program has not closed what its peer has closed long ago.

use std::io;
use std::net::SocketAddr;

use super::ends::Ends;
use super::sockets::{connect, listen, receive};
use super::{Lesson, Narrator, Place, Prediction};
use crate::subject::sockets::{State, table};

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
    let address = listener.local_addr()?;
    let mut forgotten = Vec::new();
    for n in 1..=3 {
        let (client, server) = connect(&listener)?;
        let ends = Ends::of(&client)?;
        drop(client);
        narrator.line(&format!("client {n}"), "connect, close", "FIN");
        narrator.expect(
            "server",
            "recv, and it forgets to close",
            "end of input",
            receive(&server),
        );
        ends.reach("FIN-WAIT-2", "CLOSE-WAIT");
        forgotten.push((ends, server));
    }
    let (ends, _) = forgotten[0];
    narrator.states(&ends, "FIN-WAIT-2", "CLOSE-WAIT");
    let call = "the server's ends in CLOSE-WAIT";
    narrator.expect("kernel", call, 3, in_close_wait(&address));
    drop(forgotten);
    narrator.line("server", "close of all three, at last", "FIN");
    narrator.states(&ends, "TIME-WAIT", "gone");
    narrator.expect("kernel", call, 0, in_close_wait(&address));
    narrator.so(
        "CLOSE-WAIT that stays is a bug of the program on that side: it has not called close. \
         The kernel never ends it, and it takes a descriptor. Close on every path: end of \
         input, error, time limit.",
    );
    narrator.python("with conn: ...    closes it on every path, after an exception, too");
    narrator.cure("socklab grade --only nothing-left -- python3 server.py {port}");
    Ok(())
}

/// The number of connections of a server that its peers have closed and it has not.
fn in_close_wait(server: &SocketAddr) -> usize {
    let rows = table().into_iter().filter(|row| row.local == *server);
    rows.filter(|row| row.state == State::CloseWait).count()
}
