//! What can be said about a load.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{choice, host, in_range, time};
use crate::arithmetic::Dialect;
use crate::load::workload::MAX_REQUEST;
use crate::load::{
    self, DEFAULT_DURATION, DEFAULT_ECHO_SIZE, DEFAULT_TIMEOUT, Length, WorkloadSpec,
};

/// The most requests a second that may be asked for.
const MAX_RATE: u64 = 1_000_000_000;

/// What can be said about a load.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The server's name or address.
    #[arg(value_parser = host)]
    host: String,
    /// The server's port.
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// How many connections at once.
    #[arg(short, long, value_name = "N", default_value = "50", value_parser = count)]
    connections: usize,
    /// The most requests in flight on each connection.
    #[arg(long, value_name = "N", default_value = "1", value_parser = count)]
    pipeline: usize,
    /// Ends after this time, such as 500ms or 1m [default: 10s].
    #[arg(short, long, value_name = "TIME", value_parser = time, conflicts_with = "requests")]
    duration: Option<humantime::Duration>,
    /// Ends after so many requests instead.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// How many threads share the connections.
    #[arg(long, value_name = "N", default_value = "1", value_parser = count)]
    threads: usize,
    /// Open loop: so many requests are due each second, evenly, whatever the server does. From
    /// 1000 on, a thread is busy all the time to be on time.
    #[arg(short, long, value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=MAX_RATE))]
    rate: Option<u64>,
    /// A new connection for each request.
    #[arg(long, conflicts_with = "pipeline")]
    reconnect: bool,
    /// How long to wait for a connection, and for each reply.
    #[arg(long, value_name = "TIME", default_value_t = DEFAULT_TIMEOUT.into(), value_parser = time)]
    timeout: humantime::Duration,
    /// What the server does for its clients.
    #[arg(long, value_enum, default_value_t = LoadServiceArg::Calc)]
    service: LoadServiceArg,
    /// Ask this, and expect what calc answers; may be given several times [default: sums].
    #[arg(short = 'e', long = "expression", value_name = "EXPR", allow_hyphen_values = true)]
    expressions: Vec<String>,
    /// Ask the lines of this file, one after the other.
    #[arg(long = "expr", value_name = "FILE")]
    file: Option<PathBuf>,
    /// The rules by which the server's calc counts.
    #[arg(long, default_value = "python", value_parser = choice::<Dialect>())]
    dialect: Dialect,
    /// The size of echo's lines, newline included [default: 16].
    #[arg(long, value_name = "BYTES", value_parser = size)]
    size: Option<usize>,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    /// Write the course of the load as CSV, a row for each interval.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write its latencies as a log of HDR histograms, a line for each interval.
    #[arg(long, value_name = "FILE")]
    hdr: Option<PathBuf>,
    /// Write a picture of it, as SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

impl BenchArgs {
    /// The plain configuration, or why these options do not go together.
    pub fn config(self) -> Result<load::Config, clap::Error> {
        let calc_only = !self.expressions.is_empty() || self.file.is_some();
        let workload = match self.service {
            LoadServiceArg::Echo if calc_only => {
                return Err(conflict("expressions are for --service calc"));
            }
            LoadServiceArg::Calc if self.size.is_some() => {
                return Err(conflict("--size is for --service echo"));
            }
            LoadServiceArg::Echo => WorkloadSpec::Echo(self.size.unwrap_or(DEFAULT_ECHO_SIZE)),
            LoadServiceArg::Calc => WorkloadSpec::Calc {
                expressions: self.expressions,
                file: self.file,
                dialect: self.dialect,
            },
        };
        Ok(load::Config {
            host: self.host,
            port: self.port,
            connections: self.connections,
            pipeline: self.pipeline,
            threads: self.threads,
            length: match (self.requests, self.duration) {
                (Some(n), _) => Length::Requests(n),
                (None, time) => Length::Time(time.map_or(DEFAULT_DURATION, Into::into)),
            },
            rate: self.rate,
            reconnect: self.reconnect,
            timeout: self.timeout.into(),
            workload,
            json: self.json,
            csv: self.csv,
            hdr: self.hdr,
            plot: self.plot,
        })
    }
}

/// See [`WorkloadSpec`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LoadServiceArg {
    /// An expression in, its value back.
    Calc,
    /// Every byte back as it came.
    Echo,
}

fn conflict(text: &str) -> clap::Error {
    clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, format!("{text}\n"))
}

fn count(text: &str) -> Result<usize, String> {
    in_range(text, 1, 1 << 20).ok_or_else(|| format!("expected a number, 1 to {}", 1 << 20))
}

fn size(text: &str) -> Result<usize, String> {
    in_range(text, 1, MAX_REQUEST)
        .ok_or_else(|| format!("expected a number of bytes, 1 to {MAX_REQUEST}"))
}
