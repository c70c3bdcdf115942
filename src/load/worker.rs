//! One thread of a load: a readiness loop like a server's, with load clients in it.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mio::Waker;
use mio::net::TcpStream;

use super::clock;
use super::conn_stats::ConnStats;
use super::connect;
use super::connector::{Connected, Connector};
use super::load_client::LoadClient;
use super::recorder::{Recorder, lock};
use super::settings::ClientSettings;
use crate::duration::{self, UNLIMITED};
use crate::error::cause_of;
use crate::reactor::{Reactor, Source};
use crate::service::{Event, Framing, Next, Output, Service};
use crate::session::{CloseReason, Context, Limits, Session};

/// The time before a connection that failed, was lost or was not served is made again.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// The time before a request is due from which on the loop does not sleep: the system's wait is
/// good to a millisecond, and a request sent late by that much would be blamed on the server.
const SPIN_BEFORE_DUE: Duration = Duration::from_millis(1);

/// The time for which a load listens after its last reply, for replies without a request. It is
/// not part of the time that the load took. A connection for one request is closed earlier, and
/// shows such a reply only if it comes together with the expected one.
const LISTEN_AFTER_LAST: Duration = Duration::from_millis(50);

/// A connection to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Vacancy {
    at: Instant,
    /// Its index among all connections of the load.
    index: usize,
    /// Requests sent on earlier connections of this index.
    sent: u64,
}

/// A worker's way to its end.
#[derive(Debug)]
enum WorkerPhase {
    /// Requests are sent and replies awaited.
    Running,
    /// The same, but connections could not be made since the last request was sent.
    Failing(Outage),
    /// No request is left to send or in flight. Replies without a request are counted.
    Listening {
        until: Instant,
    },
    Over,
}

/// Connections that could not be made since the last request was sent.
#[derive(Debug)]
struct Outage {
    /// The time at which the first of them failed.
    since: Instant,
    /// The requests sent until then.
    asked: u64,
    /// Their indices.
    failed: BTreeSet<usize>,
}

/// One thread's part of a load.
pub(super) struct Worker {
    reactor: Reactor<Arc<ConnStats>>,
    settings: Arc<ClientSettings>,
    recorder: Arc<Mutex<Recorder>>,
    context: Arc<Context>,
    /// The connects in progress.
    connector: Connector<Vacancy>,
    /// The indices of its connections among all connections of the load.
    indices: Range<usize>,
    /// The connections to make, the next one first.
    vacant: BTreeSet<Vacancy>,
    phase: WorkerPhase,
}

impl Worker {
    /// A worker with no connection yet.
    pub(super) fn new(
        settings: Arc<ClientSettings>,
        recorder: Arc<Mutex<Recorder>>,
        address: SocketAddr,
        indices: Range<usize>,
    ) -> io::Result<Self> {
        // The load has its own time limit for each request.
        let limits = Limits { idle: UNLIMITED, unread: settings.timeout, ..Limits::default() };
        let mut connector = Connector::new(address, settings.timeout)?;
        let reactor = Reactor::new()?;
        reactor.register(&mut connector, Source::Listener)?;
        Ok(Self {
            reactor,
            settings,
            recorder,
            context: Arc::new(limits.into()),
            connector,
            indices,
            vacant: BTreeSet::new(),
            phase: WorkerPhase::Running,
        })
    }

    /// A waker that ends the loop's wait, for a recorder that was changed by another thread.
    pub(super) fn waker(&self) -> io::Result<Waker> {
        self.reactor.waker()
    }

    /// Runs the load to its end. `streams` are the connections that were made before it, one for
    /// each index.
    pub(super) fn run(&mut self, streams: Vec<Option<TcpStream>>) -> io::Result<()> {
        let now = self.reactor.now();
        for (index, stream) in self.indices.clone().zip(streams) {
            if let Some(stream) = stream {
                self.add_connection(stream, index, 0, now)?;
            } else {
                let reconnect = self.settings.reconnect;
                let at = if reconnect { self.due(index, 0, now) } else { now + RETRY_DELAY };
                self.vacant.insert(Vacancy { at, index, sent: 0 });
                lock(&self.recorder).counts.unopened += u64::from(!reconnect);
            }
        }
        while !matches!(self.phase, WorkerPhase::Over) {
            let ready_sources = self.reactor.turn(self.wake_at())?;
            let now = self.reactor.now();
            self.reap(now);
            let connect_deadline = self.connector.deadline();
            if ready_sources.contains(Source::Listener)
                || connect_deadline.is_some_and(|at| at <= now)
            {
                for end in self.connector.finished(now)? {
                    self.connect_ended(end, now)?;
                }
            }
            self.connect_due(now)?;
            self.advance_phase(now);
        }
        self.reactor.cut();
        self.reap(self.reactor.now());
        // These were not made before the load ended.
        lock(&self.recorder).counts.unopened += self.connector.len() as u64;
        Ok(())
    }

