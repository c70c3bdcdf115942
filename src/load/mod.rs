//! The command `bench`: load on a TCP server, with every reply checked.
//!
//! A load client is a [`Service`](crate::service::Service) in the other role, so the load runs on
//! the sessions and the [`Reactor`] that serve: what is written here is what to ask, when, and what
//! to make of the replies.
//!
//! | where to read | what |
//! | --- | --- |
//! | [`script`] | what is asked, and the bytes that must come back |
//! | [`schedule`] | when a request is due in an open loop |
//! | [`client`] | one connection: asks, compares, writes down |
//! | `suspect` | what is wrong with a reply that is not the one expected |
//! | [`book`] | what one thread writes down |
//! | `connect`, `worker` | connections, and the thread that has them |
//! | [`series`] | the course of the load by intervals, as CSV and as a log of HDR histograms |
//! | [`report`], `plot` | the outcome for a person, a program, and as a picture |

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};
use std::{fs, panic};

use indicatif::{ProgressBar, ProgressStyle};
use mio::Waker;
use mio::net::TcpStream;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

pub mod book;
pub mod client;
mod connect;
mod plot;
pub mod report;
pub mod schedule;
pub mod script;
pub mod series;
mod suspect;
mod worker;

use crate::arithmetic::Dialect;
use crate::net::descriptors;
use crate::net::failure::{Exit, Failure};
use crate::reactor::{Outside, Reactor};
use book::Book;
use client::{Plan, lock};
use report::{LatencyReport, Load, Report};
use schedule::Schedule;
use script::{MAX_IN_FLIGHT, MAX_REQUEST, Script};
use series::{HdrLog, Percentiles, Series};
use worker::Worker;

/// How long a reply is waited for, if nothing else is said.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// How long a load lasts, if nothing is said.
pub const DURATION: Duration = Duration::from_secs(10);

/// The size of echo's lines, if nothing is said.
pub const SIZE: usize = 16;

/// The shortest and the longest interval of the series, and how many a load is cut into.
const INTERVALS: (Duration, Duration, u32) =
    (Duration::from_millis(100), Duration::from_secs(1), 100);

/// A load without a time limit ends before this: about ten years.
const ENDLESS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How much of a line is shown, in bytes.
const SHOWN: usize = 60;

/// When a load ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// After this time; the replies in flight are still waited for.
    Time(Duration),
    /// After so many requests.
    Requests(u64),
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Lines of so many bytes that come back.
    Echo(usize),
    /// Expressions, from the command line and from a file with one on each line.
    Calc {
        /// From the command line.
        expressions: Vec<String>,
        /// The file, if there is one.
        file: Option<PathBuf>,
        /// Whose arithmetic the replies follow.
        dialect: Dialect,
    },
}

/// What a load is to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How many at once.
    pub connections: usize,
    /// The most requests in flight on each.
    pub pipeline: usize,
    /// How many threads share the connections; no more than there are connections.
    pub threads: usize,
    /// When it ends.
    pub length: Length,
    /// Requests due each second; none for a closed loop.
    pub rate: Option<u64>,
    /// Whether each request has a connection of its own.
    pub reconnect: bool,
    /// For connecting, and for each reply.
    pub timeout: Duration,
    /// What is asked.
    pub asked: Asked,
    /// Whether the report is JSON.
    pub json: bool,
    /// Where the intervals go as CSV.
    pub csv: Option<PathBuf>,
    /// Where they go as a log of HDR histograms.
    pub hdr: Option<PathBuf>,
    /// Where the picture goes.
    pub plot: Option<PathBuf>,
}

/// Puts the load on the server and reports on standard output. A reply that is not as it should be
/// is a failure.
pub fn run(config: &Config) -> Result<(), Failure> {
    let script = script(config)?;
    let service = service_name(config, &script);
    let share = descriptors::share();
    if config.connections > share.clients {
        let most = share.clients;
        let text = format!("no more than {most} connections: that is what the descriptors allow");
        return Err(Failure::new(Exit::Usage, text));
    }
    let address = connect::find(&config.host, config.port, config.timeout)?;
    let load = Load {
        server: address.to_string(),
        service,
        connections: config.connections,
        pipeline: config.pipeline,
        threads: config.threads.min(config.connections),
        rate: config.rate,
        reconnect: config.reconnect,
    };
    let hdr = match &config.hdr {
        Some(path) => Some(
            HdrLog::create(path, &load.to_string(), wall_clock())
                .map_err(|error| cannot_write(path, &error))?,
        ),
        None => None,
    };
    let mut crew = Crew::muster(config, script, address, load.threads)?;
    let mut series = Series::new(hdr);
    let finished = crew.watch(&mut series, interval(config.length))?;
    let report = crew.report(load, &mut series, &finished);
    deliver(config, &report, &series)?;
    verdict(&report)
}

