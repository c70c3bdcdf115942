//! `acked`: sent, even acknowledged, is not read by the other program.

use std::io;

use super::ends::Ends;
use super::sockets::{connect, listen, receive, send};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "acked",
    question: "send() succeeded, but the peer never got it?",
    prediction: Prediction {
        question: "send returns 5000, and TCP has acknowledged them. The other program has read:",
        answers: ["5000 bytes", "perhaps nothing", "at least one byte"],
        right: 1,
    },
    place: Place::Anywhere,
    run,
};

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let (client, server) = connect(&listen(5)?)?;
    let ends = Ends::of(&client)?;
    narrator.expect("client", "send 5000 bytes", "5000", send(&client, &[b'x'; 5000]));
    ends.arrived(5000);
    ends.acknowledged();
    let unsent = ends.client().map_or(0, |row| row.unsent);
    narrator.expect("kernel", "of these, not yet acknowledged", 0, unsent);
    let unread = ends.server().map_or(0, |row| row.unread);
    narrator.expect("kernel", "of these, not read by the server's program", 5000, unread);

    drop(server);
    narrator.line("server", "ends, with 5000 bytes unread", "RST");
    narrator.states(&ends, "gone", "gone");
    narrator.expect("client", "recv", "ECONNRESET", receive(&client));

    narrator.so(
        "send returns how many bytes your own kernel has copied. Acknowledged: the other kernel \
         has them. Only a reply says that the other program has them: have it answer each \
         message that matters.",
    );
    narrator.python(
        "s.sendall(message); s.recv(100)    until the reply is there, the message is not safe",
    );
    narrator.cure("socklab client HOST PORT -e '1 + 2'    (waits for the reply, for at most 2 s)");
    Ok(())
}
