//! `time-wait`: `SO_REUSEADDR` in both servers, the old and the new, or a minute without a port.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::ends::Ends;
use super::sockets::{any_port, listen_on, outcome};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "time-wait",
    question: "Address already in use, though I set SO_REUSEADDR?",
    prediction: Prediction {
        question: "A server closes first and ends. Who must have set SO_REUSEADDR to restart it?",
        answers: ["the old server and the new", "the new server", "nobody: the port is free"],
        right: 0,
    },
    place: Place::Anywhere,
    run,
};

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let (address, ends) = serve_one(false, true)?;
    narrator.line("server", format!("listen {address}"), "SO_REUSEADDR off");
    narrator.line("client", "connect; the server closes first, then the client", "");
    narrator.states(&ends, "gone", "TIME-WAIT");
    narrator.line("server", "ends; a new server on the same port:", "");
    narrator.expect("", "  SO_REUSEADDR off", "EADDRINUSE", bind(address, false));
    let call = "  on: in vain, the old server had it off";
    narrator.expect("", call, "EADDRINUSE", bind(address, true));

    let (address, ends) = serve_one(true, true)?;
    narrator.line("server", format!("the same on {address}"), "SO_REUSEADDR on");
    narrator.states(&ends, "gone", "TIME-WAIT");
    narrator.expect("", "  new server: SO_REUSEADDR off", "EADDRINUSE", bind(address, false));
    narrator.expect("", "  new server: on, as in the old", "succeeds", bind(address, true));

    let (address, ends) = serve_one(false, false)?;
    narrator.line("server", format!("again on {address}"), "SO_REUSEADDR off");
    narrator.line("client", "connect; this time the client closes first", "");
    narrator.states(&ends, "TIME-WAIT", "gone");
    narrator.expect("", "  new server: SO_REUSEADDR off", "succeeds", bind(address, false));

    narrator.so(
        "set it in every server, from its very first start: only in the new server it comes \
         too late. The side that closes first is in TIME-WAIT. After 60 s the port is free. \
         Or does the old server still run? Then see ss -ltnp, and show reuseaddr.",
    );
    narrator.python("s.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1), before s.bind((host, port))");
    narrator.cure("socklab grade --only restart -- python3 server.py {port}");
    Ok(())
}

/// A server that serves one client and ends. Returns its address and the ends of the connection.
fn serve_one(reuse: bool, server_closes_first: bool) -> io::Result<(SocketAddr, Ends)> {
    let listener = listen(any_port(), reuse)?;
    let address = listener.local_addr()?;
    let client = TcpStream::connect(address)?;
    let ends = Ends::of(&client)?;
    let (server, _) = listener.accept()?;
    let (first, second) = if server_closes_first { (server, client) } else { (client, server) };
    drop(first);
    // The second end has seen the FIN of the first.
    if server_closes_first {
        ends.reach("CLOSE-WAIT", "FIN-WAIT-2");
    } else {
        ends.reach("FIN-WAIT-2", "CLOSE-WAIT");
    }
    drop(second);
    Ok((address, ends))
}

fn listen(address: SocketAddr, reuse: bool) -> io::Result<TcpListener> {
    listen_on(address, 5, |socket| socket.set_reuse_address(reuse))
}

fn bind(address: SocketAddr, reuse: bool) -> String {
    outcome(&listen(address, reuse), "succeeds")
}
