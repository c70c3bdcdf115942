//! `half-close`: each direction of a connection has an end of its own.

use std::io;
use std::net::Shutdown;

use super::ends::Ends;
use super::sockets::{connect, listen, receive, send};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "half-close",
    question: "close() or shutdown()? Whose FIN is it?",
    prediction: Prediction {
        question: "A client asks, then shutdown(SHUT_WR). Can it still receive the reply?",
        answers: ["yes", "no: end of input", "no: ECONNRESET"],
        right: 0,
    },
    place: Place::Anywhere,
    run,
};

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let (client, server) = connect(&listen(5)?)?;
    let ends = Ends::of(&client)?;
    narrator.states(&ends, "ESTABLISHED", "ESTABLISHED");
    narrator.expect("client", "send \"1+1\\n\"", "4", send(&client, b"1+1\n"));
    client.shutdown(Shutdown::Write)?;
    narrator.line("client", "shutdown(SHUT_WR): its FIN", "I shall send no more");
    narrator.states(&ends, "FIN-WAIT-2", "CLOSE-WAIT");

    narrator.expect("server", "recv", "\"1+1\\n\"", receive(&server));
    narrator.expect("server", "recv", "end of input", receive(&server));
    narrator.expect("server", "send \"2\\n\": its half is open", "2", send(&server, b"2\n"));
    narrator.expect("client", "recv", "\"2\\n\"", receive(&client));
    narrator.expect("client", "send", "EPIPE", send(&client, b"3+3\n"));

    drop(server);
    narrator.line("server", "close: its FIN", "I shall send no more, either");
    narrator.expect("client", "recv", "end of input", receive(&client));
    narrator.states(&ends, "TIME-WAIT", "gone");

    narrator.so(
        "close and shutdown(SHUT_WR) send the same FIN: recv returns b\"\" and cannot tell which. \
         So answer, then close. If it was close, a later send fails (show sigpipe). shutdown ends \
         a direction for all who share the socket, close only for its caller.",
    );
    narrator.python("s.shutdown(SHUT_WR) after the last question; then s.recv until b\"\"");
    narrator.cure("socklab grade --only half-close -- python3 server.py {port}");
    Ok(())
}
