//! The load generator: the threads of a load, and the main thread, which waits for them. It closes
//! the intervals, shows the progress on a terminal, and stops the load after a signal.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{io, panic};

use indicatif::{ProgressBar, ProgressStyle};
use mio::Waker;
use mio::net::TcpStream;

use super::budget::Budget;
use super::clock;
use super::config::{Config, Length};
use super::connect;
use super::recorder::{Recorder, lock};
use super::report::{self, LatencyReport, LoadParameters, LoadReport};
use super::schedule::Schedule;
use super::series::{Percentiles, Series};
use super::settings::ClientSettings;
use super::worker::Worker;
use super::workload::Workload;
use crate::error::{Failure, cause_of};
use crate::net::address::cannot_connect;
use crate::reactor::{Reactor, Source};
use crate::signal::{self, Signals};

/// The shortest interval of the series, and the longest.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
const MAX_INTERVAL: Duration = Duration::from_secs(1);

/// The number of intervals of a load with a time limit, if their length allows it.
const INTERVALS: u32 = 100;

/// The end of a load.
pub(super) struct Finished {
    at: Instant,
    /// A signal has ended it.
    interrupted: bool,
}

/// The threads of a load, as the main thread sees them.
pub(super) struct Generator {
    reactor: Reactor<()>,
    signals: Signals,
    /// The waker of this reactor, used by a thread that ends. It is kept here as well: if the last
    /// thread dropped it, its wake-up would be lost.
    waker: Arc<Waker>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    /// For each thread, the waker of its loop.
    wakers: Vec<Waker>,
    /// For each thread, its recorder.
    recorders: Vec<Arc<Mutex<Recorder>>>,
    /// The number of threads that have not ended.
    running: Arc<AtomicUsize>,
    schedule: Option<Schedule>,
    /// The number of requests, if it is limited.
    requests: Option<u64>,
    start: Instant,
    /// The time from which on no request is sent, if there is one.
    end: Option<Instant>,
}

