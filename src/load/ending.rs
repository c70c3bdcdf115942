//! The end of a thread's part of a load.
//!
//! | it ends | |
//! | --- | --- |
//! | when every request was sent and settled | after a time of listening for lines without a request |
//! | a timeout after the load's end | |
//! | when nothing was answered for three timeouts | only if the load is a number of requests |
//! | when no connection could be made for one timeout | the same |
//! | at the second signal | |
//!
//! An arrival comes before a deadline. A process that was stopped (SIGSTOP) finds all its
//! deadlines passed when it goes on, and the replies in its sockets. So a deadline takes effect
//! only after a further turn of the loop, in which no request was settled.

use std::collections::BTreeSet;
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::recorder::Recorder;
use super::settings::ClientSettings;
use crate::duration;

/// The time for which a load listens after its last reply, for replies without a request. It is
/// not part of the time that the load took.
const LISTEN_AFTER_LAST: Duration = Duration::from_millis(50);

/// The timeouts without a reply after which a load of a number of requests ends. It would otherwise
/// last as long as all its timeouts together.
const SILENT_TIMEOUTS: u32 = 3;

/// The least time that counts for one of them: more than the delay before a connection is made
/// again, which is not the server's silence.
const MIN_SILENT_TIMEOUT: Duration = Duration::from_millis(200);

/// A thread's way to its end.
#[derive(Debug)]
pub(super) struct Ending {
    settings: Arc<ClientSettings>,
    /// The indices of the thread's connections among all connections of the load.
    indices: Range<usize>,
    phase: Phase,
    /// The time of the last turn.
    turn_at: Instant,
    /// The time since the last reply, or since the start. A turn that took longer than a timeout
    /// counts as one: the process may have been stopped.
    silent_for: Duration,
    /// Connections that could not be made since one was made.
    outage: Option<Outage>,
    deadline: Deadline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Requests are sent and replies awaited.
    Running,
    /// No request is left to send or in flight. Replies without a request are counted.
    Listening {
        until: Instant,
    },
    Over,
}

#[derive(Debug)]
struct Outage {
    /// The time at which the first connect failed.
    since: Instant,
    /// The indices of the connections.
    failed: BTreeSet<usize>,
}

/// A deadline that has passed in the last turn, with the number of requests that were in flight.
#[derive(Debug, Default)]
struct Deadline(Option<u64>);

impl Deadline {
    /// True if the deadline had passed before this turn began, and the turn settled no request.
    fn takes_effect(&mut self, passed: bool, in_flight: u64) -> bool {
        let before = mem::replace(&mut self.0, passed.then_some(in_flight));
        passed && before == Some(in_flight)
    }
}

impl Ending {
    pub(super) fn new(
        settings: Arc<ClientSettings>,
        indices: Range<usize>,
        started_at: Instant,
    ) -> Self {
        Self {
            settings,
            indices,
            phase: Phase::Running,
            turn_at: started_at,
            silent_for: Duration::ZERO,
            outage: None,
            deadline: Deadline::default(),
        }
    }

    /// True if the thread's part of the load has ended.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// The time by which a turn must end for the deadlines here.
    pub(super) fn wake_at(&self, recorder: &Recorder, now: Instant) -> Option<Instant> {
        if self.deadline.0.is_some() {
            // The further turn waits for nothing.
            return Some(now);
        }
        match self.phase {
            Phase::Listening { until } => Some(until),
            _ if recorder.is_over(now) => recorder.end.map(|end| end + self.settings.timeout),
            _ if recorder.budget.left().is_some() => {
                let left = self.patience().saturating_sub(self.silent_for);
                let silent_at = now + left.clamp(Duration::from_millis(1), self.silent_timeout());
                Some(recorder.end.map_or(silent_at, |end| end.min(silent_at)))
            }
            _ => recorder.end,
        }
    }

    /// Notes that the connection `index` could not be made, and ends a load of a number of requests
    /// if none was made for as long as a reply is awaited.
    pub(super) fn connect_failed(&mut self, index: usize, recorder: &mut Recorder, now: Instant) {
        let outage = Outage { since: now, failed: BTreeSet::new() };
        let outage = self.outage.get_or_insert(outage);
        outage.failed.insert(index);
        let timeout = self.settings.timeout;
        let failing = outage.failed.len() == self.indices.len() && now >= outage.since + timeout;
        if failing && recorder.budget.left().is_some() && !recorder.is_over(now) {
            let timeout = duration::format(timeout);
            log::warn!("no connection could be made for {timeout}: the load ends early");
            recorder.stop_at(now);
        }
    }

