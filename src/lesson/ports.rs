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

fn run(narrator: &mut Narrator) -> io::Result<()> {
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40009")?;
    narrator.line("kernel", "ports for clients: 40000 to 40009", "(as sysctl ip_local_port_range)");
    let first = SocketAddr::from((Ipv4Addr::LOCALHOST, 5000));
    let second = SocketAddr::from((Ipv4Addr::LOCALHOST, 5001));
    let listener = listen_on(first, 100, |_| Ok(()))?;
    let _other = listen_on(second, 100, |_| Ok(()))?;
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
    drop(elsewhere);

    for client in clients {
        let ends = Ends::of(&client)?;
        drop(client);
        ends.reach("FIN-WAIT-2", "CLOSE-WAIT");
        drop(listener.accept()?);
        ends.reach("TIME-WAIT", "gone");
    }
    narrator.line("clients", "all close, and first; the server closes, too", "");
    let kept = in_time_wait().iter().filter(|row| row.remote == first).count();
    narrator.expect("kernel", "their ports in TIME-WAIT, for 60 s", 10, kept);

    narrator.so(
        "a connection is two addresses and two ports. With three of them fixed, about 28,000 are",
        "left for a machine, each taken for a minute more after its close. Keep connections.",
    );
    narrator.cure("socklab bench HOST PORT --reconnect    (a new connection for each request)");
    Ok(())
}