    /// The time by which the loop has something to do, whatever happens on its connections.
    fn wake_at(&self) -> Option<Instant> {
        if let WorkerPhase::Listening { until } = self.phase {
            return Some(until);
        }
        let now = self.reactor.now();
        let recorder = lock(&self.recorder);
        let connect_deadline = self.connector.deadline();
        if recorder.is_over(now) {
            let end = recorder.end.map(|end| end.max(now) + self.settings.timeout);
            return [connect_deadline, end].into_iter().flatten().min();
        }
        let due = self.settings.schedule.map(|schedule| schedule.next(now));
        let spin_at = due.map(|due| due.checked_sub(SPIN_BEFORE_DUE).unwrap_or(due));
        let vacancy = self.vacant.first().filter(|_| self.connects_wanted(&recorder) > 0);
        let vacant_at = vacancy.map(|vacancy| vacancy.at);
        [spin_at, vacant_at, connect_deadline, recorder.end].into_iter().flatten().min()
    }

    fn advance_phase(&mut self, now: Instant) {
        let mut recorder = lock(&self.recorder);
        if recorder.budget.left().is_some() && self.is_failing(&recorder, now) {
            let timeout = duration::format(self.settings.timeout);
            log::warn!("no connection could be made for {timeout}: the load ends early");
            recorder.stop_at(now);
        }
        let timed_out = recorder.end.is_some_and(|end| now >= end + self.settings.timeout);
        let listened = matches!(self.phase, WorkerPhase::Listening { until } if now >= until);
        if recorder.abandoned || timed_out || listened {
            self.phase = WorkerPhase::Over;
        } else if recorder.is_finished(now)
            && self.connector.len() == 0
            && !matches!(self.phase, WorkerPhase::Listening { .. })
        {
            self.phase = WorkerPhase::Listening { until: now + LISTEN_AFTER_LAST };
        }
    }

    /// True if no connection of this worker could be made for the time limit of a reply. A load
    /// with a number of requests would otherwise never end.
    fn is_failing(&self, recorder: &Recorder, now: Instant) -> bool {
        let WorkerPhase::Failing(outage) = &self.phase else { return false };
        !recorder.is_over(now)
            && outage.failed.len() == self.indices.len()
            && outage.asked == recorder.counts.asked
            && now >= outage.since + self.settings.timeout
    }

    /// Notes that the connection `index` could not be made.
    fn connect_failed(&mut self, index: usize, now: Instant) {
        let asked = lock(&self.recorder).counts.asked;
        match &mut self.phase {
            WorkerPhase::Failing(outage) if outage.asked == asked => {
                outage.failed.insert(index);
            }
            WorkerPhase::Running | WorkerPhase::Failing(_) => {
                let failed = BTreeSet::from([index]);
                self.phase = WorkerPhase::Failing(Outage { since: now, asked, failed });
            }
            WorkerPhase::Listening { .. } | WorkerPhase::Over => {}
        }
    }

    /// Records the connections that have closed, and plans those that replace them.
    fn reap(&mut self, now: Instant) {
        let closed: Vec<_> = self.reactor.take_closed().collect();
        for (stats, reason, _) in closed {
            self.record_close(&stats, reason);
            let sent = stats.sent_before + stats.sent();
            let served = reason == CloseReason::Served && stats.has_received() && !stats.is_busy();
            let at = if served && self.settings.reconnect {
                self.due(stats.index, sent, now)
            } else {
                now + RETRY_DELAY
            };
            self.vacant.insert(Vacancy { at, index: stats.index, sent });
        }
    }

