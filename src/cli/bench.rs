//! The options of the command `bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::service_options::message_limit;
use super::{choice, host, time, up_to};
use crate::arithmetic::Dialect;
use crate::load::workload::MAX_REQUEST;
use crate::load::{
    self, DEFAULT_DURATION, DEFAULT_ECHO_SIZE, DEFAULT_TIMEOUT, Length, Pattern, WorkloadSpec,
};
use crate::session::Limits;

/// The highest rate, in requests per second.
const MAX_RATE: u64 = 1_000_000_000;

/// The options of a load's connections and requests.
#[derive(Debug, Args)]
pub(super) struct PatternOptions {
    /// The number of connections, open at the same time.
    #[arg(short, long, value_name = "N", default_value = "50", value_parser = count)]
    connections: usize,
    /// The most requests in flight on each connection.
    #[arg(long, value_name = "N", default_value = "1", value_parser = count)]
    pipeline: usize,
    /// The number of threads that share the connections.
    #[arg(long, value_name = "N", default_value = "1", value_parser = count)]
    threads: usize,
    /// Open a new connection for each request. Its latency begins with the connect.
    #[arg(long, conflicts_with = "pipeline")]
    reconnect: bool,
    /// The time limit for each connection, and for each reply.
    #[arg(long, value_name = "TIME", default_value_t = DEFAULT_TIMEOUT.into(), value_parser = time)]
    timeout: humantime::Duration,
    /// The service that the server offers.
    #[arg(long, value_enum, default_value_t = LoadServiceArg::Calc)]
    service: LoadServiceArg,
    /// Send this expression, and expect its value; may be repeated [default: sums].
    #[arg(short = 'e', long = "expression", value_name = "EXPR", allow_hyphen_values = true)]
    expressions: Vec<String>,
    /// Send the lines of this file as expressions.
    #[arg(long = "expr", value_name = "FILE")]
    file: Option<PathBuf>,
    /// The arithmetic of the server's calc.
    #[arg(long, default_value = "python", value_parser = choice::<Dialect>())]
    dialect: Dialect,
    /// The longest message that the server's calc takes, in bytes [default: 4096].
    #[arg(long, value_name = "BYTES", value_parser = message_limit)]
    max_message: Option<usize>,
    /// The size of the lines for echo, including the newline [default: 16].
    #[arg(long, value_name = "BYTES", value_parser = size)]
    size: Option<usize>,
}

/// The options of the command `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The server's name or address.
    #[arg(value_parser = host(1))]
    host: String,
    /// The server's port.
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    #[command(flatten)]
    pattern: PatternOptions,
    /// The length of the load, such as 500ms or 1m [default: 10s].
    #[arg(short, long, value_name = "TIME", value_parser = time, conflicts_with = "requests")]
    duration: Option<humantime::Duration>,
    /// The length of the load as a number of requests. The load ends early if no connection can
    /// be made for the time of --timeout, or nothing is answered for three times as long.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// Open loop: N requests are due per second, evenly spaced, whatever the server does. From
    /// 1000 on, a thread does not sleep, in order to be on time.
    #[arg(short, long, value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=MAX_RATE))]
    rate: Option<u64>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Write the figures of each interval as a row of CSV.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the latencies of each interval as a line of a log of HDR histograms.
    #[arg(long, value_name = "FILE")]
    hdr: Option<PathBuf>,
    /// Draw throughput and latencies as SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

impl PatternOptions {
    /// The plain configuration, or an error if the options exclude each other.
    pub(super) fn config(self) -> Result<Pattern, clap::Error> {
        let calc_only = !self.expressions.is_empty() || self.file.is_some();
        let default_limit = Limits::default().max_message;
        let workload = match self.service {
            LoadServiceArg::Echo if calc_only => {
                return Err(conflict("expressions need --service calc"));
            }
            LoadServiceArg::Echo if self.max_message.is_some() => {
                return Err(conflict("--max-message needs --service calc"));
            }
            LoadServiceArg::Calc if self.size.is_some() => {
                return Err(conflict("--size needs --service echo"));
            }
            LoadServiceArg::Echo => WorkloadSpec::Echo(self.size.unwrap_or(DEFAULT_ECHO_SIZE)),
            LoadServiceArg::Calc => WorkloadSpec::Calc {
                expressions: self.expressions,
                file: self.file,
                dialect: self.dialect,
                max_message: self.max_message.unwrap_or(default_limit),
            },
        };
        Ok(Pattern {
            connections: self.connections,
            pipeline: self.pipeline,
            threads: self.threads,
            reconnect: self.reconnect,
            timeout: self.timeout.into(),
            workload,
        })
    }
}

impl BenchArgs {
    /// The plain configuration, or an error if the options exclude each other.
    pub fn config(self) -> Result<load::Config, clap::Error> {
        Ok(load::Config {
            host: self.host,
            port: self.port,
            pattern: self.pattern.config()?,
            length: match (self.requests, self.duration) {
                (Some(n), _) => Length::Requests(n),
                (None, time) => Length::Time(time.map_or(DEFAULT_DURATION, Into::into)),
            },
            rate: self.rate,
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
    /// Replies with the value of an expression.
    Calc,
    /// Sends every byte back.
    Echo,
}

pub(super) fn conflict(text: &str) -> clap::Error {
    clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, format!("{text}\n"))
}

fn count(text: &str) -> Result<usize, String> {
    up_to(1 << 20, "a number", text)
}

fn size(text: &str) -> Result<usize, String> {
    up_to(MAX_REQUEST, "a number of bytes", text)
}