    /// Notes that a connection was made.
    pub(super) fn connected(&mut self) {
        self.outage = None;
    }

    /// Looks at the deadlines at the end of a turn. `connecting` is true while a connect is in
    /// progress.
    pub(super) fn turn_ended(&mut self, recorder: &mut Recorder, connecting: bool, now: Instant) {
        let turn = now.saturating_duration_since(self.turn_at).min(self.silent_timeout());
        self.turn_at = now;
        self.silent_for += turn;
        if mem::take(&mut recorder.answered) {
            self.silent_for = Duration::ZERO;
        }
        let over = recorder.is_over(now);
        if recorder.abandoned {
            self.phase = Phase::Over;
        } else if over && recorder.in_flight == 0 && !connecting && self.phase == Phase::Running {
            self.phase = Phase::Listening { until: now + LISTEN_AFTER_LAST };
        }
        let passed = match self.phase {
            Phase::Over => return,
            Phase::Listening { until } => now >= until,
            Phase::Running if over => {
                recorder.end.is_some_and(|end| now >= end + self.settings.timeout)
            }
            Phase::Running => self.is_silent(recorder, now),
        };
        if !self.deadline.takes_effect(passed, recorder.in_flight) {
            return;
        }
        self.phase = Phase::Over;
        if !over {
            let patience = duration::format(self.patience());
            log::warn!("nothing was answered for {patience}: the load ends early");
            recorder.stop_at(now);
            recorder.abandoned = true;
        }
    }

    /// True if a load of a number of requests waits for a server that does not answer.
    fn is_silent(&self, recorder: &Recorder, now: Instant) -> bool {
        if recorder.budget.left().is_none() || self.silent_for < self.patience() {
            return false;
        }
        let Some(schedule) = self.settings.schedule else { return true };
        // Nothing is answered either while no request is due. In a silence of the server requests
        // are lost, or those that were due when it began could not be sent.
        let began_at = now.checked_sub(self.patience()).unwrap_or(now);
        let due: u64 = self.indices.clone().map(|index| schedule.due_by(index, began_at)).sum();
        recorder.lost_in_a_row >= u64::from(SILENT_TIMEOUTS) || due > recorder.sent()
    }

    fn silent_timeout(&self) -> Duration {
        self.settings.timeout.max(MIN_SILENT_TIMEOUT)
    }

