//! `shut-rd`: `shutdown(SHUT_RD)` sends nothing, and stops nobody.

use std::io;
use std::net::Shutdown;
use std::sync::mpsc::channel;

use super::ends::Ends;
use super::sockets::{connect, listen, receive, send};
use super::threads::{call_of, start, this_thread, wait_until};
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
    let (same, (report, reports)) = (server.try_clone()?, channel());
    let receiving = start(move || {
        let _ = report.send(this_thread());
        receive(&same)
    })?;
    let thread = reports.recv().map_err(io::Error::other)?;
    wait_until(|| call_of(thread).starts_with("recv"));
    let waits = if call_of(thread).starts_with("recv") { "waits" } else { "does not wait" };
    narrator.expect("thread 1", "recv: nothing has come", "waits", waits);
    server.shutdown(Shutdown::Read)?;
    narrator.line("thread 2", "shutdown(SHUT_RD) of the same socket", "ok");
    let received = receiving.join().expect("it does not panic");
    narrator.expect("thread 1", "its recv returns", "end of input", received);
    narrator.line("kernel", "nothing is sent: the client cannot know", "");
    narrator.states(&ends, "ESTABLISHED", "ESTABLISHED");

    narrator.expect("client", "send \"still\"", "5", send(&client, b"still"));
    ends.arrived(5);
    let unread = ends.server().map_or(0, |row| row.unread);
    narrator.expect("kernel", "in the server's receive buffer", 5, unread);
    narrator.expect("server", "recv: what has come is there", "\"still\"", receive(&server));
    narrator.expect(
        "server",
        "recv: nothing more has come, no wait",
        "end of input",
        receive(&server),
    );

    narrator.so(
        "shutdown(SHUT_RD) sends nothing and refuses nothing: it only makes a waiting recv \
         return. A server that must stop can wake its threads this way, each of which waits \
         in recv for its client.",
    );
    narrator.python("conn.shutdown(SHUT_RD), from another thread; the recv there returns b\"\"");
    narrator.cure("socklab serve --model thread    (it wakes its threads this way)");
    Ok(())
}
