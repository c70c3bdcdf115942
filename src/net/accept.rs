//! Errors of accept(2), sorted by what a server does about them.

use std::io;

use rustix::io::Errno;

/// A class of errors of accept(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// No client waits.
    WouldBlock,
    /// This client is gone, or a signal came: the next accept may succeed.
    Transient,
    /// The process (`EMFILE`) or the system (`ENFILE`) has no descriptor left. Linux reports it
    /// even if no client waits.
    FdLimit,
    /// The system has no memory for another socket. The listener stays readable, but
    /// edge-triggered readiness is not reported twice: a timer must try again.
    NoMemory,
    /// The listener itself is broken.
    Fatal,
}
/// The class of an error of accept(2).
pub fn triage(error: &io::Error) -> AcceptError {
    let Some(errno) = Errno::from_io_error(error) else { return AcceptError::Fatal };
    match errno {
        Errno::WOULDBLOCK => AcceptError::WouldBlock,
        // Linux passes errors that are pending on the new socket on to accept (accept(2), "Error
        // handling"): they are to be treated like EAGAIN, by trying again.
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
