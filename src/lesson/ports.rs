//! `ports`: a client needs a port of its own for each connection to one address.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use super::ends::Ends;
use super::sockets::{listen_on, outcome};
use super::{Lesson, Narrator, Place, Prediction};
use crate::subject::sockets::in_time_wait;

pub(super) const LESSON: Lesson = Lesson {
    topic: "ports",
    question: "Cannot assign requested address: what has run out?",
    prediction: Prediction {
        question: "10 ports for clients. 10 connections to one server are open. The next connect:",
        answers: ["EADDRINUSE", "EADDRNOTAVAIL", "works: a server has one port for all"],
        right: 1,
    },
    place: Place::OwnNetwork,
    run,
};

/// The ports that clients may get, from the first to the last.
const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let usual = fs::read_to_string(RANGE)?.trim().replace('\t', " to ");
    narrator.line("kernel", "a client without bind gets a port of", usual);
    fs::write(RANGE, "40000 40009")?;
    narrator.line("kernel", "in this lesson, to have few, a port of", "40000 to 40009");
    let first = SocketAddr::from((Ipv4Addr::LOCALHOST, 5000));
    let second = SocketAddr::from((Ipv4Addr::LOCALHOST, 5001));
    let listener = listen_on(first, 100, |_| Ok(()))?;
    let other = listen_on(second, 100, |_| Ok(()))?;
    narrator.line("server", "listen 127.0.0.1:5000 and :5001", "LISTEN");

    let mut clients = Vec::new();
    let error = loop {
        match TcpStream::connect(first) {
            Ok(client) if clients.len() < 100 => clients.push(client),
            other => break outcome(&other, "succeeds"),
        }
    };
    narrator.expect("clients", "connections to :5000 that succeed", 10, clients.len());
    narrator.expect("client", "the next connect to :5000", "EADDRNOTAVAIL", error);
    let elsewhere = TcpStream::connect(second);
    let seen = outcome(&elsewhere, "succeeds");
    narrator.expect("client", "connect to :5001: another server", "succeeds", seen);

    for client in clients {
        let ends = Ends::of(&client)?;
        drop(client);
        ends.reach("FIN-WAIT-2", "CLOSE-WAIT");
        drop(listener.accept()?);
        ends.reach("TIME-WAIT", "gone");
    }
    narrator.line("clients", "all close first, then the server", "");
    let kept = in_time_wait().iter().filter(|row| row.remote == first).count();
    narrator.expect("kernel", "the clients' ends in TIME-WAIT, for 60 s", 10, kept);

    let mut clients = vec![elsewhere?];
    while clients.len() < 10 {
        clients.push(TcpStream::connect(second)?);
    }
    for client in clients {
        let ends = Ends::of(&client)?;
        drop(other.accept()?);
        ends.reach("CLOSE-WAIT", "FIN-WAIT-2");
        drop(client);
        ends.reach("gone", "TIME-WAIT");
    }
    narrator.line("clients", "10 connections to :5001; there the server closes first", "");
    let seen = outcome(&TcpStream::connect(second), "succeeds");
    narrator.expect("client", "the next connect to :5001: ports are free", "succeeds", seen);

    narrator.so(
        "to one server only the port of the client can differ: about 28,000 connections with \
         the usual range. If the client closes first, its port is taken for a minute more; if \
         the server does, it is free at once. Reuse connections.",
    );
    narrator
        .python("keep s and send the next request on it, instead of s.close() and a new connect");
    narrator.cure("socklab bench HOST PORT --reconnect    (a new connection for each request)");
    Ok(())
}
