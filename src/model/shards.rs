//! The loops of a server at work: the first in this thread, the others each in one of its own.

use std::io;
use std::thread;

use super::acceptor::Acceptor;
use super::company::{Alarm, Company};
use crate::error::{Exit, Failure};

/// Runs all loops to their end. `listening` is called as soon as every one of them is at work. The
/// failure of one ends them all, and is the server's.
pub(super) fn run(
    mut acceptors: Vec<Acceptor<'_>>,
    company: &Company,
    listening: impl FnOnce(),
) -> Result<(), Failure> {
    connect(&acceptors, company).map_err(|error| Failure::cannot("set up the loops", &error))?;
    let others = acceptors.split_off(1);
    let first = acceptors.pop().expect("a server has at least one loop");
    thread::scope(|scope| {
        let mut threads = Vec::new();
        let mut outcome = Ok(());
        for (n, acceptor) in others.into_iter().enumerate() {
            let named = thread::Builder::new().name(format!("loop {}", n + 2));
            match named.spawn_scoped(scope, || run_one(acceptor, company)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    outcome = Err(Failure::cannot("start a thread for a loop", &error));
                    company.fail();
                    break;
                }
            }
        }
        if outcome.is_ok() {
            listening();
            outcome = run_one(first, company);
        }
        for thread in threads {
            let broken = || Failure::new(Exit::Failed, "a loop ended by a fault of this program");
            outcome = outcome.and(thread.join().unwrap_or_else(|_| Err(broken())));
        }
        outcome
    })
}

fn run_one(mut acceptor: Acceptor<'_>, company: &Company) -> Result<(), Failure> {
    let _alarm = Alarm(company);
    let outcome = acceptor.run();
    if outcome.is_err() {
        company.fail();
    }
    outcome
}

/// Lets the loops wake each other; one that is alone needs no one to wake.
fn connect(acceptors: &[Acceptor<'_>], company: &Company) -> io::Result<()> {
    if acceptors.len() > 1 {
        company.room.set_wakers(acceptors.iter().map(Acceptor::waker).collect::<io::Result<_>>()?);
    }
    Ok(())
}