impl Generator {
    /// Makes the connections, and starts the threads with them.
    pub(super) fn start(
        config: &Config,
        workload: Workload,
        address: SocketAddr,
        threads: usize,
    ) -> Result<Self, Failure> {
        let cannot = |error: io::Error| cannot_set_up(&error);
        let reactor = Reactor::new().map_err(cannot)?;
        let mut signals = signal::source(&signal::STOP)?;
        reactor.register(&mut signals, Source::Signals).map_err(cannot)?;
        let waker = Arc::new(reactor.waker().map_err(cannot)?);
        let mut streams = if config.reconnect {
            (0..config.connections).map(|_| None).collect()
        } else {
            first_connections(address, config)?
        };
        let start = clock();
        let (requests, end) = match config.length {
            Length::Time(time) => (None, Some(start + time)),
            Length::Requests(n) => (Some(n), None),
        };
        let schedule = config.rate.map(|rate| Schedule::new(start, rate, config.connections));
        let settings = Arc::new(ClientSettings {
            workload,
            pipeline: config.pipeline,
            schedule,
            reconnect: config.reconnect,
            timeout: config.timeout,
        });
        let mut generator = Self {
            reactor,
            signals,
            waker,
            threads: Vec::new(),
            wakers: Vec::new(),
            recorders: Vec::new(),
            running: Arc::new(AtomicUsize::new(threads)),
            schedule,
            requests,
            start,
            end,
        };
        let budget = Arc::new(Budget::new(requests));
        let mut first = 0;
        for n in 0..threads {
            let count = share(config.connections, threads, n);
            let recorder = Arc::new(Mutex::new(Recorder::new(Arc::clone(&budget), end)));
            generator.recorders.push(Arc::clone(&recorder));
            let indices = first..first + count;
            first += count;
            let worker = Worker::new(Arc::clone(&settings), recorder, address, indices);
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

    /// Waits for all threads to end, and closes the intervals until then.
    pub(super) fn wait(
        &mut self,
        series: &mut Series,
        length: Length,
    ) -> Result<Finished, Failure> {
        let interval = interval_length(length);
        let cannot = |error: io::Error| Failure::cannot("run the load", &error);
        let progress = progress_bar();
        let mut interrupted = false;
        let mut close_at = self.start + interval;
        while self.running.load(Ordering::Acquire) > 0 {
            let ready_sources = self.reactor.turn(Some(close_at)).map_err(cannot)?;
            let now = self.reactor.now();
            if ready_sources.contains(Source::Signals) {
                for _ in self.signals.pending().collect::<Vec<_>>() {
                    self.interrupt(now, interrupted);
                    interrupted = true;
                }
            }
            if now >= close_at {
                let passed = now - self.start;
                series.close_interval(&self.recorders, passed).map_err(cannot)?;
                progress.set_message(progress_text(series, passed, length));
                // After a pause of the process there is one long interval, not many empty ones.
                close_at = (close_at + interval).max(now + interval / 2);
            }
        }
        progress.finish_and_clear();
        for thread in self.threads.drain(..) {
            let result = thread.join().unwrap_or_else(|fault| panic::resume_unwind(fault));
            result.map_err(|error| Failure::cannot("run the load", &error))?;
        }
        let at = clock();
        // The threads have listened for some time after the last reply, which does not count.
        let (_, elapsed) = self.end_and_elapsed(at);
        series.close_interval(&self.recorders, elapsed).map_err(cannot)?;
        Ok(Finished { at, interrupted })
    }

    /// Stops the load: after the first signal no request is sent, and after the second no reply is
    /// awaited.
    fn interrupt(&mut self, now: Instant, again: bool) {
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

    /// The time from which on no request was sent, and the duration of the load: until then, or
    /// until the last reply if that came later.
    fn end_and_elapsed(&self, finished_at: Instant) -> (Instant, Duration) {
        let last_reply_at =
            self.recorders.iter().filter_map(|recorder| lock(recorder).last_reply_at).max();
        let end = self.end.or(last_reply_at).unwrap_or(finished_at);
        (end, last_reply_at.map_or(end, |at| at.max(end)) - self.start)
    }

    /// The report of a load that has ended.
    pub(super) fn report(
        &self,
        load: LoadParameters,
        series: &mut Series,
        finished: &Finished,
    ) -> LoadReport {
        let (end, elapsed) = self.end_and_elapsed(finished.at);
        if let (Some(schedule), Some(last)) =
            (self.schedule, end.checked_sub(Duration::from_nanos(1)))
        {
            let due = schedule.total_due_by(last).min(self.requests.unwrap_or(u64::MAX));
            series.counts.unsent = due.saturating_sub(series.counts.asked);
        }
        let examples =
            self.recorders.iter().flat_map(|recorder| lock(recorder).examples.clone()).collect();
        LoadReport {
            version: report::VERSION,
            load,
            interrupted: finished.interrupted,
            elapsed_s: elapsed.as_secs_f64(),
            per_second: rate(series.counts.answered, elapsed),
            counts: series.counts,
            latency_us: LatencyReport {
                from_due: Percentiles::of(&series.total.from_due),
                from_sending: Percentiles::of(&series.total.from_sending),
            },
            examples,
            intervals: series.rows.clone(),
        }
    }
}

fn cannot_set_up(error: &io::Error) -> Failure {
    Failure::cannot("set up the load", error)
}

/// Makes the connections before the load begins. It fails only if not a single one can be made.
fn first_connections(
    address: SocketAddr,
    config: &Config,
) -> Result<Vec<Option<TcpStream>>, Failure> {
    let mut last_error = None;
    let streams: Vec<_> = connect::connect_all(address, config.connections, config.timeout)
        .map_err(|error| cannot_set_up(&error))?
        .into_iter()
        .map(|stream| stream.map_err(|error| last_error = Some(error)).ok())
        .collect();
    match last_error {
        Some(error) if streams.iter().all(Option::is_none) => {
            Err(cannot_connect(address, config.timeout, &error))
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

#[expect(clippy::cast_precision_loss, reason = "a rate needs few digits")]
fn rate(n: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { n as f64 / time.as_secs_f64() }
}

/// The line that shows the progress on a terminal; it is hidden anywhere else.
fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}").expect("the template is valid");
    ProgressBar::new_spinner().with_style(style)
}

fn progress_text(series: &Series, passed: Duration, length: Length) -> String {
    let rate = series.rows.last().map_or(0.0, |row| row.per_second);
    let rate = report::grouped(report::whole(rate));
    let far = match length {
        Length::Time(time) => format!("{} of {} s", passed.as_secs(), time.as_secs_f64()),
        Length::Requests(n) => {
            let [asked, n] = [series.counts.asked, n].map(report::grouped);
            format!("{asked} of {n} requests")
        }
    };
    let faults = match series.counts.faults() {
        0 => String::new(),
        n => format!(", {} faulty", report::grouped(n)),
    };
    format!("{far}: {rate} replies per second{faults}")
}

/// The length of a load's intervals.
pub(super) fn interval_length(length: Length) -> Duration {
    match length {
        Length::Time(time) => (time / INTERVALS).clamp(MIN_INTERVAL, MAX_INTERVAL),
        Length::Requests(_) => MIN_INTERVAL,
    }
}
