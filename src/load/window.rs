//! A load of which only a window is measured: after a warm-up, and before it is stopped.
//!
//! The load goes on until the window has been read, so that a reader who comes a little late reads
//! a little more of the same load, and no end of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::ClockId;

use super::config::{Length, Pattern, describe_workload, prepare_workload};
use super::connect::{self, ServerAddress};
use super::counts::Counts;
use super::generator::{Generator, Timing, cannot_set_up};
use super::latencies::Latencies;
use super::recorder::lock;
use super::workload::Workload;
use super::{clock, processor_time};
use crate::duration::UNLIMITED;
use crate::error::{Exit, Failure, cause_of};

/// The most that a warm-up is longer than it was told, for connections that are not served yet.
const MOST_WARM_UP: Duration = Duration::from_secs(2);

/// The time between two looks at these.
const WARM_UP_STEP: Duration = Duration::from_millis(10);

/// A moment of the load, at which its server can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The window begins.
    Begin,
    /// The window has ended, and all connections are still open and busy.
    End,
}

/// The figures of a window.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its length.
    pub elapsed: Duration,
    /// Right replies in it.
    pub answered: u64,
    /// Latencies of these, in nanoseconds, from the time at which the request was sent.
    pub latencies: hdrhistogram::Histogram<u64>,
    /// Processor time of this process in it.
    pub cpu_time: Duration,
    /// The part of the window in which the threads that have connections were busy, on average.
    pub busy: f64,
    /// Replies that were checked, outside of the window as well.
    pub checked: u64,
    /// The first fault of the whole load.
    pub fault: Option<String>,
    /// True if a signal ended the load.
    pub interrupted: bool,
}

/// A load with a prepared workload, to be run several times.
#[derive(Debug)]
pub struct WindowedLoad {
    pattern: Pattern,
    workload: Arc<Workload>,
}

impl WindowedLoad {
    /// Prepares a load whose pattern has at most so many `connections`, with idle ones.
    pub fn prepare(pattern: Pattern, connections: usize) -> Result<Self, Failure> {
        let workload = Arc::new(prepare_workload(&pattern)?);
        super::check_descriptors(connections, pattern.threads)?;
        Ok(Self { pattern, workload })
    }

    /// The workload in a few words.
    pub fn description(&self) -> String {
        describe_workload(&self.pattern)
    }

    /// The address of a server that runs already: the first of this name that accepts a connection.
    pub fn find_server(&self, host: &str, port: u16) -> Result<SocketAddr, Failure> {
        connect::probe_tcp(host, port, self.pattern.timeout)
    }

    /// Runs the load with so many busy `connections`, beside `idle` ones that send nothing.
    /// `observe` is called at both ends of the window.
    pub fn run(
        &self,
        address: SocketAddr,
        (connections, idle): (usize, usize),
        (warm_up, window): (Duration, Duration),
        mut observe: impl FnMut(Moment),
    ) -> Result<Measured, Failure> {
        let pattern = Pattern { connections, ..self.pattern.clone() };
        let address = ServerAddress(address.into());
        let _idle = connect_idle(&address, idle, pattern.timeout)?;
        let timing = Timing {
            // Its end is not known beforehand (see `warm`), and a fault in it is one of the load.
            warm_up: Duration::ZERO,
            length: Length::Time(UNLIMITED),
            rate: None,
            interval: UNLIMITED,
        };
        let mut load = Generator::start(&pattern, timing, Arc::clone(&self.workload), &address)?;
        warm(&mut load, &pattern, warm_up)?;
        take(&load);
        let answered_before = counts(&load).answered;
        let (begun_at, cpu_begin) = (clock(), processor_time(ClockId::ProcessCPUTime));
        observe(Moment::Begin);
        let mut end = begun_at + window;
        wait_until(&mut load, end)?;
        // On a busy machine a server may not run for a while. If it never answers, that is a fault
        // at the latest after the timeout.
        while !load.interrupted && counts(&load).answered == answered_before {
            if !counts(&load).is_clean() || !load.is_running() {
                break;
            }
            end += window;
            wait_until(&mut load, end)?;
        }
        let (answered, latencies) = take(&load);
        let (ended_at, cpu_end) = (clock(), processor_time(ClockId::ProcessCPUTime));
        observe(Moment::End);
        load.stop(clock(), false);
        while load.is_running() {
            load.turn(clock() + pattern.timeout)?;
        }
        load.join()?;
        let counts = counts(&load);
        let examples = load.recorders.iter().map(|it| lock(it).examples().to_vec());
        let examples = examples.collect::<Vec<_>>().concat();
        let elapsed = ended_at - begun_at;
        let cpu_time = cpu_end.saturating_sub(cpu_begin);
        let threads = u32::try_from(pattern.used_threads()).expect("threads are few");
        Ok(Measured {
            elapsed,
            answered,
            latencies: latencies.from_sending,
            cpu_time,
            busy: cpu_time.div_duration_f64(elapsed * threads),
            checked: counts.answered,
            fault: fault(&counts, answered, &examples),
            interrupted: load.interrupted,
        })
    }
}

/// Connections that are made and not used.
fn connect_idle(
    address: &ServerAddress,
    count: usize,
    timeout: Duration,
) -> Result<Vec<mio::net::TcpStream>, Failure> {
    let streams =
        connect::connect_all(&address.0, count, timeout).map_err(|error| cannot_set_up(&error))?;
    streams.into_iter().collect::<Result<_, _>>().map_err(|error| {
        let text = format!("cannot hold {count} idle connections: {}", cause_of(&error));
        Failure::new(Exit::Failed, text)
    })
}

/// Waits for the end of the warm-up: until every connection was served as well, if that comes soon.
/// A server may start a process for each.
fn warm(load: &mut Generator, pattern: &Pattern, warm_up: Duration) -> Result<(), Failure> {
    let mut end = load.started_at() + warm_up;
    let latest = end + MOST_WARM_UP;
    wait_until(load, end)?;
    let begun = |load: &Generator| load.recorders.iter().map(|it| lock(it).begun).sum::<u64>();
    let all = if pattern.reconnect { 0 } else { pattern.connections as u64 };
    while end < latest && !load.interrupted && counts(load).is_clean() && begun(load) < all {
        end += WARM_UP_STEP;
        wait_until(load, end)?;
    }
    Ok(())
}

/// Waits for a time, or for the end of the load by a signal.
fn wait_until(load: &mut Generator, at: Instant) -> Result<(), Failure> {
    while load.is_running() && !load.interrupted && load.turn(at)? < at {}
    Ok(())
}

/// The counters of all threads.
fn counts(load: &Generator) -> Counts {
    let mut sum = Counts::default();
    for recorder in &load.recorders {
        sum += *lock(recorder).counts();
    }
    sum
}

/// Takes the replies since the last time, and their latencies, from all threads.
fn take(load: &Generator) -> (u64, Latencies) {
    let mut sum = (0, Latencies::new());
    for recorder in &load.recorders {
        let mut spare = Some(Latencies::new());
        let intervals = lock(recorder).take_intervals(None, &mut spare);
        for interval in intervals {
            sum.0 += interval.answered;
            sum.1.add(&interval.latencies);
        }
    }
    sum
}

/// The first fault of a load in words, if it has one.
fn fault(counts: &Counts, answered: u64, examples: &[String]) -> Option<String> {
    let text = match super::outcome(counts) {
        Ok(()) if answered > 0 => return None,
        Ok(()) => "no reply came in the time of the slice".to_owned(),
        Err(failure) => failure.to_string(),
    };
    Some(examples.first().map_or_else(|| text.clone(), |example| format!("{text}: {example}")))
}
