//! `interrupted`: EINTR does not say that nothing has come.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::event::epoll;

use super::sockets::{connect, epoll_wait, listen, receive_now, watch};
use super::{Lesson, Narrator, Place, Prediction};
use crate::error::errno;

pub(super) const LESSON: Lesson = Lesson {
    topic: "interrupted",
    question: "epoll_wait fails with EINTR: does that mean nothing came?",
    prediction: Prediction {
        question: "Ctrl-Z, then fg; a message came meanwhile. epoll_wait, which waited, returns:",
        answers: [
            "the event",
            "EINTR, and the event only when called again",
            "0: the time is over",
        ],
        right: 1,
    },
    place: Place::Anywhere,
    run,
};

/// The client, a shell: waits until we sleep in a call, halts us, sends, lets us go on. Its stdout
/// is the connection; a line on its stdin says that the next call of ours is the wait.
const CLIENT: &str = r#"read -r _
until read -r stat < "/proc/$PPID/stat" && case ${stat##*)} in ' S'*) ;; *) false;; esac
do :; done
kill -STOP "$PPID"
until read -r stat < "/proc/$PPID/stat" && case ${stat##*)} in ' T'*) ;; *) false;; esac
do :; done
echo hello
kill -CONT "$PPID"
"#;

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let (client, server) = connect(&listen(5)?)?;
    let watcher = watch(&[&server], epoll::EventFlags::empty())?;
    let mut shell = Command::new("sh");
    shell.args(["-c", CLIENT]).stdin(Stdio::piped()).stdout(Stdio::from(OwnedFd::from(client)));
    let mut shell = shell.spawn()?;
    narrator.line("server", "epoll_wait for at most 10 s: nothing has come", "");
    narrator.line("shell", "kill -STOP: the server is stopped (as by Ctrl-Z)", "");
    narrator.line("client", "send \"hello\\n\"", "");
    narrator.line("shell", "kill -CONT: the server goes on (as by fg)", "");

    shell.stdin.take().expect("it is piped").write_all(b"\n")?;
    let first = wait(&watcher, 10_000);
    narrator.expect("server", "its epoll_wait returns before 10 s are over", "EINTR", first);
    let again = wait(&watcher, 0);
    narrator.expect("server", "epoll_wait again, without a wait", "1 event", again);
    narrator.expect("server", "recv", "\"hello\\n\"", receive_now(&server));
    shell.wait()?;
    narrator.line("", "Python calls again (PEP 475), for what is left of the 10 s; C does not", "");

    narrator.so(
        "an interrupted wait is not an empty one. After EINTR ask again without a wait, and \
         serve what has come, before you apply time limits to clients: the stop counts as \
         elapsed time.",
    );
    narrator.python(
        "after a stop sel.select(1) may be [] though input waits: sel.select(0) before you close",
    );
    narrator.cure(
        "socklab serve --explain    (Ctrl-Z, a client sends, fg: see EINTR, and it is served)",
    );
    Ok(())
}

/// The result of a wait: the number of events, or the name of the error.
fn wait(watcher: &OwnedFd, milliseconds: u64) -> String {
    match epoll_wait(watcher, milliseconds) {
        Ok(events) => format!("{} event", events.len()),
        Err(error) => errno(&error),
    }
}
