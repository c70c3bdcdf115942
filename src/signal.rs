//! Signals: received as a source of a readiness loop, through a descriptor, or as a flag. A signal
//! handler may call few functions (signal-safety(7)), so each of these only notes that the signal
//! has come, and the program acts on it elsewhere.

use std::ffi::c_int;
use std::io::{self, Read};
use std::iter;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::low_level::pipe;
pub use signal_hook_mio::v1_0::Signals;

use crate::error::Failure;

/// The signal for which a server prints its counters.
pub const COUNTERS: c_int = SIGUSR1;

/// Sets the signal mask of the program, before it has threads. Whoever started it may have blocked
/// signals that must be received: a mask survives execve(2). A process of a server does this once
/// it has its handlers.
///
/// Two signals are never delivered, and the call that causes one fails or goes on instead: SIGXFSZ
/// (a file over `ulimit -f`) would end the program, SIGTTOU (`stty tostop`) stop it in the middle
/// of a line of its log. Nor is SIGUSR1, unless the program prints its counters for it: by default
/// `pkill -USR1 socklab`, meant for a server, would end the clients as well.
pub fn set_mask(prints_counters: bool) -> Result<(), Failure> {
    let mut received = SigSet::empty();
    for signal in
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD, Signal::SIGUSR1]
    {
        received.add(signal);
    }
    let mut ignored = SigSet::empty();
    ignored.add(Signal::SIGXFSZ);
    ignored.add(Signal::SIGTTOU);
    if !prints_counters {
        ignored.add(Signal::SIGUSR1);
    }
    let set = received.thread_unblock().and_then(|()| ignored.thread_block());
    set.map_err(|error| cannot_install(error.into()))
}

/// Starts another program, which inherits the signal mask of this thread: an empty one.
pub fn with_empty_mask<T>(start: impl FnOnce() -> T) -> Result<T, Failure> {
    with_mask(&SigSet::empty(), SigmaskHow::SIG_SETMASK, start).map_err(cannot_install)
}

/// The signals for the group of a server's processes that are for the server alone.
const FOR_SERVER: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1];

/// Starts a process of this program, which inherits a mask that blocks the signals that would end
/// it. It calls [`set_mask`] once it has its handlers.
pub fn with_signals_blocked<T>(start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mut ends = SigSet::from_iter(FOR_SERVER);
    ends.add(Signal::SIGHUP);
    with_mask(&ends, SigmaskHow::SIG_BLOCK, start)?
}

/// Discards the signals that a process has received while it was in its server's process group, and
/// has blocked: they were for the server.
pub fn discard_blocked() -> io::Result<()> {
    let pending = SignalFd::with_flags(&SigSet::from_iter(FOR_SERVER), SfdFlags::SFD_NONBLOCK)?;
    while pending.read_signal()?.is_some() {}
    Ok(())
}

fn with_mask<T>(mask: &SigSet, how: SigmaskHow, start: impl FnOnce() -> T) -> io::Result<T> {
    let ours = mask.thread_swap_mask(how)?;
    let started = start();
    ours.thread_set_mask()?;
    Ok(started)
}

/// The signals that ask the program to stop: Ctrl-C, and the default of kill(1).
pub const STOP: [c_int; 2] = [SIGINT, SIGTERM];

/// A source of events that is readable when one of `signals` has come;
/// [`pending`](Signals::pending) returns which.
pub fn source(signals: &[c_int]) -> Result<Signals, Failure> {
    Signals::new(signals).map_err(cannot_install)
}

/// The signals that a server acts on, as a source of events of its loop.
pub struct ServerSignals {
    /// Readable when one has come.
    pub source: Signals,
    /// A byte for each of [`STOP`]. The source does not count, and a second one means more than the
    /// first: the loop may be late, but must not take two for one.
    stops: UnixStream,
    /// Set by the first of [`STOP`], also before a loop handles it.
    pub stop_came: Arc<AtomicBool>,
}

impl ServerSignals {
    /// The signals of a server: [`STOP`], [`COUNTERS`] and SIGCHLD.
    pub fn new() -> Result<Self, Failure> {
        // Registered first, the bytes are there when the source is readable.
        let stops = UnixStream::from(descriptor(&STOP)?);
        stops.set_nonblocking(true).map_err(cannot_install)?;
        let stop_came = Arc::<AtomicBool>::default();
        for signal in STOP {
            flag::register(signal, Arc::clone(&stop_came)).map_err(cannot_install)?;
        }
        let [interrupt, terminate] = STOP;
        let source = source(&[SIGCHLD, interrupt, terminate, COUNTERS])?;
        Ok(Self { source, stops, stop_came })
    }

