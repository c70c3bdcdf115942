//! Clients that are not served: the text for each reason, and a close that waits for nobody.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::SockRef;

use crate::net::accept::Admission;
use crate::net::limiter::Rejection;
use crate::service::Busy;

/// The most bytes received from a client that is shed.
const SHED_INPUT: u64 = 4096;

/// The words for what follows an accept.
pub(super) fn fate(admission: &Admission) -> &'static str {
    match admission {
        Admission::Serve(_) => "",
        Admission::ReplyBusy(..) => "; there is no place for it: it is told so",
        Admission::Shed(_) => "; there is no place for it: it is told so, and closed",
        Admission::Reset(_) => "; there is no place for it: its close is a reset (RST)",
    }
}

/// The service of a client that is rejected.
pub(super) fn service(rejection: Rejection) -> Busy {
    match rejection {
        Rejection::Full => Busy::full(),
        Rejection::SourceLimit => Busy::source_limit(),
    }
}

/// Tells a client why it is not served without waiting for it; the connection can then be closed.
/// Its input is received first: unread, it would turn our close into a reset, which destroys the
/// text.
pub(super) fn shed(mut socket: &TcpStream, rejection: Rejection) {
    // Whatever fails here, the connection is closed.
    socket.write_all(service(rejection).text().as_bytes()).ok();
    socket.shutdown(Shutdown::Write).ok();
    io::copy(&mut Read::take(socket, SHED_INPUT), &mut io::sink()).ok();
}

/// Makes the close of a connection a reset.
pub(super) fn reset_on_close(socket: &TcpStream) {
    // A connection that has ended already needs no reset.
    SockRef::from(socket).set_linger(Some(Duration::ZERO)).ok();
}
