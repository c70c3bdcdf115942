//! Waiting in a lesson: for a condition, and for a thread that is in a system call.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::getpid;
use rustix::thread::gettid;

use crate::subject::processes::{Call, ProcessState};

/// The longest wait for what must come.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The longest time of a lesson. On a kernel that does otherwise, a call may never return.
const LIMIT: Duration = Duration::from_secs(60);

/// The parts in which this time is counted.
const TICKS: u32 = 120;

/// The time between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(1);

/// Waits until the condition holds. Returns false if it did not in all the time.
pub(super) fn wait_until(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = now() + PATIENCE;
    while !holds() {
        if now() > deadline {
            return false;
        }
        thread::park_timeout(PAUSE);
    }
    true
}

/// The time: durations are the subject of some lessons.
#[expect(clippy::disallowed_methods, reason = "a lesson is an edge")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Calls `late` after [`LIMIT`], unless the program ends before.
pub(super) fn limit_time(late: impl FnOnce() + Send + 'static) -> io::Result<()> {
    start(move || {
        // A halt of the program is one tick.
        for _ in 0..TICKS {
            thread::park_timeout(LIMIT / TICKS);
        }
        late();
    })?;
    Ok(())
}

/// Starts a thread.
pub(super) fn start<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().spawn(run)
}

/// The kernel's number of this thread.
pub(super) fn this_thread() -> i32 {
    gettid().as_raw_nonzero().get()
}

/// The system call that a thread of this process waits in; empty while it runs.
pub(super) fn call_of(thread: i32) -> &'static str {
    let threads = ProcessState::read(getpid()).map(|process| process.threads);
    let state = threads.into_iter().flatten().find(|state| state.tid == thread);
    match state.map(|state| state.call) {
        Some(Call::Waiting { name, .. }) => name,
        _ => "",
    }
}