fn script(config: &Config) -> Result<Script, Failure> {
    let usage = |text| Failure::new(Exit::Usage, text);
    let (most, fits) = (
        MAX_REQUEST,
        config.pipeline.saturating_mul(match config.asked {
            Asked::Echo(size) => size,
            Asked::Calc { .. } => 1,
        }),
    );
    if fits > MAX_IN_FLIGHT {
        return Err(too_much_in_flight());
    }
    let script = match &config.asked {
        Asked::Echo(size) => Script::echo(*size, config.pipeline),
        Asked::Calc { expressions, file, dialect } => {
            let mut expressions = expressions.clone();
            if let Some(path) = file {
                let text = fs::read_to_string(path)
                    .map_err(|error| Failure::cannot(format!("read {}", path.display()), &error))?;
                expressions.extend(text.lines().map(str::to_owned));
                if expressions.is_empty() {
                    return Err(usage(format!("no expression in {}", path.display())));
                }
            }
            if expressions.iter().any(|text| text.contains('\n')) {
                return Err(usage("an expression is one line".to_owned()));
            }
            Script::calc(&expressions, *dialect)
        }
    };
    match script.longest_request() {
        n if n > most => Err(usage(format!("a request may have {most} bytes, not {n}"))),
        n if n * config.pipeline > MAX_IN_FLIGHT => Err(too_much_in_flight()),
        _ => Ok(script),
    }
}

fn too_much_in_flight() -> Failure {
    let text = format!("no more than {MAX_IN_FLIGHT} bytes of requests in flight on a connection");
    Failure::new(Exit::Usage, text).hint("use a smaller --pipeline, or smaller requests")
}

fn service_name(config: &Config, script: &Script) -> String {
    match &config.asked {
        Asked::Echo(1) => "echo of 1 byte".to_owned(),
        Asked::Echo(size) => format!("echo of {size} bytes"),
        Asked::Calc { expressions, file: None, .. } => match expressions.as_slice() {
            [] => "calc of sums".to_owned(),
            [one] => format!("calc of \"{}\"", escaped(one.as_bytes())),
            more => format!("calc of {} expressions", more.len()),
        },
        Asked::Calc { .. } => format!("calc of {} expressions", script.len()),
    }
}

fn interval(length: Length) -> Duration {
    let (least, most, parts) = INTERVALS;
    match length {
        Length::Time(time) => (time / parts).clamp(least, most),
        Length::Requests(_) => least,
    }
}

/// How a load came to its end.
struct Finished {
    at: Instant,
    interrupted: bool,
}

/// The threads of a load, as the thread that watches them sees them.
struct Crew {
    reactor: Reactor<()>,
    signals: Signals,
    threads: Vec<JoinHandle<io::Result<()>>>,
    wakers: Vec<Waker>,
    books: Vec<Arc<Mutex<Book>>>,
    /// The threads that have not ended.
    running: Arc<AtomicUsize>,
    schedule: Option<Schedule>,
    budget: u64,
    start: Instant,
    /// When nothing more is asked, if that is a matter of time.
    end: Option<Instant>,
}

