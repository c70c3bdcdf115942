//! The waits of the loop, and its clock.

use std::io;
use std::time::{Duration, Instant};

use mio::Token;

use super::{Kernel, Reactor, Source};
use crate::drive::halt;

impl<T, K: Kernel> Reactor<T, K> {
    /// Waits for events, then reads the clock. The clock is also read before a wait that may take
    /// time, so that a halt in the turn and one in the wait can be told apart.
    pub(super) fn wait(&mut self, wake_at: Option<Instant>) -> io::Result<()> {
        // These are the events of the last wait.
        let events = self.kernel.events().count();
        let mut longest = halt::longest_run(events, std::mem::take(&mut self.work));
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
        // A signal that the program receives has an event, and the time until then was a wait.
        let stopped = interrupted && !self.signal_came();
        // mutant: wait-through-an-interrupt
        self.read_clock(longest.saturating_add(halt::longest_wait(timeout, stopped)));
        waited
    }

    /// True if the last wait reported a signal.
    fn signal_came(&self) -> bool {
        self.kernel.events().any(|event| event.token == Source::Signals.token())
    }

    /// Reads the clock. If far more than `longest` has passed since the last time, the process was
    /// halted, and all deadlines move by that.
    fn read_clock(&mut self, longest: Duration) {
        let now = self.kernel.now();
        let halt = halt::time_halted(now.saturating_duration_since(self.now), longest);
        self.now = now;
        if !halt.is_zero() {
            for session in self.connections.iter_mut().filter_map(|(_, it)| it.session.as_mut()) {
                session.delay(halt); // mutant: keep-a-halt
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::drive::ready::Readiness;
    use crate::reactor::{Event, Mio, SystemKernel};
    use crate::service::{Peer, ServiceKind, ServiceSpec};
    use crate::session::{Limits, Session};

    const TIMEOUT: Duration = Duration::from_secs(300);

    /// A kernel with a clock that only its waits and runs advance.
    struct Script {
        now: RefCell<Instant>,
        /// For each wait: the time that it takes, and its outcome.
        waits: VecDeque<(Duration, Outcome)>,
        events: Vec<Event>,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Outcome {
        Events(usize),
        Signal,
        Interrupted,
    }

    impl Kernel for Script {
        type Socket = mio::net::TcpStream;

        fn register(&mut self, _: &mut Self::Socket, _: Token) -> io::Result<()> {
            Ok(())
        }

        fn wait(&mut self, _: Option<Duration>) -> io::Result<()> {
            self.events.clear();
            let (time, outcome) = self.waits.pop_front().unwrap();
            *self.now.get_mut() += time;
            let (token, count) = match outcome {
                Outcome::Interrupted => return Err(io::ErrorKind::Interrupted.into()),
                Outcome::Signal => (Source::Signals.token(), 1),
                Outcome::Events(count) => (Token(0), count),
            };
            self.events = vec![Event { token, ready: Readiness::default() }; count];
            Ok(())
        }

        fn events(&self) -> impl Iterator<Item = Event> {
            self.events.iter().copied()
        }

        fn now(&self) -> Instant {
            *self.now.borrow()
        }
    }

    /// The time by which the deadline of an idle connection moves in a wait, after a run of this
    /// length with these events.
    fn moved(run: Duration, events: usize, waits: &[(Duration, Outcome)]) -> Duration {
        let now = Mio::new().unwrap().now();
        let script = Script {
            now: RefCell::new(now),
            waits: [(Duration::ZERO, Outcome::Events(events))].into(),
            events: Vec::new(),
        };
        let mut reactor = Reactor::with(script);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nonblocking(true).unwrap();
        let service = ServiceSpec::from(ServiceKind::Echo).build(Peer { number: 1, address: None });
        let limits = Limits { idle: 2 * TIMEOUT, ..Limits::default() };
        let session = Session::new(service, std::sync::Arc::new(limits.into()), 1, now);
        let added = reactor.add(mio::net::TcpStream::from_std(client), session, ());
        added.map_err(|((), error)| error).unwrap();
        reactor.turn(None).unwrap();
        reactor.work = 0;
        let before = reactor.connections[0].session().deadline().unwrap();
        *reactor.kernel.now.get_mut() += run;
        reactor.kernel.waits.extend(waits);
        let wake_at = reactor.now() + run + TIMEOUT;
        reactor.wait(Some(wake_at)).unwrap();
        reactor.connections[0].session().deadline().unwrap() - before
    }

    #[test]
    fn a_busy_turn_is_no_halt_and_a_halt_is() {
        let ms = Duration::from_millis;
        let wait = [(ms(0), Outcome::Events(0))];
        assert_eq!(moved(ms(20), 0, &wait), ms(0), "a busy turn");
        assert_eq!(moved(ms(140), 1000, &wait), ms(0), "a turn with many events");
        assert_eq!(moved(ms(500), 0, &wait), ms(450), "a halt in a turn");
        assert_eq!(moved(ms(0), 0, &[(TIMEOUT + ms(500), Outcome::Events(0))]), ms(450));
    }

    #[test]
    fn a_wait_that_a_signal_of_the_program_interrupts_is_no_halt() {
        let ms = Duration::from_millis;
        let interrupted = |time| (time, Outcome::Interrupted);
        let signal = (ms(0), Outcome::Signal);
        let nothing = (ms(0), Outcome::Events(0));
        assert_eq!(moved(ms(0), 0, &[interrupted(ms(5000)), signal]), ms(0), "a signal");
        assert_eq!(moved(ms(0), 0, &[interrupted(ms(5000)), nothing]), ms(4950), "a halt");
        let late = [interrupted(TIMEOUT + ms(500)), signal];
        assert_eq!(moved(ms(0), 0, &late), ms(450), "a halt, and a signal meanwhile");
    }
}
