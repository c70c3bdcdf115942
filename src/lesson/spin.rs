//! `spin`: poll(2) and select(2) return at once while there is something that nobody takes.

use std::io;
use std::net::TcpStream;

use rustix::event::PollFlags;

use super::ends::Ends;
use super::sockets::{connect, listen, poll_for, receive};
use super::threads::now;
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "spin",
    question: "Why does select return at once, with 100 % CPU?",
    prediction: Prediction {
        question: "A client has closed; the server keeps polling its socket for input. poll says:",
        answers: ["readable once", "readable, each time", "nothing: it is closed"],
        right: 1,
    },
    place: Place::Anywhere,
    run,
};

/// Waits of each kind.
const WAITS: usize = 10_000;

/// The limit of each wait, in milliseconds.
const LIMIT: u64 = 5000;

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let listener = listen(5)?;
    let (client, server) = connect(&listener)?;
    let ends = Ends::of(&client)?;
    drop(client);
    narrator.line("client", "close", "FIN");
    narrator.states(&ends, "FIN-WAIT-2", "CLOSE-WAIT");
    spin(narrator, "poll for POLLIN, recv not called", &server, PollFlags::IN);
    narrator.expect("server", "recv", "end of input", receive(&server));
    spin(narrator, "poll for POLLIN, socket not closed", &server, PollFlags::IN);

    let (_client, server) = connect(&listener)?;
    narrator.line("client", "connect again; send nothing", "");
    spin(narrator, "poll for POLLOUT, nothing to send", &server, PollFlags::OUT);
    let begin = now();
    let events = poll_for(&server, PollFlags::IN, 50);
    let text = format!("nothing, in {:.0} ms", (now() - begin).as_secs_f64() * 1000.0);
    narrator.check(
        "server",
        "poll for POLLIN only, up to 50 ms",
        text,
        events.is_empty(),
        "nothing",
    );

    narrator.so(
        "after recv of 0 bytes close the socket and stop watching it. Ask for POLLOUT (the \
         second list of select) only while there is something to send. Otherwise select \
         returns at once, every time; so it does if accept fails with EMFILE (show emfile).",
    );
    narrator.python(
        "if not data: sel.unregister(conn); conn.close()    and with nothing more to send:\n\
         sel.modify(conn, EVENT_READ), else: sel.modify(conn, EVENT_READ | EVENT_WRITE)",
    );
    narrator.cure("socklab grade --only asleep -- python3 server.py {port}");
    Ok(())
}

/// Polls many times, each of which must return an event without a wait.
fn spin(narrator: &mut Narrator, call: &str, socket: &TcpStream, events: PollFlags) {
    let begin = now();
    let ready = (0..WAITS).filter(|_| poll_for(socket, events, LIMIT).contains(events)).count();
    let seconds = (now() - begin).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "10,000 fits")]
    let each = seconds * 1e6 / WAITS as f64;
    let text = format!("ready {ready} times of {WAITS}, {each:.1} µs each");
    let promise = format!("ready {WAITS} times of {WAITS}");
    narrator.check("server", call, text, ready == WAITS, &promise);
}
