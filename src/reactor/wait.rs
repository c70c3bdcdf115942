//! The waits of the loop, and its clock.

use std::io;
use std::time::{Duration, Instant};

use mio::Token;

use super::{Kernel, Reactor};
use crate::drive::halt;

impl<T, K: Kernel> Reactor<T, K> {
    /// Waits for events, then reads the clock. The clock is also read before a wait that may take
    /// time, so that a halt in the turn and one in the wait can be told apart.
    pub(super) fn wait(&mut self, wake_at: Option<Instant>) -> io::Result<()> {
        let mut longest = halt::longest_run(std::mem::take(&mut self.work));
        // mutant: sleep-with-work
        let timeout = if self.has_work() {
            Some(Duration::ZERO)
        } else {
            self.read_clock(longest); // mutant: count-a-halt-within-a-turn
            // mutant: sleep-past-timers
            let wake_at = wake_at.into_iter().chain(self.timers.next()).min();
            longest = Duration::ZERO;
            wake_at.map(|at| at.saturating_duration_since(self.now))
        };
        let connections = self
            .connections
            .iter()
            .map(|(key, connection)| (Token(key), &connection.socket, connection.ready));
        let mut waited = self.kernel.wait_for(timeout, connections.clone());
        let mut interrupted = false;
        // An interrupted wait is not an empty one: after a halt (SIGSTOP) there may be events. They
        // are asked for before any timer fires.
        // mutant: fail-an-interrupted-wait
        while waited.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
            interrupted = true;
            waited = self.kernel.wait_for(Some(Duration::ZERO), connections.clone());
        }
        // mutant: wait-through-an-interrupt
        self.read_clock(longest.saturating_add(halt::longest_wait(timeout, interrupted)));
        waited
    }

    /// Reads the clock. If more than `longest` has passed since the last time, the process was
    /// halted, and all deadlines move by that.
    fn read_clock(&mut self, longest: Duration) {
        let now = self.kernel.now();
        let halt = halt::length(now.saturating_duration_since(self.now), longest);
        self.now = now;
        if !halt.is_zero() {
            for (_, connection) in &mut self.connections {
                connection.session.delay(halt); // mutant: keep-a-halt
            }
        }
    }
}
