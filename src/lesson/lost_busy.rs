//! `lost-busy`: the last words of a server, which its own reset keeps from being read.

use std::io;
use std::net::{Shutdown, TcpStream};

use super::ends::Ends;
use super::sockets::{connect, listen, receive, send};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "lost-busy",
    question: "The server said \"busy\" and closed. Why does the client never see it?",
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
    narrator.line("client 1", "connect, send \"1+1\\n\"", "4");
    narrator.expect("server", "send \"busy\"", "4", send(&server, b"busy"));
    drop(server);
    narrator.line("server", "close, with the question unread", "RST");
    narrator.states(&ends, "gone", "gone");
    narrator.expect("client 1", "send \"2+2\\n\"", "ECONNRESET", send(&client, b"2+2\n"));
    narrator.expect(
        "client 1",
        "recv, if the program survived the error",
        "\"busy\"",
        receive(&client),
    );

    let (client, server, ends) = client_that_asked()?;
    narrator.line("client 2", "connect, send \"1+1\\n\"", "4");
    send(&server, b"busy");
    server.shutdown(Shutdown::Write)?;
    narrator.line("server", "send \"busy\", shutdown(SHUT_WR)", "4, FIN");
    narrator.states(&ends, "CLOSE-WAIT", "FIN-WAIT-2");
    narrator.expect("client 2", "send \"2+2\\n\"", "4", send(&client, b"2+2\n"));
    narrator.expect("client 2", "recv", "\"busy\"", receive(&client));
    narrator.expect("client 2", "recv, then close", "end of input", receive(&client));
    ends.arrived(8);
    drop(client);
    narrator.expect("server", "recv, discard", "\"1+1\\n2+2\\n\"", receive(&server));
    narrator.expect("server", "recv, then close", "end of input", receive(&server));

    narrator.so(
        "to reject a client: send the text, shutdown(SHUT_WR), receive and discard until its \
         end (with a limit on time and bytes), then close. EPIPE: a FIN came first; ECONNRESET: \
         only a reset.",
    );
    narrator.python(
        "conn.sendall(b\"busy\"); conn.shutdown(SHUT_WR); conn.settimeout(2); \
         recv until b\"\"; close",
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
