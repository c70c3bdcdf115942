//! `sigpipe`: the first send to a closed peer succeeds, the second is fatal.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use signal_hook::consts::SIGPIPE;

use super::ends::Ends;
use super::sockets::{connect, listen, receive, send};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "sigpipe",
    question: "Why does the first write to a closed peer work, and the second kill me?",
    prediction: Prediction {
        question: "The peer has closed, its FIN has arrived. Three sends, one after the other:",
        answers: ["EPIPE, EPIPE, EPIPE", "5, EPIPE, EPIPE", "5, 5, 5"],
        right: 1,
    },
    place: Place::Anywhere,
    run,
};

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let (client, server) = connect(&listen(5)?)?;
    let ends = Ends::of(&client)?;
    drop(server);
    narrator.line("server", "connected; close", "FIN");
    narrator.states(&ends, "CLOSE-WAIT", "FIN-WAIT-2");
    narrator.expect("client", "send \"hello\"", "5", send(&client, b"hello"));
    narrator.line("kernel", "the server's kernel: no program reads this", "RST");
    narrator.states(&ends, "gone", "gone");
    narrator.expect("client", "send \"hello\"", "EPIPE", send(&client, b"hello"));
    narrator.expect("client", "send \"hello\"", "EPIPE", send(&client, b"hello"));
    narrator.expect("client", "recv", "end of input", receive(&client));

    // The same without MSG_NOSIGNAL, in a program of its own: cat writes to the closed socket.
    let mut cat = Command::new("cat");
    cat.stdin(Stdio::piped()).stdout(Stdio::from(OwnedFd::from(client)));
    let mut cat = cat.spawn()?;
    narrator.line("cat", "its stdout is the client's socket: write \"hello\"", "");
    cat.stdin.take().expect("it is piped").write_all(b"hello")?;
    let status = cat.wait()?;
    let killed = status.signal() == Some(SIGPIPE);
    narrator.check("cat", "its end", status, killed, "killed by SIGPIPE");

    narrator.so(
        "a send can succeed after the peer has closed: the next one fails (EPIPE if a FIN came \
         first, ECONNRESET if only a reset). In C ignore SIGPIPE, which ended cat, or send with \
         MSG_NOSIGNAL.",
    );
    narrator
        .python("except (BrokenPipeError, ConnectionResetError): close. Python ignores SIGPIPE.");
    narrator.cure("socklab grade --only unread-answer -- python3 server.py {port}");
    Ok(())
}
