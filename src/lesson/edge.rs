//! `edge`: an edge-triggered event comes when bytes arrive, not while they lie there.

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;

use rustix::event::epoll;
use rustix::net::{RecvFlags, recv};

use super::ends::Ends;
use super::sockets::{connect, epoll_wait, listen, receive_now, send, watch};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "edge",
    question: "Edge or level: why is my handler called only once?",
    prediction: Prediction {
        question: "8 bytes arrive on an EPOLLET socket; after each event 2 are read. Events:",
        answers: ["four", "eight", "one"],
        right: 2,
    },
    place: Place::Anywhere,
    run,
};

fn run(narrator: &mut Narrator) -> io::Result<()> {
    for (name, trigger) in [("level", epoll::EventFlags::empty()), ("edge", epoll::EventFlags::ET)]
    {
        let (client, server) = connect(&listen(5)?)?;
        let watcher = watch(&[&server], trigger)?;
        narrator.expect("client", "send \"abcdefgh\"", "8", send(&client, b"abcdefgh"));
        Ends::of(&client)?.arrived(8);
        let seen: Vec<_> =
            (0..5).map(|_| event_and_two_bytes(&watcher, &server)).collect::<io::Result<_>>()?;
        let expected = match name {
            "level" => "ab, cd, ef, gh, no event",
            _ => "ab, no event, no event, no event, no event",
        };
        let call = format!("epoll, {name}: 5 times: wait, then recv 2 bytes");
        narrator.expect("server", call, expected, seen.join(", "));
        if name == "edge" {
            narrator.expect("client", "send \"ij\": a new edge", "2", send(&client, b"ij"));
            Ends::of(&client)?.arrived(8);
            let next = event_and_two_bytes(&watcher, &server)?;
            narrator.expect("server", "wait, recv 2 bytes: the oldest", "cd", next);
            narrator.expect("server", "recv until EAGAIN", "\"efghij\"", receive_now(&server));
            narrator.expect("server", "recv", "EAGAIN", receive_now(&server));
        }
    }
    narrator.so(
        "level: an event as long as bytes wait. Edge: an event only when new bytes come, so \
         receive until EAGAIN. A server that stops earlier, to be fair, must itself remember \
         that there is more. Level-triggered is the safe default.",
    );
    narrator.python(
        "select, selectors and epoll are level-triggered, unless you register with\n\
         select.EPOLLET: then setblocking(False), and loop recv until BlockingIOError or b\"\"",
    );
    narrator.cure("socklab serve --explain    (an edge-triggered loop in words, call by call)");
    Ok(())
}

/// A wait that does not block, and after an event a receive of two bytes.
fn event_and_two_bytes(watcher: &OwnedFd, socket: &TcpStream) -> io::Result<String> {
    if epoll_wait(watcher, 0)?.is_empty() {
        return Ok("no event".to_owned());
    }
    let mut two = [0; 2];
    let (len, _) = recv(socket, &mut two[..], RecvFlags::DONTWAIT)?;
    Ok(String::from_utf8_lossy(&two[..len]).into_owned())
}
