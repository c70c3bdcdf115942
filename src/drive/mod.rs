//! The two drivers, which move bytes between a connection and a session: one waits in the system
//! call ([`blocking`]), the other never waits ([`ready`]). Each is one match on
//! [`Want`](crate::session::Want). The blocking driver serves a socket, or the standard input and
//! output of the process ([`stdio`]).

use std::io::{self, Read, Write};
use std::net::Shutdown;

use crate::session::CloseReason;

pub mod blocking;
pub mod ready;
pub mod stdio;

/// The close reason of a connection whose socket failed with this error.
fn close_reason_of(error: &io::Error) -> CloseReason {
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => CloseReason::PeerReset,
        _ => CloseReason::Lost,
    }
}

/// The operations of a connected stream socket that a driver needs.
pub trait Socket: Read + Write {
    /// Closes the sending half. The peer sees the end of input; receiving is still possible.
    fn shut_down_sending(&self) -> io::Result<()>;
}

impl Socket for mio::net::TcpStream {
    fn shut_down_sending(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}
