//! `lost-busy`: the last words of a server, which its own reset keeps from being read.

use std::io;
use std::net::{Shutdown, TcpStream};

use super::ends::Ends;
use super::sockets::{connect, listen, receive, send};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "lost-busy",
    question: "The server said \"busy\" and closed. Why does no client show it?",
    prediction: Prediction {
        question: "\"busy\" has arrived, then a reset. A client that goes on sending sees first:",
        answers: ["\"busy\"", "ECONNRESET from its send", "nothing: it waits"],
        right: 1,
    },
    place: Place::Anywhere,
    run,
};

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let (client, server, ends) = client_that_asked()?;
    narrator.line("client", "send \"1+1\\n\"", "4");
    narrator.expect("server", "send \"busy\"", "4", send(&server, b"busy"));
    drop(server);
    narrator.line("server", "close, with the question unread", "RST");
    narrator.states(&ends, "gone", "gone");
    narrator.expect("client", "send \"2+2\\n\"", "ECONNRESET", send(&client, b"2+2\n"));
    narrator.line("", "here most clients stop, with an error only", "");
    narrator.expect("client", "recv, if it goes on", "\"busy\"", receive(&client));

    let (client, server, ends) = client_that_asked()?;
    narrator.line("client", "another: send \"1+1\\n\"", "4");
    narrator.expect("server", "send \"busy\"", "4", send(&server, b"busy"));
    server.shutdown(Shutdown::Write)?;
    narrator.line("server", "shutdown(SHUT_WR)", "FIN");
    narrator.states(&ends, "CLOSE-WAIT", "FIN-WAIT-2");
    narrator.expect("client", "send \"2+2\\n\"", "4", send(&client, b"2+2\n"));
    narrator.expect("client", "recv", "\"busy\"", receive(&client));
    narrator.expect("client", "recv, then close", "end of input", receive(&client));
    ends.arrived(8);
    drop(client);
    narrator.expect("server", "recv, discard", "\"1+1\\n2+2\\n\"", receive(&server));
    narrator.expect("server", "recv, then close", "end of input", receive(&server));

    narrator.so(
        "to reject a client: send the text, shutdown(SHUT_WR), receive and discard until its end",
        "(with a limit on time and bytes), then close. SO_LINGER does not help.",
    );
    narrator.cure("socklab serve --max-clients 1 --when-full reply --explain");
    Ok(())
}

/// A connection whose client has sent a question, which has arrived.
fn client_that_asked() -> io::Result<(TcpStream, TcpStream, Ends)> {
    let (client, server) = connect(&listen(5)?)?;
    let ends = Ends::of(&client)?;
    send(&client, b"1+1\n");
    ends.arrived(4);
    Ok((client, server, ends))
}
