//! The two ways to move bytes between a connection and a session: wait in the system call
//! ([`blocking`]), or only do what can be done at once ([`ready`]). Both are one match on
//! [`Want`](crate::session::Want). The first serves a socket, or whatever a process was started
//! with ([`stdio`]).

use std::io::{self, Read, Write};
use std::net::Shutdown;

use crate::session::CloseReason;

pub mod blocking;
pub mod ready;
pub mod stdio;

/// What it means for a connection that its socket failed.
fn close_reason_of(error: &io::Error) -> CloseReason {
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => CloseReason::PeerReset,
        _ => CloseReason::Lost,
    }
}

/// A connected stream socket, as far as a driver needs one.
pub trait Socket: Read + Write {
    /// Closes the sending half: the peer sees the end of input, and we can still receive.
    fn shut_down_sending(&self) -> io::Result<()>;
}

impl Socket for mio::net::TcpStream {
    fn shut_down_sending(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}
