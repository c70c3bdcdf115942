//! `emfile`: without a free descriptor, accept(2) fails and the client stays where it is.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use rustix::event::PollFlags;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::sockets::{listen, outcome, poll_for};
use super::threads::now;
use super::{Lesson, Narrator, Place, Prediction};
use crate::subject::sockets::listening;

pub(super) const LESSON: Lesson = Lesson {
    topic: "emfile",
    question: "accept: too many open files, and 100 % CPU: why?",
    prediction: Prediction {
        question: "A client waits, no descriptor is free. accept fails with EMFILE. The client:",
        answers: ["stays in the queue, and poll says readable at once", "is reset", "is refused"],
        right: 0,
    },
    place: Place::Anywhere,
    run,
};

/// Rounds of a loop that polls and accepts.
const ROUNDS: usize = 10_000;

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let listener = listen(5)?;
    let address = listener.local_addr()?;
    let _clients = [TcpStream::connect(address)?, TcpStream::connect(address)?];
    let queue =
        || listening().into_iter().find(|row| row.local == address).map_or(0, |row| row.unread);
    narrator.expect("clients", "2 connect, and wait in the accept queue", 2, queue());

    // The numbers above are free: the limit is on numbers, not on how many there are.
    let spare = listener.try_clone()?;
    let highest = spare.as_raw_fd();
    let before = getrlimit(Resource::Nofile);
    let limit = u64::try_from(highest).expect("it is open") + 1;
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), ..before })?;
    let call = format!("ulimit -n {limit}: only descriptors 0 to {highest}, all in use");
    narrator.line("server", call, "");

    let begin = now();
    let (mut ready, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        ready += usize::from(poll_for(&listener, PollFlags::IN, 1000).contains(PollFlags::IN));
        refused += usize::from(outcome(&listener.accept(), "a client") == "EMFILE");
    }
    let seconds = (now() - begin).as_secs_f64();
    let times = |result: &str, count| format!("{result}, {count} times");
    let call = format!("poll, {ROUNDS} times: the listener is");
    narrator.expect("server", call, times("readable", ROUNDS), times("readable", ready));
    let call = format!("accept after each poll; all in {seconds:.3} s");
    narrator.expect("server", call, times("EMFILE", ROUNDS), times("EMFILE", refused));
    setrlimit(Resource::Nofile, before)?;
    narrator.expect("kernel", "clients in the queue: as before", 2, queue());

    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), ..before })?;
    drop(spare);
    let accepted = listener.accept();
    let seen = outcome(&accepted, "a client");
    narrator.expect("server", "close one descriptor, accept", "a client", seen);
    let next = outcome(&listener.accept(), "a client");
    setrlimit(Resource::Nofile, before)?;
    narrator.expect("server", "accept again", "EMFILE", next);
    narrator.expect("kernel", "clients in the queue", 1, queue());

    let _second = listener.accept()?;
    listener.set_nonblocking(true)?;
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit + 1), ..before })?;
    let empty = outcome(&listener.accept(), "a client");
    setrlimit(Resource::Nofile, before)?;
    narrator.line("server", format!("ulimit -n {}, accept", limit + 1), "a client");
    narrator.expect("kernel", "clients in the queue", 0, queue());
    narrator.expect("server", "accept, O_NONBLOCK: not EAGAIN", "EMFILE", empty);

    narrator.so(
        "after EMFILE do not watch the listener for 0.1 s: accept with an empty queue fails \
         with EMFILE again, never EAGAIN, so a loop until EAGAIN never ends. Or keep a spare \
         descriptor: close it, accept, say busy, close, open it again. Log it only once.",
    );
    narrator.python(
        "except OSError as e: if e.errno == errno.EMFILE: sel.unregister(listener); serve the\n\
         others (sel.select(0.1)); then sel.register(listener, EVENT_READ)",
    );
    narrator.cure("bash -c 'ulimit -n 64; socklab serve'    (and more clients than that)");
    Ok(())
}
