//! One thread of a load: a readiness loop like a server's, with load clients in it.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mio::Waker;
use mio::net::TcpStream;
use socket2::SockAddr;

use super::busy::BusyTime;
use super::clock;
use super::conn_stats::ConnStats;
use super::connect;
use super::connector::{Connected, Connector};
use super::ending::Ending;
use super::load_client::LoadClient;
use super::recorder::{Recorder, lock};
use super::settings::ClientSettings;
use crate::duration::UNLIMITED;
use crate::error::cause_of;
use crate::reactor::{Reactor, Source};
use crate::service::{Event, Framing, Next, Output, Service};
use crate::session::{CloseReason, Context, Limits, Session, Side};

/// The time before a connection that failed, was lost or was not served is made again.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// The time before a request is due from which on the loop does not sleep: the system's wait is
/// good to a millisecond, and a request sent late by that much would be blamed on the server.
const SPIN_BEFORE_DUE: Duration = Duration::from_millis(1);

/// A connection to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Vacancy {
    at: Instant,
    /// Its index among all connections of the load.
    index: usize,
    /// Requests sent on earlier connections of this index.
    sent: u64,
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
    ending: Ending,
}

impl Worker {
    /// A worker with no connection yet.
    pub(super) fn new(
        settings: Arc<ClientSettings>,
        recorder: Arc<Mutex<Recorder>>,
        address: SockAddr,
        indices: Range<usize>,
    ) -> io::Result<Self> {
        // The load has its own time limit for each request.
        let limits = Limits { idle: UNLIMITED, unread: settings.timeout, ..Limits::default() };
        let mut connector = Connector::new(address, settings.timeout)?;
        let reactor = Reactor::new()?;
        reactor.register(&mut connector, Source::Listener)?;
        let ending = Ending::new(Arc::clone(&settings), indices.clone(), reactor.now());
        Ok(Self {
            reactor,
            settings,
            recorder,
            context: Arc::new(Context { side: Side::Client, ..limits.into() }),
            connector,
            indices,
            vacant: BTreeSet::new(),
            ending,
        })
    }

    /// A waker that ends the loop's wait, for a recorder that was changed by another thread.
    pub(super) fn waker(&self) -> io::Result<Waker> {
        self.reactor.waker()
    }

    /// Runs the load to its end. `streams` are the connections that were made before it, one for
    /// each index. Returns the part of the time that the thread was busy.
    pub(super) fn run(&mut self, streams: Vec<Option<TcpStream>>) -> io::Result<f64> {
        let now = self.reactor.now();
        let mut busy = BusyTime::new(now);
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
        while !self.ending.is_over() {
            let wake_at = self.wake_at();
            let sleeps = wake_at.is_none_or(|at| at > self.reactor.now());
            let ready_sources = self.reactor.turn(wake_at)?;
            let now = self.reactor.now();
            self.reap(now);
            let deadline = self.connector.deadline();
            if ready_sources.contains(Source::Listener) || deadline.is_some_and(|at| at <= now) {
                for end in self.connector.finished(now)? {
                    self.connect_ended(end, now)?;
                }
            }
            self.connect_due(now)?;
            let connecting = self.connector.len() > 0;
            let mut recorder = lock(&self.recorder);
            self.ending.turn_ended(&mut recorder, connecting, now);
            busy.turn_ended(sleeps, recorder.sent() + recorder.counts.answered, now);
            if recorder.is_over(now) {
                // The rest of the time the load only waits.
                busy.part(now);
            }
        }
        self.reactor.cut();
        self.reap(self.reactor.now());
        // These were not made before the load ended.
        lock(&self.recorder).counts.unopened += self.connector.len() as u64;
        Ok(busy.part(self.reactor.now()))
    }

    /// The time by which the loop has something to do, whatever happens on its connections.
    fn wake_at(&self) -> Option<Instant> {
        let now = self.reactor.now();
        let recorder = lock(&self.recorder);
        let ending_at = self.ending.wake_at(&recorder, now);
        let connect_deadline = self.connector.deadline();
        if recorder.is_over(now) {
            return [ending_at, connect_deadline].into_iter().flatten().min();
        }
        let due = self.settings.schedule.map(|schedule| schedule.next(now));
        let spin_at = due.map(|due| due.checked_sub(SPIN_BEFORE_DUE).unwrap_or(due));
        let vacancy = self.vacant.first().filter(|_| self.connects_wanted(&recorder) > 0);
        let vacant_at = vacancy.map(|vacancy| vacancy.at);
        [ending_at, connect_deadline, spin_at, vacant_at].into_iter().flatten().min()
    }

    /// Records the connections that have closed, and plans those that replace them.
    fn reap(&mut self, now: Instant) {
        let closed: Vec<_> = self.reactor.take_closed().collect();
        for (stats, reason, _) in closed {
            self.record_close(&stats, reason);
            let sent = stats.sent_before + stats.sent();
            let done = reason == CloseReason::Served || self.ends_with_reply(&stats, reason);
            let served = done && stats.has_received() && !stats.is_busy();
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
        let closed_by_us = matches!(reason, CloseReason::Served | CloseReason::Forced)
            || self.ends_with_reply(stats, reason);
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

    /// True if the server has closed a connection behind the reply to its only request.
    fn ends_with_reply(&self, stats: &ConnStats, reason: CloseReason) -> bool {
        self.settings.reconnect && stats.has_received() && reason == CloseReason::PeerClosed
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
            Ok(stream) => {
                self.ending.connected();
                self.add_connection(stream, index, sent, started_at)
            }
            Err(error) => {
                {
                    let mut recorder = lock(&self.recorder);
                    recorder.counts.unopened += 1;
                    recorder.add_example(|| format!("cannot connect: {}", cause_of(&error)));
                    self.ending.connect_failed(index, &mut recorder, now);
                }
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
        connect::set_up(&stream, self.connector.address(), in_flight)?;
        let stats = Arc::new(ConnStats::new(index, sent_before));
        let (settings, recorder) = (Arc::clone(&self.settings), Arc::clone(&self.recorder));
        let client =
            LoadClient::new(settings, Arc::clone(&recorder), Arc::clone(&stats), connect_at);
        let context = Arc::clone(&self.context);
        let service = Box::new(OnRealClock { client, recorder });
        let session = Session::new(service, context, index as u64, self.reactor.now());
        self.reactor.add(stream, session, stats).map_err(|(_, error)| error)?;
        lock(&self.recorder).record_open();
        Ok(())
    }
}

/// A load client that is told the time of each step beside the time of the loop's turn. A turn that
/// serves many connections takes longer than a fast server's reply.
struct OnRealClock {
    client: LoadClient,
    /// The client's own, locked here for the whole of a step.
    recorder: Arc<Mutex<Recorder>>,
}

impl Service for OnRealClock {
    fn framing(&self) -> Framing {
        self.client.framing()
    }

    fn step(&mut self, event: Event<'_>, turn_at: Instant, out: &mut Output<'_>) -> Next {
        let now = clock();
        let mut recorder = lock(&self.recorder);
        match self.client.step_at(event, turn_at, now, &mut recorder, out) {
            // The loop would wait for a time that has come since its turn began.
            Next::ReadUntil(at) if at <= now => Next::ReadUntil(turn_at),
            next => next,
        }
    }
}
