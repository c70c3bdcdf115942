//! What an error of accept(2) means for the server: three kinds, three fates.

use std::io;

use rustix::io::Errno;

/// Whose failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// Nobody is waiting.
    WouldBlock,
    /// This peer's, or a signal's: the next one may do.
    Transient,
    /// The process, or the machine, has no descriptor left. Linux says so also when nobody waits.
    FdLimit,
    /// The machine has run out of something: nobody can be accepted for a while. The descriptor
    /// stays ready, but edge-triggered readiness is not told twice; so it takes a timer to try
    /// again.
    NoMemory,
    /// Ours: the listener itself is broken.
    Fatal,
}

/// Sorts an error of accept.
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
