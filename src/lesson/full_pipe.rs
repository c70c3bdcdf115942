//! `full-pipe`: a send may take a part, and then none, until the peer reads.

use std::io::{self, Read};

use rustix::event::PollFlags;

use super::ends::Ends;
use super::sockets::{connect, listen, poll_for, send};
use super::threads::wait_until;
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "full-pipe",
    question: "send() took less than I gave it, then EAGAIN: now what?",
    prediction: Prediction {
        question: "A socket that does not block; the peer does not read. send(30 MB) returns:",
        answers: ["30 MB", "EAGAIN, and none of it is sent", "a part of it"],
        right: 2,
    },
    place: Place::Anywhere,
    run,
};

const LARGE: usize = 30_000_000;

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let (client, mut server) = connect(&listen(5)?)?;
    let ends = Ends::of(&client)?;
    client.set_nonblocking(true)?;
    narrator.line("client", "O_NONBLOCK; the server does not read yet", "");

    // A send that is refused may find room once more while acknowledgements still come in.
    let data = vec![b'x'; LARGE];
    let (mut parts, mut refused) = (Vec::<usize>::new(), Vec::new());
    wait_until(|| {
        let result = send(&client, &data);
        if let Ok(len) = result.parse() {
            parts.push(len);
            refused.clear();
        } else {
            refused.push(result);
            poll_for(&client, PollFlags::OUT, 100);
        }
        refused.len() == 2
    });
    let taken: usize = parts.iter().sum();
    let first = parts.first().copied().unwrap_or(0);
    let partial = (1..LARGE).contains(&first);
    narrator.check("client", "send 30000000 bytes", first, partial, "a part of them");
    narrator.line("client", "send again until no more fits: total", taken);
    narrator.expect("client", "send", "EAGAIN", refused.pop().unwrap_or_default());
    let unread = ends.server().map_or(0, |row| row.unread) as usize;
    let unsent = ends.client().map_or(0, |row| row.unsent) as usize;
    narrator.line("kernel", "of these: in the server's receive buffer", unread);
    narrator.line("kernel", "          in the client's send buffer", unsent);
    narrator.expect("kernel", "together: all that was taken", taken, unread + unsent);
    let events = poll_for(&client, PollFlags::OUT, 0);
    narrator.expect("client", "poll for POLLOUT", "not writable", writable(events));

    let (mut read, mut buffer) = (0, vec![0; 1 << 16]);
    while read < taken {
        read += server.read(&mut buffer)?;
    }
    narrator.expect("server", "recv, until all is read", taken, read);
    let events = poll_for(&client, PollFlags::OUT, 5000);
    narrator.expect("client", "poll for POLLOUT", "writable", writable(events));

    narrator.so(
        "keep what send did not take, wait until the socket is writable, send it, and then stop \
         asking for POLLOUT (show spin). From a client that does not read its replies, read no \
         more questions.",
    );
    narrator.python(
        "blocking: s.sendall(data). Non-blocking: try: buf = buf[s.send(buf):]\n\
         except BlockingIOError: wait until writable. No sendall there: after its\n\
         error you do not know how much was sent",
    );
    narrator.cure("socklab grade --only slow-reader -- python3 server.py {port}");
    Ok(())
}

fn writable(events: PollFlags) -> &'static str {
    if events.contains(PollFlags::OUT) { "writable" } else { "not writable" }
}
