//! `vanished`: a peer without power or cable says nothing, and so does your own kernel.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use rustix::net::sockopt::set_tcp_user_timeout;
use rustix::process::getpid;

use super::ends::{Ends, name};
use super::sockets::{receive, receive_now, send};
use super::threads::{now, start};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "vanished",
    question: "How do I notice that a client is dead?",
    prediction: Prediction {
        question: "A client's machine loses its power. Its server, in recv without a limit, hears:",
        answers: ["end of input", "ECONNRESET", "nothing, ever"],
        right: 2,
    },
    place: Place::OwnNetwork,
    run,
};

/// The limit on the time of unacknowledged bytes, in milliseconds.
const USER_TIMEOUT: u32 = 1500;

/// The address of the other machine, at the other end of the cable.
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// Its hardware address.
const HARDWARE: &str = "02:00:00:00:00:02";

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let (report, reports) = channel();
    let (order, orders) = channel();
    start(move || other_machine(&report, &orders))?;
    reports.recv().map_err(io::Error::other)?;
    ip("addr add 10.0.0.1/24 dev cable0")?;
    ip("link set cable0 up")?;
    // Known for ever: a question for its hardware address, unanswered, would be an error.
    ip(&format!("neigh add {OTHER} lladdr {HARDWARE} dev cable0 nud permanent"))?;

    let mut here = TcpStream::connect(SocketAddr::from((OTHER, 5000)))?;
    here.read_exact(&mut [0; 5])?;
    set_tcp_user_timeout(&here, USER_TIMEOUT)?;
    let ends = Ends::of(&here)?;
    narrator.line("here", "connect to 10.0.0.2, another network", name(ends.client()));
    narrator.line("here", "TCP_USER_TIMEOUT of 1.5 s", "");
    order.send(()).map_err(io::Error::other)?;
    reports.recv().map_err(io::Error::other)?;
    narrator.line("there", "its power goes", "no FIN, no RST");
    narrator.expect("here", "recv: nothing has come", "EAGAIN", receive_now(&here));
    here.set_read_timeout(Some(Duration::from_millis(300)))?;
    narrator.expect("here", "recv, for 0.3 s", "EAGAIN", receive(&here));
    let state = name(ends.client());
    narrator.expect("kernel", "the state of this end", "ESTABLISHED", state);
    narrator.expect("here", "send \"are you there\"", "13", send(&here, b"are you there"));
    let unsent = ends.client().map_or(0, |row| row.unsent);
    narrator.expect("kernel", "of these, not acknowledged", 13, unsent);
    let begin = now();
    here.set_read_timeout(Some(Duration::from_secs(20)))?;
    let received = receive(&here);
    let seconds = (now() - begin).as_secs_f64();
    narrator.expect("here", format!("recv, after {seconds:.1} s"), "ETIMEDOUT", received);
    narrator.line("", "on one Ethernet, EHOSTUNREACH may come first (no ARP reply)", "");

    narrator.so(
        "silence is no event: limit it yourself (idle limit, heartbeat, SO_KEEPALIVE). Who has",
        "sent may also set TCP_USER_TIMEOUT; without it a send gives up after about 15 minutes.",
    );
    narrator.cure("socklab serve --idle-timeout 30s --unread-timeout 10s");
    Ok(())
}

/// The other machine: a thread with a network of its own, which vanishes when told to.
fn other_machine(report: &Sender<()>, orders: &Receiver<()>) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let main_thread = getpid();
    ip(&format!(
        "link add cable1 address {HARDWARE} type veth peer name cable0 netns {main_thread}"
    ))?;
    ip("addr add 10.0.0.2/24 dev cable1")?;
    ip("link set cable1 up")?;
    let listener = TcpListener::bind((OTHER, 5000))?;
    report.send(()).map_err(io::Error::other)?;
    let (mut peer, _) = listener.accept()?;
    peer.write_all(b"hello")?;
    orders.recv().map_err(io::Error::other)?;
    // Packets for an address that nobody has are dropped without a word.
    ip("addr del 10.0.0.2/24 dev cable1")?;
    report.send(()).map_err(io::Error::other)?;
    // The network lives until the end of the lesson.
    let _ = orders.recv();
    Ok(())
}

fn ip(arguments: &str) -> io::Result<()> {
    let status = Command::new("ip").args(arguments.split(' ')).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("ip {arguments}: {status}")))
    }
}
