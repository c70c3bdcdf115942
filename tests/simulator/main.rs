//! The whole loop on a fake kernel, with the network, the clients and the time in the hands of a
//! seed: the same seed plays the same run, event for event and byte for byte.
//!
//! `SOCKLAB_SEED=17 cargo test --test simulator` plays one run and tells what happens in it;
//! `SOCKLAB_SEEDS=100000 cargo test --release --test simulator` plays so many, from 0 on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unreachable_pub, reason = "the modules of a test are its own")]

mod dice;
mod kernel;
mod plan;
mod run;
mod wire;
mod world;

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use std::{env, thread};

/// How many runs there are, if nothing else is said.
const SEEDS: u64 = 2000;

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

#[expect(clippy::disallowed_methods, reason = "any instant will do to begin with")]
fn begun() -> Instant {
    Instant::now()
}

#[test]
fn every_client_gets_its_replies_whatever_the_kernel_and_the_network_do() {
    if let Some(seed) = number("SOCKLAB_SEED") {
        return run::play(seed, begun(), true);
    }
    let count = number("SOCKLAB_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    // The first that failed, if one has.
    let failed = AtomicU64::new(u64::MAX);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count || failed.load(Ordering::Relaxed) < seed {
                        return;
                    }
                    let play = AssertUnwindSafe(|| run::play(seed, begun(), false));
                    if panic::catch_unwind(play).is_err() {
                        failed.fetch_min(seed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    assert!(
        failed == u64::MAX,
        "the run of seed {failed} failed; SOCKLAB_SEED={failed} cargo test --test simulator"
    );
}
