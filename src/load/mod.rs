//! The command `bench`: load on a TCP server, with every reply checked.
//!
//! A load client is a [`Service`](crate::service::Service) in the other role, so the load runs on
//! the same sessions and the same [`Reactor`](crate::reactor::Reactor) as a server. This module
//! adds the requests, their times, and the check of the replies.
//!
//! One request passes through it so: the [`Schedule`](schedule::Schedule) says when it is due, a
//! [`LoadClient`](load_client::LoadClient) sends it from the [`Workload`](workload::Workload) and
//! compares the reply with the one prepared there, the [`Recorder`](recorder::Recorder) of the
//! thread counts it and keeps its latency, and the [`Series`](series::Series) takes it from there
//! for the report.
//!
//! | where to read | what |
//! | --- | --- |
//! | `config` | the options, and their check |
//! | [`workload`] | the requests, and the bytes that must come back |
//! | [`settings`], [`schedule`] | what all connections share; due times in an open loop |
//! | [`budget`] | the number of requests that may still be sent |
//! | [`load_client`], `in_flight` | one connection: sends, compares, records |
//! | `bare_reply` | a reply without a newline |
//! | `diagnosis` | the kinds of unexpected replies |
//! | `hints` | the signs of a server of another kind |
//! | [`counts`] | the counters, and the sums that they make up |
//! | [`recorder`], [`latencies`], [`conn_stats`] | what a thread counts; the fate of a connection |
//! | `connect`, `connector` | making connections, before a load and in it |
//! | `worker`, `ending` | the thread that owns connections; the end of its part of the load |
//! | `generator`, `progress` | all the threads, and the one that waits for them; its line on a terminal |
//! | [`intervals`], [`series`] | the intervals of the load |
//! | `busy` | the time that the load's own threads are busy |
//! | `summary`, [`report`], `parameters`, [`figures`] | the outcome, for a person and for a program |
//! | `window` | a load of which only a part is measured, for the command `compare` |
//! | `outputs`, [`hdr_log`], `plot` | standard output and the files; a log and a picture for them |

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};

mod bare_reply;
pub mod budget;
mod busy;
mod config;
pub mod conn_stats;
mod connect;
mod connector;
pub mod counts;
mod diagnosis;
mod ending;
pub mod figures;
mod generator;
pub mod hdr_log;
mod hints;
mod in_flight;
pub mod intervals;
pub mod latencies;
pub mod load_client;
mod outputs;
mod parameters;
mod plot;
mod progress;
pub mod recorder;
pub mod report;
pub mod schedule;
pub mod series;
pub mod settings;
mod summary;
mod window;
mod worker;
pub mod workload;

pub use config::{
    Config, DEFAULT_DURATION, DEFAULT_ECHO_SIZE, DEFAULT_TIMEOUT, Length, Pattern, WorkloadSpec,
};
pub use connect::{Target, host_and_port};
use counts::Counts;
use generator::{Generator, Timing};
use hdr_log::HdrLog;
use outputs::Outputs;
pub use outputs::{OutputFile, all_written, print_report};
use parameters::LoadParameters;
pub use plot::xml_escaped;
pub use window::{Measured, Moment, WindowedLoad};

use crate::error::{Exit, Failure};
use crate::net::nofile;
use crate::signal;

/// The longest part of a request or reply that is shown, in bytes.
const MAX_SHOWN: usize = 60;

/// Runs the load and reports on standard output. A faulty reply, a connection that was not served,
/// nothing at all, or a rate that was not kept is a failure.
pub fn run(config: &Config) -> Result<(), Failure> {
    let pattern = &config.pattern;
    let workload = config::prepare_workload(pattern)?;
    let threads = pattern.used_threads();
    check_descriptors(pattern.connections, threads)?;
    let address = connect::probe(&config.target, pattern.timeout)?;
    let load = LoadParameters::new(config, address.to_string(), threads);
    let outputs = Outputs::create(config)?;
    let hdr = config.hdr.as_ref().map(|_| HdrLog::new(&load.to_string(), wall_clock()));
    let timing = Timing {
        warm_up: config.warm_up,
        length: config.length,
        rate: config.rate,
        interval: generator::interval_length(config.length),
    };
    let mut generator = Generator::start(pattern, timing, Arc::new(workload), &address)?;
    let mut series = generator.series(hdr);
    let finished = generator.wait(&mut series, config.length)?;
    // Nothing receives signals any more, and a file may be one that nobody reads.
    signal::end_on(&signal::STOP)?;
    let report = generator.report(load, &mut series, &finished);
    outputs.write(&report, &series.total, series.hdr.as_ref(), config.json)?;
    outcome(&report.counts)?;
    report.describe_lag().map_or(Ok(()), |lag| Err(Failure::new(Exit::Failed, lag)))
}

/// Refuses more connections than the limit of open files allows.
fn check_descriptors(connections: usize, threads: usize) -> Result<(), Failure> {
    let most = nofile::raise_nofile_limit(threads).clients;
    if connections <= most {
        return Ok(());
    }
    let text = format!("at most {most} connections fit into the limit of open files");
    Err(Failure::new(Exit::Usage, text).hint("see ulimit -Hn"))
}

/// The failure that the counters amount to, if they do.
fn outcome(counts: &Counts) -> Result<(), Failure> {
    let unanswered = counts.answered == 0 && counts.faults() == counts.missing;
    let failure = if counts.is_clean() && counts.answered > 0 {
        return Ok(());
    } else if counts.is_clean() {
        let text = "nothing was measured: the load ended before the first reply";
        Failure::new(Exit::Failed, text)
    } else if counts.answered == 0 && counts.busy > 0 {
        Failure::new(Exit::Busy, "the server is busy, and served none of the connections")
    } else if unanswered && counts.lost > 0 && counts.lost + counts.unused == counts.opened {
        Failure::new(Exit::NoAnswer, "the server closed every connection without a reply")
    } else if unanswered && counts.missing > 0 {
        Failure::new(Exit::NoAnswer, "the server answered no request in time")
    } else if counts.faults() > 0 {
        Failure::new(Exit::Failed, report::describe_faults(counts))
    } else {
        Failure::new(Exit::Failed, "some connections were not served")
    };
    Err(failure)
}

#[expect(clippy::disallowed_methods, reason = "the load's edge: the clock of its latencies")]
fn clock() -> Instant {
    Instant::now()
}

/// The processor time so far of the thread or the process that calls.
fn processor_time(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).expect("processor time is not negative")
}

#[expect(clippy::disallowed_methods, reason = "the time of day, for the head of a log")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
