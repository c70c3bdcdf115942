//! `reuseport`: each listener of a port has a queue of its own, and who closes loses his.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::event::PollFlags;

use super::sockets::{any_port, listen_on, poll_for, receive};
use super::threads::{PATIENCE, wait_until};
use super::{Lesson, Narrator, Place, Prediction};
use crate::subject::sockets::listening;

pub(super) const LESSON: Lesson = Lesson {
    topic: "reuseport",
    question: "SO_REUSEPORT: is it fair, and does it lose connections at a restart?",
    prediction: Prediction {
        question: "4 listeners on a port, 200 clients in their queues. One listener is closed.",
        answers: [
            "its clients go to the other three",
            "its clients are reset",
            "its clients wait for ever",
        ],
        right: 1,
    },
    place: Place::Anywhere,
    run,
};

const LISTENERS: usize = 4;
const CLIENTS: usize = 200;

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let mut listeners = vec![listen(any_port())?];
    let address = listeners[0].local_addr()?;
    for _ in 1..LISTENERS {
        listeners.push(listen(address)?);
    }
    narrator.line("servers", format!("{LISTENERS} of them listen on {address}"), "SO_REUSEPORT on");

    let connect = |_| TcpStream::connect(address);
    let clients: Vec<_> = (0..CLIENTS).map(connect).collect::<io::Result<_>>()?;
    narrator.line("clients", format!("{CLIENTS} of them connect"), "succeed; nobody has accepted");
    wait_until(|| queues(&listeners).iter().sum::<usize>() == CLIENTS);
    let queues = queues(&listeners);
    let (all, text) = (queues.iter().sum::<usize>(), format!("{queues:?}"));
    let shared = all == CLIENTS && queues.iter().all(|&queue| queue > 0);
    narrator.check(
        "kernel",
        "clients in the queues of servers 1 to 4",
        text,
        shared,
        "some in each, 200 in all",
    );

    drop(listeners.remove(0));
    let queue = queues[0];
    narrator.line("server 1", "close, as at a restart", format!("with {queue} in its queue"));
    let is_reset =
        |client: &&TcpStream| poll_for(*client, PollFlags::IN, 0).contains(PollFlags::HUP);
    wait_until(|| clients.iter().filter(is_reset).count() >= queue);
    let reset: Vec<_> = clients.iter().filter(is_reset).collect();
    narrator.expect("clients", "reset", queue, reset.len());
    if let Some(client) = reset.first() {
        client.set_read_timeout(Some(PATIENCE))?;
        narrator.expect("client", "one of them: recv", "ECONNRESET", receive(client));
    }

    let (least, most) = (queues.iter().min().unwrap_or(&0), queues.iter().max().unwrap_or(&0));
    narrator.so(&format!(
        "a hash of the client's address and port chooses its queue: shares are equal only on \
         average (here {least} to {most}). Clients that wait in a queue are lost when it is \
         closed: accept all who wait just before close (a few may still slip in), or hand the \
         socket to the new server.",
    ));
    narrator.python(
        "fd = s.fileno(); subprocess.Popen([sys.executable, \"new.py\", str(fd)], pass_fds=[fd])\n\
         in new.py: s = socket(fileno=int(sys.argv[1]))",
    );
    narrator
        .cure("socklab serve --model sharded --shards 4    (it empties its queues when it stops)");
    Ok(())
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    listen_on(address, 1024, |socket| socket.set_reuse_port(true))
}

/// The lengths of the queues of these listeners.
fn queues(listeners: &[TcpListener]) -> Vec<usize> {
    let rows = listening();
    let length = |listener| {
        // Its row is the one with the inode of its descriptor.
        let inode = rustix::fs::fstat(listener).ok().map(|status| status.st_ino);
        let row = rows.iter().find(|row| Some(row.inode) == inode);
        row.map_or(0, |row| row.unread as usize)
    };
    listeners.iter().map(length).collect()
}