    /// Records the end of a connection. [`counts`](super::counts) has the order of the cases.
    fn record_close(&self, stats: &ConnStats, reason: CloseReason) {
        let mut recorder = lock(&self.recorder);
        recorder.open -= 1;
        let counts = &mut recorder.counts;
        let closed_by_us = matches!(reason, CloseReason::Served | CloseReason::Forced);
        if stats.is_busy() {
            counts.busy += 1;
        } else if !closed_by_us {
            counts.lost += 1;
            recorder.add_example(|| format!("connection {}: {reason}", stats.index));
        } else if stats.sent() == 0 {
            counts.unused += 1;
        } else if !stats.has_received() {
            counts.unserved += 1;
        } else {
            counts.served += 1;
        }
        recorder.check();
    }

    /// The time at which a connection has its next request to send: now, in a closed loop.
    fn due(&self, index: usize, sent: u64, now: Instant) -> Instant {
        self.settings.schedule.map_or(now, |schedule| schedule.due(index, sent))
    }

    /// The number of connects that may be started. A connection for one request is made only if
    /// there is a request for it.
    fn connects_wanted(&self, recorder: &Recorder) -> usize {
        match recorder.budget.left() {
            Some(left) if self.settings.reconnect => {
                usize::try_from(left).unwrap_or(usize::MAX).saturating_sub(self.connector.len())
            }
            _ => usize::MAX,
        }
    }

    /// Starts the connects whose time has come, as long as there are requests to send.
    fn connect_due(&mut self, now: Instant) -> io::Result<()> {
        let wanted = {
            let recorder = lock(&self.recorder);
            if recorder.is_over(now) { 0 } else { self.connects_wanted(&recorder) }
        };
        for _ in 0..wanted {
            let Some(&vacancy) = self.vacant.first().filter(|vacancy| vacancy.at <= now) else {
                break;
            };
            self.vacant.pop_first();
            if let Some(end) = self.connector.start(vacancy, clock()) {
                self.connect_ended(end, now)?;
            }
        }
        Ok(())
    }

    fn connect_ended(&mut self, end: Connected<Vacancy>, now: Instant) -> io::Result<()> {
        let Connected { data: Vacancy { index, sent, .. }, started_at, result } = end;
        match result {
            Ok(stream) => self.add_connection(stream, index, sent, started_at),
            Err(error) => {
                {
                    let mut recorder = lock(&self.recorder);
                    recorder.counts.unopened += 1;
                    recorder.add_example(|| format!("cannot connect: {}", cause_of(&error)));
                }
                self.connect_failed(index, now);
                self.vacant.insert(Vacancy { at: now + RETRY_DELAY, index, sent });
                Ok(())
            }
        }
    }

    fn add_connection(
        &mut self,
        stream: TcpStream,
        index: usize,
        sent_before: u64,
        connect_at: Instant,
    ) -> io::Result<()> {
        let in_flight = self.settings.pipeline * self.settings.workload.longest_request();
        connect::set_up(&stream, in_flight)?;
        let stats = Arc::new(ConnStats::new(index, sent_before));
        let (settings, recorder) = (Arc::clone(&self.settings), Arc::clone(&self.recorder));
        let client = LoadClient::new(settings, recorder, Arc::clone(&stats), connect_at);
        let context = Arc::clone(&self.context);
        let service = Box::new(OnRealClock(client));
        let session = Session::new(service, context, index as u64, self.reactor.now());
        self.reactor.add(stream, session, stats).map_err(|(_, error)| error)?;
        lock(&self.recorder).record_open();
        Ok(())
    }
}

/// A load client that is told the time of each step instead of the time of the loop's turn. A turn
/// that serves many connections takes longer than a fast server's reply.
struct OnRealClock(LoadClient);

impl Service for OnRealClock {
    fn framing(&self) -> Framing {
        self.0.framing()
    }

    fn step(&mut self, event: Event<'_>, turn_at: Instant, out: &mut Output<'_>) -> Next {
        let now = clock();
        match self.0.step(event, now, out) {
            // The loop would wait for a time that has come since its turn began.
            Next::ReadUntil(at) if at <= now => Next::ReadUntil(turn_at),
            next => next,
        }
    }
}