    /// The longest time without a reply.
    fn patience(&self) -> Duration {
        self.silent_timeout() * SILENT_TIMEOUTS
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::load::budget::Budget;
    use crate::load::intervals::Intervals;
    use crate::load::schedule::Schedule;
    use crate::load::workload::Workload;

    const TIMEOUT: Duration = Duration::from_secs(5);

    /// A thread with two connections in virtual time.
    struct Thread {
        ending: Ending,
        recorder: Recorder,
        now: Instant,
    }

    impl Thread {
        /// A load of `requests`, or of a second.
        fn new(requests: Option<u64>, rate: Option<u64>) -> Self {
            #[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
            let now = Instant::now();
            let settings = ClientSettings {
                workload: Arc::new(Workload::echo(16, 1)),
                pipeline: 1,
                schedule: rate.map(|rate| Schedule::new(now, rate, 2)),
                reconnect: false,
                timeout: TIMEOUT,
                hint: OnceLock::new(),
            };
            let end = requests.is_none().then_some(now + Duration::from_secs(1));
            let intervals = Intervals::new(now, HOUR);
            let recorder = Recorder::new(Arc::new(Budget::new(requests)), end, intervals);
            Self { ending: Ending::new(Arc::new(settings), 0..2, now), recorder, now }
        }

        /// A turn that ends after `time`. Returns whether the load is over.
        fn turn(&mut self, time: Duration) -> bool {
            self.now += time;
            self.ending.turn_ended(&mut self.recorder, false, self.now);
            self.ending.is_over()
        }

        fn send(&mut self, n: u64) {
            assert_eq!(self.recorder.take_requests(n, self.now), n);
        }

        fn receive(&mut self, n: u64) {
            self.recorder.in_flight -= n;
            self.recorder.record_answer();
        }
    }

    const NOW: Duration = Duration::ZERO;
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn after_the_last_reply_the_load_listens_and_ends() {
        let mut thread = Thread::new(Some(1), None);
        thread.send(1);
        assert!(!thread.turn(NOW));
        thread.receive(1);
        assert!(!thread.turn(NOW));
        let listened = thread.ending.wake_at(&thread.recorder, thread.now);
        assert_eq!(listened, Some(thread.now + LISTEN_AFTER_LAST));
        assert!(!thread.turn(LISTEN_AFTER_LAST));
        assert_eq!(thread.ending.wake_at(&thread.recorder, thread.now), Some(thread.now));
        assert!(thread.turn(NOW));
        assert!(!thread.recorder.abandoned);
    }

    #[test]
    fn a_load_that_was_stopped_past_its_end_receives_what_has_arrived() {
        let mut thread = Thread::new(None, None);
        thread.send(3);
        assert!(!thread.turn(HOUR));
        thread.receive(2);
        assert!(!thread.turn(NOW), "the turn has settled requests");
        assert!(thread.turn(NOW));
        assert_eq!((thread.recorder.in_flight, thread.recorder.abandoned), (1, false));
    }

    #[test]
    fn a_load_of_a_number_of_requests_ends_after_three_timeouts_without_a_reply() {
        let mut thread = Thread::new(Some(1000), None);
        thread.send(2);
        for _ in 0..2 {
            assert!(!thread.turn(TIMEOUT));
        }
        // A reply, right or wrong, ends the silence.
        thread.receive(1);
        for _ in 0..3 {
            assert!(!thread.turn(TIMEOUT));
        }
        assert!(!thread.turn(TIMEOUT), "a further turn may find a reply");
        assert!(thread.turn(NOW));
        assert!(thread.recorder.abandoned);
    }

    #[test]
    fn the_time_in_which_the_process_was_stopped_is_no_silence() {
        let mut thread = Thread::new(Some(1000), None);
        thread.send(2);
        for _ in 0..2 {
            assert!(!thread.turn(HOUR), "no more than a timeout each");
        }
        assert!(!thread.turn(TIMEOUT));
        thread.receive(1);
        assert!(!thread.turn(NOW), "a reply lay in its socket");
        assert!(!thread.turn(TIMEOUT));
    }

    #[test]
    fn a_load_of_a_given_time_lasts_however_silent_the_server_is() {
        let mut thread = Thread::new(None, None);
        thread.recorder.end = Some(thread.now + HOUR);
        for n in 1..=100 {
            assert!(!thread.turn(TIMEOUT));
            assert_eq!(thread.ending.silent_for, n * TIMEOUT);
        }
    }

    /// Every request that is due was sent and answered, so nothing is left to answer.
    #[test]
    fn an_open_loop_without_a_due_request_is_not_silent() {
        let mut thread = Thread::new(Some(1000), Some(1));
        thread.send(1);
        thread.receive(1);
        thread.recorder.counts.asked = 1_000_000;
        for _ in 0..100 {
            assert!(!thread.turn(TIMEOUT));
        }
        // Three requests in a row were not answered.
        thread.recorder.lost_in_a_row = 3;
        assert!(!thread.turn(NOW));
        assert!(thread.turn(NOW));
    }

    #[test]
    fn an_open_loop_that_the_server_holds_up_is_silent() {
        let mut thread = Thread::new(Some(1000), Some(10));
        thread.send(2);
        for _ in 0..3 {
            assert!(!thread.turn(TIMEOUT));
        }
        // By now 11 requests are due that were sent before the silence if the server had answered.
        assert!(!thread.turn(Duration::from_secs(1)));
        assert!(thread.turn(NOW));
    }

    #[test]
    fn a_load_ends_when_no_connection_can_be_made_for_a_timeout() {
        let mut thread = Thread::new(Some(1000), None);
        let fail = |thread: &mut Thread, index, time| {
            thread.now += time;
            thread.ending.connect_failed(index, &mut thread.recorder, thread.now);
            thread.recorder.is_over(thread.now)
        };
        assert!(!fail(&mut thread, 0, NOW));
        assert!(!fail(&mut thread, 0, TIMEOUT), "the other connection may be there");
        thread.ending.connected();
        assert!(!fail(&mut thread, 1, NOW));
        assert!(!fail(&mut thread, 0, TIMEOUT / 2));
        assert!(fail(&mut thread, 1, TIMEOUT / 2));
    }
}
