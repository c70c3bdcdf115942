//! The load generator: the threads of a load, and the main thread, which waits for them. It
//! collects the intervals, shows the progress on a terminal, and stops the load after a signal.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{io, panic};

use mio::Waker;
use mio::net::TcpStream;

use super::budget::Budget;
use super::clock;
use super::config::{Length, Pattern};
use super::connect::{self, ServerAddress};
use super::hdr_log::HdrLog;
use super::intervals::Intervals;
use super::progress::Progress;
use super::recorder::{Recorder, lock};
use super::schedule::Schedule;
use super::series::Series;
use super::settings::ClientSettings;
use super::worker::Worker;
use super::workload::Workload;
use crate::error::{Failure, cause_of};
use crate::net::address::cannot_connect;
use crate::reactor::{Reactor, Source};
use crate::signal::{self, Signals};

/// The shortest interval of the series, and the longest.
pub(super) const MIN_INTERVAL: Duration = Duration::from_millis(100);
const MAX_INTERVAL: Duration = Duration::from_secs(1);

/// The number of intervals of a load with a time limit, if their length allows it.
const INTERVALS: u32 = 100;

/// The times of a load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// The time before the load in which requests are sent and not counted.
    pub(super) warm_up: Duration,
    pub(super) length: Length,
    /// Requests due per second; none for a closed loop.
    pub(super) rate: Option<u64>,
    /// The length of its intervals.
    pub(super) interval: Duration,
}

/// The end of a load.
pub(super) struct Finished {
    /// The time from which on no request was sent.
    pub(super) end: Instant,
    /// The duration of the load: until then, or until the last reply if that came later.
    pub(super) elapsed: Duration,
    /// A signal has ended it.
    pub(super) interrupted: bool,
    /// The time of the last right reply.
    pub(super) last_reply: Option<Duration>,
    /// The time from which on no request was sent, if the load was given up.
    pub(super) stopped: Duration,
    /// The part of the time that the busiest thread was busy.
    pub(super) busy: f64,
}

/// The threads of a load, as the main thread sees them.
pub(super) struct Generator {
    reactor: Reactor<()>,
    signals: Signals,
    /// The waker of this reactor, used by a thread that ends. It is kept here as well: if the last
    /// thread dropped it, its wake-up would be lost.
    waker: Arc<Waker>,
    threads: Vec<JoinHandle<io::Result<f64>>>,
    /// For each thread, the waker of its loop.
    wakers: Vec<Waker>,
    /// For each thread, its recorder.
    pub(super) recorders: Vec<Arc<Mutex<Recorder>>>,
    /// The number of threads that have not ended.
    running: Arc<AtomicUsize>,
    pub(super) settings: Arc<ClientSettings>,
    /// The number of requests, if it is limited.
    pub(super) requests: Option<u64>,
    pub(super) intervals: Intervals,
    /// The time from which on no request is sent, if there is one.
    end: Option<Instant>,
    /// A signal has ended the load.
    pub(super) interrupted: bool,
}

impl Generator {
    /// Makes the connections, and starts the threads with them.
    pub(super) fn start(
        pattern: &Pattern,
        timing: Timing,
        workload: Arc<Workload>,
        address: &ServerAddress,
    ) -> Result<Self, Failure> {
        let cannot = |error: io::Error| cannot_set_up(&error);
        let reactor = Reactor::new().map_err(cannot)?;
        let mut signals = signal::source(&signal::STOP)?;
        reactor.register(&mut signals, Source::Signals).map_err(cannot)?;
        let waker = Arc::new(reactor.waker().map_err(cannot)?);
        let mut streams = if pattern.reconnect {
            (0..pattern.connections).map(|_| None).collect()
        } else {
            first_connections(address, pattern)?
        };
        let threads = pattern.used_threads();
        let warm_up_at = clock();
        let start = warm_up_at + timing.warm_up;
        let (requests, end) = match timing.length {
            Length::Time(time) => (None, Some(start + time)),
            Length::Requests(n) => (Some(n), None),
        };
        let intervals = Intervals::new(start, timing.interval);
        let schedule = timing.rate;
        let schedule = schedule.map(|rate| Schedule::new(warm_up_at, rate, pattern.connections));
        let settings = Arc::new(ClientSettings {
            workload,
            pipeline: pattern.pipeline,
            schedule,
            reconnect: pattern.reconnect,
            timeout: pattern.timeout,
            hint: OnceLock::new(),
        });
        let mut generator = Self {
            reactor,
            signals,
            waker,
            threads: Vec::new(),
            wakers: Vec::new(),
            recorders: Vec::new(),
            running: Arc::new(AtomicUsize::new(threads)),
            settings: Arc::clone(&settings),
            requests,
            intervals,
            end,
            interrupted: false,
        };
        let budget = Arc::new(Budget::new(requests));
        let mut first = 0;
        for n in 0..threads {
            let count = share(pattern.connections, threads, n);
            let recorder = Recorder::new(Arc::clone(&budget), end, intervals);
            let warms_up = !timing.warm_up.is_zero();
            let recorder = if warms_up { recorder.with_warm_up() } else { recorder };
            let recorder = Arc::new(Mutex::new(recorder));
            generator.recorders.push(Arc::clone(&recorder));
            let indices = first..first + count;
            first += count;
            let worker = Worker::new(Arc::clone(&settings), recorder, address.0.clone(), indices);
            let streams = streams.drain(..count).collect();
            worker.and_then(|worker| generator.spawn(worker, streams)).map_err(cannot)?;
        }
        Ok(generator)
    }

