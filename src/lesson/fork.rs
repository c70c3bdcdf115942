//! `fork`: a connection ends when its last descriptor is closed, and a child has copies.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::process::Pid;

use super::ends::Ends;
use super::sockets::{connect, listen, receive, receive_now};
use super::threads::wait_until;
use super::{Lesson, Narrator, Place, Prediction};
use crate::subject::processes::ProcessState;

pub(super) const LESSON: Lesson = Lesson {
    topic: "fork",
    question: "Why does the connection stay open after close() in a server with children?",
    prediction: Prediction {
        question: "A child has a copy of the connection. The server closes its own. The client:",
        answers: ["end of input", "ECONNRESET", "nothing, until the child closes or ends"],
        right: 2,
    },
    place: Place::Anywhere,
    run,
};

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let (client, server) = connect(&listen(5)?)?;
    let ends = Ends::of(&client)?;
    let copy = OwnedFd::from(server.try_clone()?);
    // It stands for a child that serves the client; the copy is its standard input.
    let mut sleep = Command::new("sleep");
    let mut child = sleep.arg("60").stdin(Stdio::from(copy)).spawn()?;
    // Our command still has the descriptor that the child's is a copy of.
    drop(sleep);
    let process = Pid::from_child(&child);
    let pid = process.as_raw_nonzero();
    narrator.line("server", "start a child that has the connection, too", format!("process {pid}"));

    drop(server);
    narrator.line("server", "close(conn), in the parent only", "no FIN: the child has it open");
    narrator.states(&ends, "ESTABLISHED", "ESTABLISHED");
    narrator.expect("client", "recv: nothing has come", "EAGAIN", receive_now(&client));

    child.kill()?;
    narrator.line("child", "ends: the last descriptor is closed", "FIN");
    narrator.states(&ends, "CLOSE-WAIT", "FIN-WAIT-2");
    narrator.expect("client", "recv", "end of input", receive(&client));

    let state = || ProcessState::read(process).map(|process| process.zombie);
    wait_until(|| state() == Some(true));
    let text = if state() == Some(true) { "zombie" } else { "no zombie" };
    narrator.expect("kernel", format!("process {pid}"), "zombie", text);
    child.wait()?;
    let text = if state().is_none() { "gone" } else { "there" };
    narrator.expect("server", format!("waitpid({pid}): process {pid}"), "gone", text);

    narrator.so("after fork close the connection in the parent, and the listener in the child: a \
         socket ends with its last descriptor. One SIGCHLD can mean several dead children: \
         on it, call waitpid until no more have ended.");
    narrator.python(
        "in the parent: conn.close(); once, at its start: signal(SIGCHLD, SIG_IGN), and its\n\
         children leave no zombies",
    );
    narrator.cure("socklab grade --only nothing-left -- python3 server.py {port}");
    Ok(())
}
