//! An accepted connection with the decision about its client, and the errors of accept(2),
//! classified by a server's reaction.

use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;

use super::limiter::{Permit, Rejection};

/// The decision about a client that was accepted.
#[derive(Debug)]
pub enum Admission {
    /// It is served.
    Serve(Permit),
    /// It is told why it is not served, at its own pace.
    ReplyBusy(Permit, Rejection),
    /// It is told so without waiting, and closed: its descriptor is needed.
    Shed(Rejection),
    /// It is reset.
    Reset(Rejection),
}

/// A connection that was accepted.
#[derive(Debug)]
pub struct Accepted<S> {
    /// Its socket.
    pub socket: S,
    /// The peer's address. It comes from accept(2): a peer that has reset the connection since has
    /// no address any more.
    pub address: SocketAddr,
    /// The decision about it.
    pub admission: Admission,
}

/// A class of errors of accept(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// The accept queue is empty.
    WouldBlock,
    /// The client has closed its connection, or a signal interrupted the call: the next accept may
    /// succeed.
    Transient,
    /// The process (`EMFILE`) or the system (`ENFILE`) has no descriptor left. Linux reports this
    /// even if the accept queue is empty.
    FdLimit,
    /// The system has no memory for another socket. The listener stays readable, but
    /// edge-triggered readiness is not reported twice, so a timer must retry.
    NoMemory,
    /// The listener itself is broken.
    Fatal,
}

/// The class of an error of accept(2).
pub fn triage(error: &io::Error) -> AcceptError {
    let Some(errno) = Errno::from_io_error(error) else { return AcceptError::Fatal };
    match errno {
        Errno::WOULDBLOCK => AcceptError::WouldBlock,
        // Linux returns errors that are pending on the new socket from accept, and a server should
        // retry as after EAGAIN (accept(2), "Error handling").
        Errno::INTR
        | Errno::CONNABORTED
        | Errno::PROTO
        | Errno::PERM
        | Errno::NETDOWN
        | Errno::NOPROTOOPT
        | Errno::HOSTDOWN
        | Errno::NONET
        | Errno::HOSTUNREACH
        | Errno::OPNOTSUPP
        | Errno::NETUNREACH
        | Errno::TIMEDOUT => AcceptError::Transient,
        Errno::MFILE | Errno::NFILE => AcceptError::FdLimit,
        Errno::NOBUFS | Errno::NOMEM => AcceptError::NoMemory,
        _ => AcceptError::Fatal,
    }
}
