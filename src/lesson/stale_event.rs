//! `stale-event`: an event for a descriptor that has become another client's meanwhile.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use rustix::event::epoll;

use super::ends::Ends;
use super::sockets::{connect, epoll_wait, listen, receive_now, send, watch};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "stale-event",
    question: "Can an event be for a client that is gone?",
    prediction: Prediction {
        question: "Events for A and B are in hand; A's handler closes B and accepts C. B's event:",
        answers: ["is taken for one of C", "is taken back by the kernel", "is an error of epoll"],
        right: 0,
    },
    place: Place::Anywhere,
    run,
};

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let listener = listen(5)?;
    let (client_a, server_a) = connect(&listener)?;
    let (client_b, server_b) = connect(&listener)?;
    // C waits in the accept queue.
    let _client_c = TcpStream::connect(listener.local_addr()?)?;
    let (a, b) = (server_a.as_raw_fd(), server_b.as_raw_fd());
    let watcher = watch(&[&server_a, &server_b], epoll::EventFlags::empty())?;
    narrator.line("server", "epoll watches A and B", format!("descriptors {a} and {b}"));
    for (name, client) in [("client A", &client_a), ("client B", &client_b)] {
        narrator.expect(name, "send \"bye\"", "3", send(client, b"bye"));
        Ends::of(client)?.arrived(3);
    }

    let batch: Vec<_> = epoll_wait(&watcher, 0)?.iter().map(ToString::to_string).collect();
    let expected = format!("descriptors {a}, {b}");
    narrator.expect("server", "epoll_wait", expected, format!("descriptors {}", batch.join(", ")));

    narrator.expect("server", format!("event {a}: recv from A"), "\"bye\"", receive_now(&server_a));
    drop(server_b);
    narrator.line("server", format!("so A's handler closes B: close({b})"), "");
    let (server_c, _) = listener.accept()?;
    narrator.expect("server", "accept C: the lowest free number", b, server_c.as_raw_fd());
    let received = receive_now(&server_c);
    narrator.expect("server", format!("event {b}: recv from C"), "EAGAIN", received);
    narrator.line("", "a blocking recv would wait here; after an event", "");
    narrator.line("", "that says hang-up, C would be closed in B's place", "");
    narrator.so(
        "an event is a hint: with O_NONBLOCK a stale one costs a call that returns EAGAIN. Close",
        "after the batch, not in it, or number the clients and not the descriptors.",
    );
    narrator.cure("socklab serve --explain    (its close comes after the batch of events)");
    Ok(())
}
