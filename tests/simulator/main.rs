//! A deterministic simulator: the real loop on a fake kernel, with simulated clients, network and
//! time. The same seed plays the same run, event for event and byte for byte.
//!
//! `SOCKLAB_SEED=17 cargo test --test simulator` plays one run and prints its events;
//! `SOCKLAB_SEEDS=100000 cargo test --release --test simulator` plays 100,000 runs, from seed 0 on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unreachable_pub, reason = "the modules of a test are its own")]

mod bombs;
mod client;
mod connection;
mod conversation;
mod kernel;
mod plan;
mod records;
mod rng;
mod run;
mod world;

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use std::{env, thread};

/// Number of runs without `SOCKLAB_SEEDS`.
const SEEDS: u64 = 2000;

/// The number in an environment variable.
fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

#[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
fn start() -> Instant {
    Instant::now()
}

#[test]
fn every_client_gets_its_replies_whatever_the_kernel_and_the_network_do() {
    if let Some(seed) = number("SOCKLAB_SEED") {
        return run::play(seed, start(), true);
    }
    let count = number("SOCKLAB_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    // The lowest seed that failed.
    let failed = AtomicU64::new(u64::MAX);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count || failed.load(Ordering::Relaxed) < seed {
                        return;
                    }
                    let play = AssertUnwindSafe(|| run::play(seed, start(), false));
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