    fn spawn(&mut self, mut worker: Worker, streams: Vec<Option<TcpStream>>) -> io::Result<()> {
        self.wakers.push(worker.waker()?);
        let (running, waker) = (Arc::clone(&self.running), Arc::clone(&self.waker));
        let thread = thread::Builder::new().name("load".to_owned()).spawn(move || {
            // A thread that panics must still be counted out, or the wait would not end.
            let result = panic::catch_unwind(panic::AssertUnwindSafe(|| worker.run(streams)));
            running.fetch_sub(1, Ordering::Release);
            waker.wake().ok();
            result.unwrap_or_else(|fault| panic::resume_unwind(fault))
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// An empty series of the load's intervals; `hdr` takes the latencies of each.
    pub(super) fn series(&self, hdr: Option<HdrLog>) -> Series {
        Series::new(hdr, self.intervals)
    }

    /// Waits for all threads to end, and collects the intervals that are over until then.
    pub(super) fn wait(
        &mut self,
        series: &mut Series,
        length: Length,
    ) -> Result<Finished, Failure> {
        let mut progress = Progress::new(self.started_at(), length);
        let mut collect_at = self.intervals.end_of(0);
        while self.is_running() {
            let now = self.turn(collect_at)?;
            if now >= collect_at {
                series.collect(&self.recorders, now, self.end);
                progress.show(&series.counts, now);
                collect_at = self.intervals.end_of(self.intervals.number_at(now));
            }
        }
        progress.clear();
        let busy = self.join()?;
        let last_reply_at =
            self.recorders.iter().filter_map(|recorder| lock(recorder).last_reply_at).max();
        let end = self.end.or(last_reply_at).unwrap_or_else(clock);
        let elapsed = last_reply_at.map_or(end, |at| at.max(end)) - self.started_at();
        series.finish(&self.recorders, end, elapsed);
        let last_reply = last_reply_at.map(|at| at - self.started_at());
        // A load of a number of requests that was given up ends with its last reply.
        let stops = self.recorders.iter().filter_map(|recorder| lock(recorder).end);
        let stopped = stops.max().unwrap_or(end) - self.started_at();
        let interrupted = self.interrupted;
        Ok(Finished { end, elapsed, interrupted, last_reply, stopped, busy })
    }

    /// The beginning of the load.
    pub(super) fn started_at(&self) -> Instant {
        self.intervals.start()
    }

    /// True while any thread has not ended.
    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire) > 0
    }

    /// Waits for a signal, the end of a thread or a time, and handles signals. Returns the time.
    pub(super) fn turn(&mut self, until: Instant) -> Result<Instant, Failure> {
        let ready_sources = self.reactor.turn(Some(until)).map_err(|error| cannot_run(&error))?;
        let now = self.reactor.now();
        if ready_sources.contains(Source::Signals) {
            for _ in self.signals.pending().collect::<Vec<_>>() {
                self.stop(now, self.interrupted);
                self.interrupted = true;
            }
        }
        Ok(now)
    }

    /// Ends the threads that have nothing to do any more. Returns the part of the time that the
    /// busiest of them was busy.
    pub(super) fn join(&mut self) -> Result<f64, Failure> {
        let mut busiest: f64 = 0.0;
        for thread in self.threads.drain(..) {
            let result = thread.join().unwrap_or_else(|fault| panic::resume_unwind(fault));
            busiest = busiest.max(result.map_err(|error| cannot_run(&error))?);
        }
        Ok(busiest)
    }

    /// Stops the load: after the first time no request is sent, and after the second no reply is
    /// awaited.
    pub(super) fn stop(&mut self, now: Instant, again: bool) {
        if !again {
            self.end = Some(self.end.map_or(now, |end| end.min(now)));
        }
        for recorder in &self.recorders {
            let mut recorder = lock(recorder);
            recorder.stop_at(now);
            recorder.abandoned |= again;
        }
        for waker in &self.wakers {
            waker.wake().ok();
        }
    }
}

fn cannot_run(error: &io::Error) -> Failure {
    Failure::cannot("run the load", error)
}

pub(super) fn cannot_set_up(error: &io::Error) -> Failure {
    Failure::cannot("set up the load", error)
}

/// Makes the connections before the load begins. It fails only if not a single one can be made.
fn first_connections(
    address: &ServerAddress,
    pattern: &Pattern,
) -> Result<Vec<Option<TcpStream>>, Failure> {
    let mut last_error = None;
    let streams: Vec<_> = connect::connect_all(&address.0, pattern.connections, pattern.timeout)
        .map_err(|error| cannot_set_up(&error))?
        .into_iter()
        .map(|stream| stream.map_err(|error| last_error = Some(error)).ok())
        .collect();
    match last_error {
        Some(error) if streams.iter().all(Option::is_none) => {
            Err(cannot_connect(address, pattern.timeout, &error))
        }
        Some(error) => {
            log::warn!("some connections could not be made: {}", cause_of(&error));
            Ok(streams)
        }
        None => Ok(streams),
    }
}

/// The share of thread `n` in the connections. The shares differ by at most 1.
fn share(connections: usize, threads: usize, n: usize) -> usize {
    connections / threads + usize::from(n < connections % threads)
}

/// The length of a load's intervals.
pub(super) fn interval_length(length: Length) -> Duration {
    match length {
        Length::Time(time) => (time / INTERVALS).clamp(MIN_INTERVAL, MAX_INTERVAL),
        Length::Requests(_) => MIN_INTERVAL,
    }
}
