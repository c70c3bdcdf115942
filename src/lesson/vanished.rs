//! `vanished`: a peer without power or cable says nothing, and so does your own kernel.

use std::io;
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

/// The address of the server.
const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 0, 1), 5000);

/// The address of the client's machine, at the other end of the cable.
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

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
    ip(&format!("neigh add {CLIENT} lladdr {HARDWARE} dev cable0 nud permanent"))?;

    let listener = TcpListener::bind(SERVER)?;
    order.send(()).map_err(io::Error::other)?;
    let (server, peer) = listener.accept()?;
    reports.recv().map_err(io::Error::other)?;
    set_tcp_user_timeout(&server, USER_TIMEOUT)?;
    let ends = Ends { client: peer, server: SERVER.into() };
    narrator.line("client", "connect, from another machine (a network)", name(ends.server()));
    narrator.line("server", "set TCP_USER_TIMEOUT of 1.5 s", "");
    order.send(()).map_err(io::Error::other)?;
    reports.recv().map_err(io::Error::other)?;
    narrator.line("client", "its machine loses its power", "no FIN, no RST");
    narrator.expect("server", "recv, without a wait", "EAGAIN", receive_now(&server));
    server.set_read_timeout(Some(Duration::from_millis(300)))?;
    narrator.expect("server", "recv, for 0.3 s", "EAGAIN", receive(&server));
    let state = name(ends.server());
    narrator.expect("kernel", "the state of the server's end", "ESTABLISHED", state);
    narrator.expect("server", "send \"are you there\"", "13", send(&server, b"are you there"));
    let unsent = ends.server().map_or(0, |row| row.unsent);
    narrator.expect("kernel", "of these, not yet acknowledged", 13, unsent);
    narrator.line(
        "kernel",
        "the server's kernel resends them, and checks the limit only when it resends",
        "",
    );
    let begin = now();
    server.set_read_timeout(Some(Duration::from_secs(20)))?;
    let received = receive(&server);
    let seconds = (now() - begin).as_secs_f64();
    narrator.expect("server", format!("recv returns, after {seconds:.1} s"), "ETIMEDOUT", received);
    narrator.line(
        "",
        "on one Ethernet, EHOSTUNREACH may come first: no machine answers for that address",
        "",
    );

    narrator.so(
        "silence raises no event: set a time limit on recv. SO_KEEPALIVE asks a silent peer, \
         by default only after 2 hours. For bytes you send, set TCP_USER_TIMEOUT (in ms) \
         beforehand; without it the kernel keeps trying for about 15 minutes.",
    );
    narrator.python("conn.settimeout(30); conn.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, 30000)");
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
    report.send(()).map_err(io::Error::other)?;
    orders.recv().map_err(io::Error::other)?;
    let _client = TcpStream::connect(SocketAddr::from(SERVER))?;
    report.send(()).map_err(io::Error::other)?;
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
