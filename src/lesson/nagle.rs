//! `nagle`: two small sends and a wait for the reply take 40 ms.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::sockets::{connect, listen};
use super::threads::{now, start};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "nagle",
    question: "Where do delays of 40 ms come from?",
    prediction: Prediction {
        question: "On loopback: send \"1+\", send \"1\\n\", recv the reply, often. Each takes:",
        answers: ["0.05 ms", "1 ms", "40 ms"],
        right: 2,
    },
    place: Place::Anywhere,
    run,
};

/// Requests of each kind. The first are fast: a new connection acknowledges at once.
const REQUESTS: usize = 15;

/// Less than the shortest delay of an acknowledgement (40 ms in Linux).
const DELAY: Duration = Duration::from_millis(35);

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let mut times = Vec::new();
    for (nodelay, pieces) in
        [(false, &["1+", "1\n"][..]), (true, &["1+", "1\n"]), (false, &["1+1\n"])]
    {
        let (mut client, server) = connect(&listen(5)?)?;
        let answering = start(move || answer(server))?;
        client.set_nodelay(nodelay)?;
        let mut requests = Vec::new();
        for _ in 0..REQUESTS {
            let begin = now();
            for piece in pieces {
                client.write_all(piece.as_bytes())?;
            }
            client.read_exact(&mut [0; 2])?;
            requests.push(now() - begin);
        }
        drop(client);
        answering.join().expect("it does not panic")?;
        requests.sort();
        times.push(requests[REQUESTS / 2]);
    }
    let text = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
    let [nagle, nodelay, whole] = [times[0], times[1], times[2]];
    narrator.line("client", "the median of 15 requests, on loopback:", "");
    narrator.check(
        "client",
        "send \"1+\", send \"1\\n\", recv \"2\\n\"",
        text(nagle),
        nagle > DELAY,
        "more than 35 ms",
    );
    let call = "the same with TCP_NODELAY";
    narrator.check("client", call, text(nodelay), nodelay < nagle, "less");
    let call = "send \"1+1\\n\" in one call, recv \"2\\n\"";
    narrator.check("client", call, text(whole), whole < nagle, "less");
    if nodelay > DELAY || whole > DELAY {
        narrator.doubt("the machine is so busy that all is slow");
    }

    narrator.line(
        "kernel",
        "the client's kernel (Nagle's algorithm): \"1\\n\" waits until \"1+\" is acknowledged",
        "",
    );
    narrator.line(
        "kernel",
        "the server's kernel: waits 40 ms for a reply that can carry the acknowledgement",
        "",
    );
    narrator.so(
        "send a message in one call (gather it in a buffer), or set TCP_NODELAY, as clients and \
         servers with short messages should. The other end's cure: socklab show delayed-ack.",
    );
    narrator.python("s.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)");
    narrator.cure("socklab bench HOST PORT -c 1 --rate 20    (its clients set TCP_NODELAY)");
    Ok(())
}

/// A server that replies to each line.
fn answer(mut server: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        match server.read(&mut buffer)? {
            0 => return Ok(()),
            len if buffer[..len].ends_with(b"\n") => server.write_all(b"2\n")?,
            _ => {}
        }
    }
}
