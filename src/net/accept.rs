//! The errors of accept(2), classified by a server's reaction.

use std::io;

use rustix::io::Errno;

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
