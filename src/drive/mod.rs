//! The two drivers, which move bytes between a connection and a session: one waits in the system
//! call ([`blocking`]), the other never waits ([`ready`]). Each is one match on
//! [`Want`](crate::session::Want). The blocking driver serves a socket ([`timed_socket`]), or the
//! standard input and output of the process ([`stdio`]). Threads that it drives share [`slots`] for
//! heavy work.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use socket2::SockRef;

use crate::error::is_disconnect;
use crate::session::CloseReason;

pub mod blocking;
pub mod explained;
pub mod halt;
pub mod ready;
pub mod slots;
pub mod stdio;
pub mod timed_socket;

/// The close reason of a connection whose socket failed with this error.
pub(crate) fn close_reason_of(error: &io::Error) -> CloseReason {
    if is_disconnect(error) { CloseReason::PeerReset } else { CloseReason::Lost }
}

/// The operations of a connected stream socket that a driver needs.
pub trait Socket: Read + Write {
    /// Closes the sending half. The peer sees the end of input; receiving is still possible.
    fn shut_down_sending(&self) -> io::Result<()>;

    /// Acknowledges what was received without delay. A peer that sends a message in several calls
    /// holds the next piece back until then (Nagle's algorithm, RFC 9293, 3.7.4), and Linux delays
    /// acknowledgements by 40 ms, which is longer than a [gap](crate::session::GAP). The option
    /// does not stay set (`TCP_QUICKACK`, tcp(7)).
    fn acknowledge(&self);

    /// Takes the error that has ended the connection, such as a reset, if it has one (`SO_ERROR`,
    /// socket(7)). The next call would have failed with it.
    fn take_error(&self) -> Option<io::Error>;
}

impl Socket for mio::net::TcpStream {
    fn shut_down_sending(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn acknowledge(&self) {
        // Where it fails, the peer waits a little longer.
        SockRef::from(self).set_tcp_quickack(true).ok();
    }

    fn take_error(&self) -> Option<io::Error> {
        SockRef::from(self).take_error().ok().flatten()
    }
}
