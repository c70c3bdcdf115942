//! `self-connect`: a client can be connected to itself, where no server runs.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use super::sockets::{outcome, receive, send};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "self-connect",
    question: "Connected, but no server runs?",
    prediction: Prediction {
        question: "Nobody listens on a port of the ephemeral range. A client connects to it often.",
        answers: ["once it succeeds", "always ECONNREFUSED", "it waits"],
        right: 0,
    },
    place: Place::OwnNetwork,
    run,
};

/// The port that nobody listens on.
const PORT: u16 = 40004;

/// More tries than are needed to draw one port out of ten.
const TRIES: usize = 10_000;

fn run(narrator: &mut Narrator) -> io::Result<()> {
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40009")?;
    narrator.line("kernel", "ports for clients: 40000 to 40009", "(as sysctl ip_local_port_range)");

    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    let mut tries = 0;
    let client = loop {
        tries += 1;
        match TcpStream::connect(address) {
            Ok(client) => break client,
            Err(error) if tries == TRIES => return Err(error),
            refused => {
                if tries == 1 {
                    narrator.line("client", "connect to 40004", outcome(&refused, "succeeds"));
                }
            }
        }
    };
    narrator.line("client", format!("connect to 40004, try {tries}"), "succeeds");
    narrator.expect("client", "getpeername", address, client.peer_addr()?);
    narrator.expect("client", "getsockname: the same", address, client.local_addr()?);
    narrator.expect("client", "send \"hello?\"", "6", send(&client, b"hello?"));
    narrator.expect("client", "recv: its own words", "\"hello?\"", receive(&client));
    let server = TcpListener::bind(address);
    let bound = outcome(&server, "succeeds");
    narrator.expect("server", "starts now: bind to 40004", "EADDRINUSE", bound);

    narrator.so(
        "a client's SYN from the port that it is for meets itself (simultaneous open, RFC 9293).",
        "Never wait for a server by connecting in a loop; give servers ports below the range.",
    );
    narrator.cure("socklab with 'CMD {port}' -- COMMAND    (waits for a listener, never connects)");
    Ok(())
}
