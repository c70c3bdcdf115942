//! The threads of a load, and the one that watches them: it closes an interval after the other,
//! shows the course of the load on a terminal, and takes the user's word that it is enough.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{io, panic};

use indicatif::{ProgressBar, ProgressStyle};
use mio::Waker;
use mio::net::TcpStream;

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

/// The shortest and the longest interval of the series, and how many a load is cut into.
const INTERVALS: (Duration, Duration, u32) =
    (Duration::from_millis(100), Duration::from_secs(1), 100);

/// How a load came to its end.
pub(super) struct Finished {
    at: Instant,
    interrupted: bool,
}

/// The threads of a load, as the thread that watches them sees them.
pub(super) struct Generator {
    reactor: Reactor<()>,
    signals: Signals,
    /// What the threads wake the reactor with when they end. It is held here as well: the word of
    /// the last of them would be lost if the waker went with it.
    waker: Arc<Waker>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    wakers: Vec<Waker>,
    recorders: Vec<Arc<Mutex<Recorder>>>,
    /// The threads that have not ended.
    running: Arc<AtomicUsize>,
    schedule: Option<Schedule>,
    /// The number of requests, if it is limited.
    requests: Option<u64>,
    start: Instant,
    /// When nothing more is asked, if that is a matter of time.
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
        let cannot = |error: io::Error| Failure::cannot("set up the load", &error);
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
        let mut first = 0;
        for n in 0..threads {
            let count = share(config.connections as u64, threads, n);
            let count = usize::try_from(count).expect("a part of a number of connections");
            let requests = requests.map(|all| share(all, threads, n));
            let recorder = Arc::new(Mutex::new(Recorder::new(requests, end)));
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

    /// Waits for the end of all threads, and closes an interval after the other until then.
    pub(super) fn wait(
        &mut self,
        series: &mut Series,
        length: Length,
    ) -> Result<Finished, Failure> {
        let interval = interval_length(length);
        let cannot = |error: io::Error| Failure::cannot("wait for the load", &error);
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
                // After a halt, of this process or of its machine, there is one long interval.
                close_at = (close_at + interval).max(now + interval / 2);
            }
        }
        progress.finish_and_clear();
        for thread in self.threads.drain(..) {
            let result = thread.join().unwrap_or_else(|fault| panic::resume_unwind(fault));
            result.map_err(|error| Failure::cannot("carry on with the load", &error))?;
        }
        let at = clock();
        // The threads listened on after the last reply; that is not part of its interval.
        let (_, elapsed) = self.end_and_elapsed(at);
        series.close_interval(&self.recorders, elapsed).map_err(cannot)?;
        Ok(Finished { at, interrupted })
    }

    /// The first time nothing more is asked; the second time nothing more is waited for.
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

    /// When nothing more was to be asked, and how long the load took: to then, or to the last reply
    /// if that came later.
    fn end_and_elapsed(&self, finished_at: Instant) -> (Instant, Duration) {
        let last_reply_at =
            self.recorders.iter().filter_map(|recorder| lock(recorder).last_reply_at).max();
        let end = self.end.or(last_reply_at).unwrap_or(finished_at);
        (end, last_reply_at.map_or(end, |at| at.max(end)) - self.start)
    }

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

/// The connections that a load begins with. If there is not even one, that is why it cannot begin.
fn first_connections(
    address: SocketAddr,
    config: &Config,
) -> Result<Vec<Option<TcpStream>>, Failure> {
    let mut why = None;
    let streams: Vec<_> = connect::connect_all(address, config.connections, config.timeout)
        .into_iter()
        .map(|stream| stream.map_err(|error| why = Some(error)).ok())
        .collect();
    match why {
        Some(why) if streams.iter().all(Option::is_none) => {
            Err(cannot_connect(address, config.timeout, &why))
        }
        Some(why) => {
            log::warn!("not every connection could be made: {}", cause_of(&why));
            Ok(streams)
        }
        None => Ok(streams),
    }
}

/// The share of thread `n` in a total.
fn share(total: u64, threads: usize, n: usize) -> u64 {
    let (threads, n) = (threads as u64, n as u64);
    total / threads + u64::from(n < total % threads)
}

#[expect(clippy::cast_precision_loss, reason = "a rate is not counted to the last digit")]
fn rate(n: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { n as f64 / time.as_secs_f64() }
}

/// A line on a terminal, and nothing anywhere else.
fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}").expect("the template is a good one");
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
        n => format!(", {} wrong or missing", report::grouped(n)),
    };
    format!("{far}: {rate} replies a second{faults}")
}

/// How long the intervals of a load are.
pub(super) fn interval_length(length: Length) -> Duration {
    let (least, most, parts) = INTERVALS;
    match length {
        Length::Time(time) => (time / parts).clamp(least, most),
        Length::Requests(_) => least,
    }
}
