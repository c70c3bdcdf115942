//! The command `bench`: load on a TCP server, with every reply checked.
//!
//! A load client is a [`Service`](crate::service::Service) in the other role, so the load runs on
//! the sessions and the [`Reactor`](crate::reactor::Reactor) that serve. What is written here is
//! what to ask, when, and what to make of the replies.
//!
//! | where to read | what |
//! | --- | --- |
//! | [`workload`] | what is asked, and the bytes that must come back |
//! | [`settings`], [`schedule`] | how it is asked, and when it is due in an open loop |
//! | [`load_client`] | one connection: asks, compares, writes down |
//! | `diagnosis` | what is wrong with a reply that is not the one expected |
//! | [`recorder`] | what one thread writes down |
//! | `connect`, `worker` | connections, and the thread that has them |
//! | `generator` | all the threads, and the one that watches them |
//! | [`series`] | the course of the load by intervals, as CSV and as a log of HDR histograms |
//! | [`report`], `plot` | the outcome for a person, a program, and as a picture |

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Instant, SystemTime};

mod config;
pub mod conn_stats;
mod connect;
mod diagnosis;
mod generator;
mod in_flight;
pub mod load_client;
mod plot;
pub mod recorder;
pub mod report;
pub mod schedule;
pub mod series;
pub mod settings;
mod worker;
pub mod workload;

pub use config::{
    Config, DEFAULT_DURATION, DEFAULT_ECHO_SIZE, DEFAULT_TIMEOUT, Length, WorkloadSpec,
};
use generator::Generator;
use report::{LoadParameters, LoadReport};
use series::{HdrLog, Series};

use crate::error::{Exit, Failure};
use crate::net::nofile;

/// The longest part of a request or reply that is shown, in bytes.
const MAX_SHOWN: usize = 60;

/// Puts the load on the server and reports on standard output. A reply that is not as it should be
/// is a failure.
pub fn run(config: &Config) -> Result<(), Failure> {
    let workload = config::prepare_workload(config)?;
    let service = config::describe_workload(config);
    let threads = config.threads.min(config.connections);
    let budget = nofile::raise_nofile_limit(threads);
    if config.connections > budget.clients {
        let most = budget.clients;
        let text = format!("no more than {most} connections: that is what the descriptors allow");
        return Err(Failure::new(Exit::Usage, text));
    }
    let address = connect::probe(&config.host, config.port, config.timeout)?;
    let load = LoadParameters {
        server: address.to_string(),
        service,
        connections: config.connections,
        pipeline: config.pipeline,
        threads,
        rate: config.rate,
        reconnect: config.reconnect,
    };
    // Filled at the end; who waits for that is to know now that they can be.
    for path in config.csv.iter().chain(&config.plot) {
        File::create(path).map_err(|error| cannot_write(path, &error))?;
    }
    let hdr = match &config.hdr {
        Some(path) => Some(
            HdrLog::create(path, &load.to_string(), wall_clock())
                .map_err(|error| cannot_write(path, &error))?,
        ),
        None => None,
    };
    let mut generator = Generator::start(config, workload, address, load.threads)?;
    let mut series = Series::new(hdr, generator::interval_length(config.length));
    let finished = generator.wait(&mut series, config.length)?;
    let report = generator.report(load, &mut series, &finished);
    write_outputs(config, &report, &series)?;
    outcome(&report)
}

/// The report, to everywhere it was asked for.
fn write_outputs(config: &Config, report: &LoadReport, series: &Series) -> Result<(), Failure> {
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

fn outcome(report: &LoadReport) -> Result<(), Failure> {
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
            let [faults, asked] = [counts.faults(), counts.asked].map(report::grouped);
            let text = format!("{faults} of {asked} replies were not as they should be");
            failure(Exit::Failed, text)
        }
        () => failure(Exit::Failed, "not every connection was served".to_owned()),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::cannot(format_args!("write {}", path.display()), error)
}

#[expect(clippy::disallowed_methods, reason = "the load's edge: the clock of its latencies")]
fn clock() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the time of day, for the head of a log")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
