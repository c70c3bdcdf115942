//! The threads of a server's loops: the first loop runs in the calling thread, each other loop in a
//! thread of its own.

use std::io;
use std::thread;

use super::event_loop::EventLoop;
use super::shared::Shared;
use super::shutdown::PanicGuard;
use crate::error::{Exit, Failure};
use crate::explain;
use crate::reactor::SystemKernel;

/// Runs all loops to their end. `listening` is called as soon as all of them run. A loop that fails
/// ends the others, and its failure is the server's.
pub(super) fn run<K: SystemKernel>(
    mut loops: Vec<EventLoop<'_, K>>,
    shared: &Shared,
    listening: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    if loops.len() > 1 {
        let wakers = loops.iter().map(EventLoop::waker).collect::<io::Result<_>>();
        shared.wakers.set(wakers.map_err(|error| Failure::cannot("set up the loops", &error))?);
    }
    let others = loops.split_off(1);
    let first = loops.pop().expect("a server has at least one loop");
    thread::scope(|scope| {
        let mut threads = Vec::new();
        let mut outcome = Ok(());
        for (n, event_loop) in others.into_iter().enumerate() {
            let named = thread::Builder::new().name(format!("loop {}", n + 2));
            let run = move || {
                explain::number_loop(n + 2);
                run_one(event_loop, shared)
            };
            match named.spawn_scoped(scope, run) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    outcome = Err(Failure::cannot("start a thread for a loop", &error));
                    shared.shutdown.fail();
                    break;
                }
            }
        }
        if !threads.is_empty() {
            explain::number_loop(1);
        }
        if outcome.is_ok() {
            outcome = match listening() {
                Ok(()) => run_one(first, shared),
                Err(failure) => {
                    shared.shutdown.fail();
                    Err(failure)
                }
            };
        }
        for thread in threads {
            let panicked = || Failure::new(Exit::Failed, "a loop ended by an internal error");
            outcome = outcome.and(thread.join().unwrap_or_else(|_| Err(panicked())));
        }
        outcome
    })
}

fn run_one<K: SystemKernel>(
    mut event_loop: EventLoop<'_, K>,
    shared: &Shared,
) -> Result<(), Failure> {
    let _guard = PanicGuard(&shared.shutdown);
    event_loop.run().inspect_err(|_| shared.shutdown.fail())
}