impl Crew {
    /// Makes the connections, and starts the threads with them.
    fn muster(
        config: &Config,
        script: Script,
        address: std::net::SocketAddr,
        threads: usize,
    ) -> Result<Self, Failure> {
        let cannot = |error: io::Error| Failure::cannot("set up the load", &error);
        let reactor = Reactor::new().map_err(cannot)?;
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(cannot)?;
        reactor.register(&mut signals, Outside::Signals).map_err(cannot)?;
        let waker = Arc::new(reactor.waker().map_err(cannot)?);
        let mut streams = if config.reconnect {
            (0..config.connections).map(|_| None).collect()
        } else {
            connections(address, config)?
        };
        let start = clock();
        let (budget, end) = match config.length {
            Length::Time(time) => (u64::MAX, Some(start + time)),
            Length::Requests(n) => (n, None),
        };
        let schedule = config.rate.map(|rate| Schedule::new(start, rate, config.connections));
        let plan = Arc::new(Plan {
            script,
            pipeline: config.pipeline,
            schedule,
            reconnect: config.reconnect,
            timeout: config.timeout,
            clock: |_| clock(),
        });
        let mut crew = Self {
            reactor,
            signals,
            threads: Vec::new(),
            wakers: Vec::new(),
            books: Vec::new(),
            running: Arc::new(AtomicUsize::new(threads)),
            schedule,
            budget,
            start,
            end,
        };
        let mut first = 0;
        for n in 0..threads {
            let slots = part(config.connections as u64, threads, n);
            let slots = usize::try_from(slots).expect("a part of a number of connections");
            let budget = if budget == u64::MAX { budget } else { part(budget, threads, n) };
            let book = Book::new(slots, budget, end.unwrap_or(start + ENDLESS));
            let book = Arc::new(Mutex::new(book));
            let worker = Worker::new(Arc::clone(&plan), Arc::clone(&book), address, first);
            let worker = worker.map_err(cannot)?;
            crew.wakers.push(worker.waker().map_err(cannot)?);
            crew.books.push(book);
            let streams = streams.drain(..slots).collect();
            crew.start(worker, streams, Arc::clone(&waker)).map_err(cannot)?;
            first += slots;
        }
        Ok(crew)
    }

