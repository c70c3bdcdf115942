//! `backlog`: listen(N) lets N + 1 clients wait for accept(2). `scripts/scenarios/full-table` shows
//! the clients of a full server under each policy of ours.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use rustix::event::PollFlags;

use super::ends::{Ends, name};
use super::sockets::{begin_to_connect, listen, poll_for};
use super::threads::now;
use super::{Lesson, Narrator, Place, Prediction};
use crate::subject::sockets::listening;

pub(super) const LESSON: Lesson = Lesson {
    topic: "backlog",
    question: "What is the backlog, and how do I fill it?",
    prediction: Prediction {
        question: "listen(0), no accept; four clients connect. How many are connected?",
        answers: ["none", "all four", "one"],
        right: 2,
    },
    place: Place::Anywhere,
    run,
};

/// The time after which a kernel repeats the first packet of a connection (RFC 6298).
const FIRST_RETRY: Duration = Duration::from_secs(1);

fn run(narrator: &mut Narrator) -> io::Result<()> {
    for backlog in [0, 2] {
        let listener = listen(backlog)?;
        let address = listener.local_addr()?;
        narrator.line("server", format!("listen({backlog}), and no accept"), "LISTEN");
        let begin = now();
        let mut clients = Vec::new();
        for n in 1..=4 {
            let client = TcpStream::from(begin_to_connect(address)?);
            let ends = Ends { client: client.local_addr()?, server: address };
            let expected = if n <= backlog + 1 { "ESTABLISHED" } else { "SYN-SENT" };
            // A handshake on the loopback interface takes some 0.01 ms.
            poll_for(&client, PollFlags::OUT, 50);
            narrator.expect(&format!("client {n}"), "connect", expected, name(ends.client()));
            clients.push(client);
        }
        let row = listening().into_iter().find(|row| row.local == address);
        let (waiting, limit) = row.map_or((0, 0), |row| (row.unread, row.unsent));
        narrator.expect("kernel", "Send-Q of `ss -ltn`: the backlog", backlog, limit);
        narrator.expect("kernel", "Recv-Q of `ss -ltn`: clients that wait", backlog + 1, waiting);
        if now() - begin >= FIRST_RETRY {
            narrator.doubt("the machine was so slow that clients had begun to try again");
        }
    }
    narrator.so(
        "backlog + 1 clients wait for accept. The server's kernel does not answer the next SYN; \
         the client's kernel repeats it after 1 s, then ever more rarely, and gives up after two \
         minutes. Until then connect waits: s.settimeout(5) first. A full queue looks like a dead \
         server.",
    );
    narrator
        .python("s.listen() takes 128, enough for most; if many connect at once, s.listen(1024)");
    narrator.cure("socklab serve --max-clients 1 --when-full queue --backlog 0");
    Ok(())
}
