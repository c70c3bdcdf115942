//! `self-connect`: a client can be connected to itself, where no server runs.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Socket, Type};

use super::ends::{Ends, name};
use super::sockets::{outcome, receive, send};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "self-connect",
    question: "Connected, but no server is running?",
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

/// The ports that clients may get, from the first to the last.
const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// More tries than are needed to draw one port out of ten.
const TRIES: usize = 10_000;

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let usual = fs::read_to_string(RANGE)?.trim().replace('\t', " to ");
    narrator.line("kernel", "a client without bind gets a random port of", usual);
    fs::write(RANGE, "40000 40009")?;
    narrator.line("kernel", "in this lesson, to wait less, a port of", "40000 to 40009");

    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    let other = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    other.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, PORT + 1)).into())?;
    let refused = outcome(&other.connect(&address.into()), "succeeds");
    narrator.expect(
        "client",
        "bind to 40005, connect to 40004: no server",
        "ECONNREFUSED",
        refused,
    );
    drop(other);

    let mut tries = 1;
    let client = loop {
        match TcpStream::connect(address) {
            Ok(client) => break client,
            Err(error) if tries == TRIES => return Err(error),
            Err(_) => tries += 1,
        }
    };
    narrator.line(
        "client",
        "no bind, connect to 40004 again and again",
        format!("succeeds, try {tries}"),
    );
    narrator.expect("client", "getpeername: the port it wanted", address, client.peer_addr()?);
    narrator.expect(
        "client",
        "getsockname: the port it got, by chance",
        address,
        client.local_addr()?,
    );
    let state = name(Ends::of(&client)?.client());
    narrator.expect("kernel", "its SYN went to 40004: to itself; its state", "ESTABLISHED", state);
    narrator.expect("client", "send \"hello?\"", "6", send(&client, b"hello?"));
    narrator.expect("client", "recv: its own words", "\"hello?\"", receive(&client));
    let server = TcpListener::bind(address);
    let bound = outcome(&server, "succeeds");
    narrator.expect("server", "starts now: bind to 40004", "EADDRINUSE", bound);

    narrator.so(
        "a client that gets the very port it connects to connects to itself: TCP allows two \
         clients to call each other (simultaneous open). Give servers ports below that range, \
         such as 5000.",
    );
    narrator.python("if s.getsockname() == s.getpeername(): s.close()    and try again later");
    narrator.cure("socklab with 'CMD {port}' -- COMMAND    (waits for a listener, never connects)");
    Ok(())
}