    fn start(
        &mut self,
        mut worker: Worker,
        streams: Vec<Option<TcpStream>>,
        waker: Arc<Waker>,
    ) -> io::Result<()> {
        let running = Arc::clone(&self.running);
        let thread = thread::Builder::new().name("load".to_owned()).spawn(move || {
            // Whatever happens to this thread, somebody waits for its end.
            let result = panic::catch_unwind(panic::AssertUnwindSafe(|| worker.run(streams)));
            running.fetch_sub(1, Ordering::Release);
            waker.wake().ok();
            result.unwrap_or_else(|fault| panic::resume_unwind(fault))
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Waits for the end of all threads, and closes an interval after the other until then.
    fn watch(&mut self, series: &mut Series, interval: Duration) -> Result<Finished, Failure> {
        let cannot = |error: io::Error| Failure::cannot("watch the load", &error);
        let progress = progress();
        let mut interrupted = false;
        let mut close_at = self.start + interval;
        while self.running.load(Ordering::Acquire) > 0 {
            let marks = self.reactor.turn(Some(close_at)).map_err(cannot)?;
            let now = self.reactor.now();
            if marks.contains(Outside::Signals) {
                for _ in self.signals.pending().collect::<Vec<_>>() {
                    self.interrupt(now, interrupted);
                    interrupted = true;
                }
            }
            if now >= close_at {
                let passed = now - self.start;
                series.close_interval(&self.books, passed).map_err(cannot)?;
                progress.set_message(course(series, passed));
                close_at = (close_at + interval).max(now);
            }
        }
        progress.finish_and_clear();
        for thread in self.threads.drain(..) {
            let result = thread.join().unwrap_or_else(|fault| panic::resume_unwind(fault));
            result.map_err(|error| Failure::cannot("carry on with the load", &error))?;
        }
        let at = clock();
        series.close_interval(&self.books, at - self.start).map_err(cannot)?;
        Ok(Finished { at, interrupted })
    }

    /// The first time nothing more is asked; the second time nothing more is waited for.
    fn interrupt(&mut self, now: Instant, again: bool) {
        if !again {
            self.end = Some(self.end.map_or(now, |end| end.min(now)));
        }
        for book in &self.books {
            let mut book = lock(book);
            book.end = book.end.min(now);
            book.abandoned |= again;
        }
        for waker in &self.wakers {
            waker.wake().ok();
        }
    }

    fn report(&self, load: Load, series: &mut Series, finished: &Finished) -> Report {
        let books: Vec<_> = self.books.iter().map(|book| lock(book)).collect();
        let last_reply_at = books.iter().filter_map(|book| book.last_reply_at).max();
        let end = self.end.or(last_reply_at).unwrap_or(finished.at);
        let elapsed = last_reply_at.map_or(end, |at| at.max(end)) - self.start;
        if let (Some(schedule), Some(last)) =
            (self.schedule, end.checked_sub(Duration::from_nanos(1)))
        {
            let due = schedule.all_due_by(last).min(self.budget);
            series.tally.unsent = due.saturating_sub(series.tally.asked);
        }
        let examples = books.iter().flat_map(|book| &book.examples).cloned().collect();
        Report {
            version: report::VERSION,
            load,
            interrupted: finished.interrupted,
            elapsed_s: elapsed.as_secs_f64(),
            per_second: rate(series.tally.answered, elapsed),
            counts: series.tally,
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
fn connections(
    address: std::net::SocketAddr,
    config: &Config,
) -> Result<Vec<Option<TcpStream>>, Failure> {
    let mut why = None;
    let streams: Vec<_> = connect::many(address, config.connections, config.timeout)
        .into_iter()
        .map(|stream| stream.map_err(|error| why = Some(error)).ok())
        .collect();
    match why {
        Some(why) if streams.iter().all(Option::is_none) => {
            Err(Failure::new(Exit::Failed, format!("cannot connect to {address}: {why}")))
        }
        Some(why) => {
            log::warn!("not every connection could be made: {why}");
            Ok(streams)
        }
        None => Ok(streams),
    }
}

/// The share of thread `n` in a total.
fn part(total: u64, threads: usize, n: usize) -> u64 {
    let (threads, n) = (threads as u64, n as u64);
    total / threads + u64::from(n < total % threads)
}

#[expect(clippy::cast_precision_loss, reason = "a rate is not counted to the last digit")]
fn rate(n: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { n as f64 / time.as_secs_f64() }
}

/// A line on a terminal, and nothing anywhere else.
fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}").expect("the template is a good one");
    ProgressBar::new_spinner().with_style(style)
}

fn course(series: &Series, passed: Duration) -> String {
    let rate = series.rows.last().map_or(0.0, |row| row.per_second);
    let rate = report::grouped(report::whole(rate));
    let faults = match series.tally.faults() {
        0 => String::new(),
        n => format!(", {} wrong or missing", report::grouped(n)),
    };
    format!("{:.0} s: {rate} requests a second{faults}", passed.as_secs_f64())
}

/// The report, to everywhere it was asked for.
fn deliver(config: &Config, report: &Report, series: &Series) -> Result<(), Failure> {
    let text = if config.json { report.json() + "\n" } else { report.to_string() };
    match io::stdout().lock().write_all(text.as_bytes()) {
        // Its reader has seen enough; the files are still wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => {
            result.map_err(|error| Failure::cannot("write to standard output", &error))?;
        }
    }
    if let Some(path) = &config.csv {
        series::write_csv(&series.rows, path).map_err(|error| cannot_write(path, &error))?;
    }
    if let Some(path) = &config.plot {
        plot::write(report, &series.total, path).map_err(|error| cannot_write(path, &error))?;
    }
    Ok(())
}

fn verdict(report: &Report) -> Result<(), Failure> {
    let counts = &report.counts;
    let failure = |exit, text: String| Err(Failure::new(exit, text));
    match () {
        () if counts.is_clean() => Ok(()),
        () if counts.answered == 0 && counts.busy > 0 => {
            failure(Exit::Busy, "the server is full, and served none of the connections".to_owned())
        }
        () if counts.answered == 0 && counts.missing > 0 && counts.wrong == 0 => {
            failure(Exit::NoAnswer, "the server answered no request in time".to_owned())
        }
        () if counts.faults() > 0 => {
            let faults = report::grouped(counts.faults());
            failure(Exit::Failed, format!("{faults} replies were not as they should be"))
        }
        () => failure(Exit::Failed, "not every connection was served".to_owned()),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::cannot(format_args!("write {}", path.display()), error)
}

/// A reply as it is shown: on one line, and harmless.
fn escaped(text: &[u8]) -> String {
    let shown = text[..text.len().min(SHOWN)].escape_ascii().to_string();
    if text.len() > SHOWN { shown + "..." } else { shown }
}

#[expect(clippy::disallowed_methods, reason = "a load's edge: latency is a time of this clock")]
fn clock() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the time of day, for the head of a log")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
