//! The wakers of a server's loops: one thread's change of shared state ends the waits of all loops.

use std::sync::OnceLock;

use mio::Waker;

use crate::error::cause_of;

/// The wakers of all loops of one server. Empty in a server with one loop, whose own thread makes
/// every change.
#[derive(Debug, Default)]
pub struct Wakers(OnceLock<Vec<Waker>>);

impl Wakers {
    /// Sets the wakers. Called at most once, before the loops run.
    pub fn set(&self, wakers: Vec<Waker>) {
        self.0.set(wakers).expect("the wakers are set once");
    }

    /// Ends the current or the next wait of every loop.
    pub fn wake_all(&self) {
        for waker in self.0.get().into_iter().flatten() {
            if let Err(error) = waker.wake() {
                log::error!("cannot wake a loop: {}", cause_of(&error));
            }
        }
    }
}
