//! What a load is to be, and the workload that is made of it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::MAX_SHOWN;
use super::workload::{MAX_IN_FLIGHT, MAX_REQUEST, Workload};
use crate::arithmetic::Dialect;
use crate::error::{Exit, Failure};
use crate::escape;

/// How long a reply is waited for, if nothing else is said.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a load lasts, if nothing is said.
pub const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// The size of echo's lines, if nothing is said.
pub const DEFAULT_ECHO_SIZE: usize = 16;

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
pub enum WorkloadSpec {
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
    pub workload: WorkloadSpec,
    /// Whether the report is JSON.
    pub json: bool,
    /// Where the intervals go as CSV.
    pub csv: Option<PathBuf>,
    /// Where they go as a log of HDR histograms.
    pub hdr: Option<PathBuf>,
    /// Where the picture goes.
    pub plot: Option<PathBuf>,
}

/// Works out what is asked, and refuses what a connection cannot take.
pub(super) fn prepare_workload(config: &Config) -> Result<Workload, Failure> {
    let usage = |text| Failure::new(Exit::Usage, text);
    let (most, fits) = (
        MAX_REQUEST,
        config.pipeline.saturating_mul(match config.workload {
            WorkloadSpec::Echo(size) => size,
            WorkloadSpec::Calc { .. } => 1,
        }),
    );
    if fits > MAX_IN_FLIGHT {
        return Err(too_much_in_flight());
    }
    let workload = match &config.workload {
        WorkloadSpec::Echo(size) => Workload::echo(*size, config.pipeline),
        WorkloadSpec::Calc { expressions, file, dialect } => {
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
            Workload::calc(&expressions, *dialect)
        }
    };
    match workload.longest_request() {
        n if n > most => Err(usage(format!("a request may have {most} bytes, not {n}"))),
        n if n * config.pipeline > MAX_IN_FLIGHT => Err(too_much_in_flight()),
        _ => Ok(workload),
    }
}

fn too_much_in_flight() -> Failure {
    let text = format!("no more than {MAX_IN_FLIGHT} bytes of requests in flight on a connection");
    Failure::new(Exit::Usage, text).hint("use a smaller --pipeline, or smaller requests")
}

/// What is asked, in a few words.
pub(super) fn describe_workload(config: &Config) -> String {
    match &config.workload {
        WorkloadSpec::Echo(1) => "echo of 1 byte".to_owned(),
        WorkloadSpec::Echo(size) => format!("echo of {size} bytes"),
        WorkloadSpec::Calc { expressions, file: None, .. } => match expressions.as_slice() {
            [] => "calc of sums".to_owned(),
            [one] => format!("calc of \"{}\"", escape::excerpt(one.as_bytes(), MAX_SHOWN)),
            more => format!("calc of {} expressions", more.len()),
        },
        WorkloadSpec::Calc { file: Some(path), .. } => {
            format!("calc of the lines of {}", path.display())
        }
    }
}
