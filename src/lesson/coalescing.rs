//! `coalescing`: TCP carries bytes, not messages.

use std::io::{self, Read, Write};

use super::ends::Ends;
use super::sockets::{connect, listen, receive};
use super::threads::start;
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "coalescing",
    question: "Why does recv bring half a message, or two messages?",
    prediction: Prediction {
        question: "A client sends \"one\\n\", \"two\\n\", \"six\\n\" in three calls. recv brings:",
        answers: ["any part of the 12 bytes; here all", "\"one\\n\"", "an error: three messages"],
        right: 0,
    },
    place: Place::Anywhere,
    run,
};

/// The bytes of one send that take many receives.
const LARGE: usize = 1_000_000;

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let (mut client, mut server) = connect(&listen(5)?)?;
    let ends = Ends::of(&client)?;
    client.set_nodelay(true)?;
    for message in ["one\n", "two\n", "six\n"] {
        client.write_all(message.as_bytes())?;
        narrator.line("client", format!("send {message:?}"), "4");
    }
    // They have arrived before the server looks.
    ends.arrived(12);
    let received = receive(&server);
    narrator.expect("server", "recv, at most 64 bytes", "\"one\\ntwo\\nsix\\n\"", received);

    let sender = start(move || client.write_all(&vec![b'x'; LARGE]).map(|()| client))?;
    narrator.line("client", format!("send {LARGE} bytes in one call"), LARGE);
    let (mut buffer, mut parts) = (vec![0; LARGE], Vec::new());
    while parts.iter().sum::<usize>() < LARGE {
        match server.read(&mut buffer)? {
            0 => break,
            len => parts.push(len),
        }
    }
    let _client = sender.join().expect("it does not panic")?;
    let first: Vec<_> = parts.iter().take(3).map(ToString::to_string).collect();
    let dots = if parts.len() > 3 { ", ..." } else { "" };
    let sizes = format!("{} calls: {}{dots} bytes", parts.len(), first.join(", "));
    narrator.line("server", format!("recv in a loop, up to {LARGE} at once"), sizes);
    narrator.expect("server", "in all", LARGE, parts.iter().sum::<usize>());

    narrator.so(
        "one recv is not one message, and the number of recv calls varies. Append to a buffer, \
         take out what is whole (to the newline, or as long as a length says), keep the rest for \
         the next round.",
    );
    narrator.python(
        "data = s.recv(4096); if not data: the end; buf += data\n\
         while b\"\\n\" in buf: line, buf = buf.split(b\"\\n\", 1); handle(line)",
    );
    narrator.cure("socklab grade --only two-in-one,two-pieces -- python3 server.py {port}");
    Ok(())
}