    /// The signals that have come since the last call: each of [`STOP`], and of the others which.
    pub fn pending(&mut self) -> impl Iterator<Item = c_int> + use<> {
        let others: Vec<_> =
            self.source.pending().filter(|signal| !STOP.contains(signal)).collect();
        let stops = drain(&self.stops);
        others.into_iter().chain(iter::repeat_n(SIGTERM, stops))
    }
}

/// Reads all bytes that a descriptor has now, and returns their number: one that kept some would
/// have no event for more.
fn drain(mut descriptor: &UnixStream) -> usize {
    let mut bytes = 0;
    // An error means that there are none.
    while let Ok(n @ 1..) = descriptor.read(&mut [0; 64]) {
        bytes += n;
    }
    bytes
}

/// A descriptor that is readable from the first of `signals` on, if nobody reads from it.
pub fn descriptor(signals: &[c_int]) -> Result<OwnedFd, Failure> {
    let (reader, writer) = UnixStream::pair().map_err(cannot_install)?;
    for &signal in signals {
        let writer = writer.try_clone().map_err(cannot_install)?;
        pipe::register(signal, writer).map_err(cannot_install)?;
    }
    Ok(reader.into())
}

/// A signal that a loop must notice, whichever thread of the program handles it.
pub struct Notice {
    /// Set before the descriptor is readable.
    came: Arc<AtomicBool>,
    descriptor: UnixStream,
}

impl Notice {
    /// A notice of `signal`, which is an event of `token` in the registry.
    pub fn new(signal: c_int, registry: &Registry, token: Token) -> Result<Self, Failure> {
        let came = flag(signal)?;
        let descriptor = UnixStream::from(descriptor(&[signal])?);
        descriptor.set_nonblocking(true).map_err(cannot_install)?;
        let registered =
            SourceFd(&descriptor.as_raw_fd()).register(registry, token, Interest::READABLE);
        registered.map_err(cannot_install)?;
        Ok(Self { came, descriptor })
    }

    /// True if the signal has come since the last call.
    pub fn take(&self) -> bool {
        let came = self.came.swap(false, Ordering::AcqRel);
        if came {
            drain(&self.descriptor);
        }
        came
    }
}

/// A flag that is set from the first `signal` on. poll(2) is never restarted after a signal
/// (signal(7)), so a loop that waits there and then looks at the flag loses no time.
pub fn flag(signal: c_int) -> Result<Arc<AtomicBool>, Failure> {
    let set = Arc::<AtomicBool>::default();
    flag::register(signal, Arc::clone(&set)).map_err(cannot_install)?;
    Ok(set)
}

/// A flag that is set from the first of [`STOP`] on. The second one ends the program.
pub fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let set = Arc::<AtomicBool>::default();
    for signal in STOP {
        // In this order: the first signal finds the flag unset.
        flag::register_conditional_default(signal, Arc::clone(&set)).map_err(cannot_install)?;
        flag::register(signal, Arc::clone(&set)).map_err(cannot_install)?;
    }
    Ok(set)
}

/// Gives `signals` their default action again, for a program that does not wait for them any more.
pub fn end_on(signals: &[c_int]) -> Result<(), Failure> {
    for &signal in signals {
        let always = Arc::new(AtomicBool::new(true));
        flag::register_conditional_default(signal, always).map_err(cannot_install)?;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that map_err wants")]
fn cannot_install(error: io::Error) -> Failure {
    Failure::cannot("install signal handlers", &error)
}

#[cfg(test)]
mod tests {
    use signal_hook::low_level::raise;

    use super::*;

    #[test]
    fn two_signals_before_the_loop_looks_are_two() {
        let mut signals = ServerSignals::new().unwrap();
        for signal in [SIGTERM, SIGTERM, SIGUSR1, SIGUSR1] {
            raise(signal).unwrap();
        }
        assert_eq!(signals.pending().collect::<Vec<_>>(), [SIGUSR1, SIGTERM, SIGTERM]);
        assert_eq!(signals.pending().count(), 0);
    }
}
