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
    narrator.expect("client A", "send \"stop B\"", "6", send(&client_a, b"stop B"));
    Ends::of(&client_a)?.arrived(6);
    narrator.expect("client B", "send \"hello\"", "5", send(&client_b, b"hello"));
    Ends::of(&client_b)?.arrived(5);

    let batch: Vec<_> = epoll_wait(&watcher, 0)?.iter().map(ToString::to_string).collect();
    let expected = format!("descriptors {a}, {b}");
    narrator.expect(
        "server",
        "epoll_wait: two events at once",
        expected,
        format!("descriptors {}", batch.join(", ")),
    );

    narrator.expect(
        "server",
        format!("event {a}: recv from A"),
        "\"stop B\"",
        receive_now(&server_a),
    );
    drop(server_b);
    narrator.line("server", format!("so A's handler closes B: close({b})"), "");
    let (server_c, _) = listener.accept()?;
    narrator.expect(
        "server",
        "accept C, which gets the lowest free number",
        b,
        server_c.as_raw_fd(),
    );
    let received = receive_now(&server_c);
    narrator.expect("server", format!("event {b}: recv from C"), "EAGAIN", received);
    narrator.line("", "it was B's event: a blocking recv would wait here for C;", "");
    narrator.line("", "after B's EPOLLHUP, C would be closed in B's place", "");
    narrator.so(
        "an event is a hint. With O_NONBLOCK a stale one costs a recv that fails with EAGAIN. \
         Close after the events of one epoll_wait, not among them, or map events to clients, \
         not to descriptors.",
    );
    narrator.python(
        "if key.fileobj.fileno() == -1: continue    (closed by an earlier event of this select)",
    );
    narrator.cure("socklab serve --explain    (it closes a client after all events of a turn)");
    Ok(())
}
