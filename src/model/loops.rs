//! The loops of a server at work: the first in this thread, the others each in one of its own.

use std::io;
use std::thread;

use super::event_loop::EventLoop;
use super::shutdown::{LoopGroup, PanicGuard};
use crate::error::{Exit, Failure};

/// Runs all loops to their end. `listening` is called as soon as every one of them is at work. The
/// failure of one ends them all, and is the server's.
pub(super) fn run(
    mut loops: Vec<EventLoop<'_>>,
    group: &LoopGroup,
    listening: impl FnOnce(),
) -> Result<(), Failure> {
    connect(&loops, group).map_err(|error| Failure::cannot("set up the loops", &error))?;
    let others = loops.split_off(1);
    let first = loops.pop().expect("a server has at least one loop");
    thread::scope(|scope| {
        let mut threads = Vec::new();
        let mut outcome = Ok(());
        for (n, acceptor) in others.into_iter().enumerate() {
            let named = thread::Builder::new().name(format!("loop {}", n + 2));
            match named.spawn_scoped(scope, || run_one(acceptor, group)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    outcome = Err(Failure::cannot("start a thread for a loop", &error));
                    group.fail();
                    break;
                }
            }
        }
        if outcome.is_ok() {
            listening();
            outcome = run_one(first, group);
        }
        for thread in threads {
            let broken = || Failure::new(Exit::Failed, "a loop ended by a fault of this program");
            outcome = outcome.and(thread.join().unwrap_or_else(|_| Err(broken())));
        }
        outcome
    })
}

fn run_one(mut acceptor: EventLoop<'_>, group: &LoopGroup) -> Result<(), Failure> {
    let _guard = PanicGuard(group);
    let outcome = acceptor.run();
    if outcome.is_err() {
        group.fail();
    }
    outcome
}

/// Lets the loops wake each other; one that is alone needs no one to wake.
fn connect(loops: &[EventLoop<'_>], group: &LoopGroup) -> io::Result<()> {
    if loops.len() > 1 {
        group.room.set_wakers(loops.iter().map(EventLoop::waker).collect::<io::Result<_>>()?);
    }
    Ok(())
}
