//! The options of the command `bench`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::host::{ServerArg, ServerParser};
use super::service_options::message_limit;
use super::{choice, time, up_to};
use crate::arithmetic::Dialect;
use crate::client::{DEFAULT_HOST, DEFAULT_PORT};
use crate::escape;
use crate::load::workload::MAX_REQUEST;
use crate::load::{
    self, DEFAULT_DURATION, DEFAULT_ECHO_SIZE, DEFAULT_TIMEOUT, Length, Pattern, Target,
    WorkloadSpec,
};
use crate::session::Limits;

/// The highest rate, in requests per second.
const MAX_RATE: u64 = 1_000_000_000;

/// The greatest number of connections, of threads, and of requests in flight on a connection.
pub(super) const MAX_COUNT: usize = 1 << 20;

/// The options that make no sense beside a text of one's own.
const ONLY_OURS: [&str; 6] = ["service", "expressions", "file", "dialect", "max_message", "size"];

/// The value of --expect that stands for any reply.
const ANY: &str = "any";

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
    #[arg(long = "expression-file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// The old name of --expression-file, too easily taken for that of -e.
    #[arg(long = "expr", hide = true, value_parser = renamed, allow_hyphen_values = true)]
    expr: Option<()>,
    /// Send this text, with the escapes of C, as in 'PING\r\n': for a server of any kind.
    #[arg(long, value_name = "TEXT", value_parser = escaped, allow_hyphen_values = true,
        requires = "expect", conflicts_with_all = ONLY_OURS)]
    send: Option<EscapedText>,
    /// Expect this reply, with the escapes of C, as in '+PONG\r\n'; or any: a reply is whatever
    /// comes up to its newline.
    #[arg(long, value_name = "TEXT|any", value_parser = escaped, allow_hyphen_values = true,
        requires = "send")]
    expect: Option<EscapedText>,
    /// For a server without newlines: none is sent. A reply ends when it has the expected bytes, or
    /// after 25 ms of silence.
    #[arg(long, conflicts_with = "pipeline")]
    bare: bool,
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
    /// The server's name or address; HOST:PORT and unix:PATH as well.
    #[arg(value_name = "HOST", default_value = DEFAULT_HOST, value_parser = ServerParser)]
    server: ServerArg,
    /// The server's port [default: 5000].
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    #[command(flatten)]
    pattern: PatternOptions,
    /// The length of the load, such as 500ms or 1m [default: 10s].
    #[arg(short, long, value_name = "TIME", value_parser = time, conflicts_with = "requests")]
    duration: Option<humantime::Duration>,
    /// The length of the load as a number of requests. The load ends early if no connection can
    /// be made for the time of --timeout, or nothing is answered for three times as long.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// Send requests for this time before the load. What is answered in it is in no count.
    #[arg(long, value_name = "TIME", value_parser = time)]
    warmup: Option<humantime::Duration>,
    /// Open loop: N requests are due per second, evenly spaced, whatever the server does. From
    /// 1000 on, a thread does not sleep, in order to be on time. Fails if the server does not keep
    /// up.
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
            _ if self.send.is_some() => exchange(self.send, self.expect, self.bare)?,
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
            bare: self.bare,
        })
    }
}

impl BenchArgs {
    /// The plain configuration, or an error if the options exclude each other.
    pub fn config(self) -> Result<load::Config, clap::Error> {
        Ok(load::Config {
            target: target(self.server, self.port)?,
            pattern: self.pattern.config()?,
            warm_up: self.warmup.map_or(Duration::ZERO, Into::into),
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

/// A text from the command line.
#[derive(Clone, Debug)]
struct EscapedText {
    written: String,
    bytes: Vec<u8>,
}

fn escaped(text: &str) -> Result<EscapedText, String> {
    let bytes = escape::unescape(text)?;
    if bytes.is_empty() {
        return Err("the text is empty".to_owned());
    }
    Ok(EscapedText { written: text.to_owned(), bytes })
}

/// The workload of --send and --expect.
fn exchange(
    send: Option<EscapedText>,
    expect: Option<EscapedText>,
    bare: bool,
) -> Result<WorkloadSpec, clap::Error> {
    let expect = expect.filter(|expect| expect.written != ANY).map(|expect| expect.bytes);
    if expect.as_ref().is_some_and(|reply| !bare && !reply.ends_with(b"\n")) {
        return Err(conflict(
            "the text of --expect does not end in a newline: give the whole reply, or any, \
             or use --bare for a server without newlines",
        ));
    }
    Ok(WorkloadSpec::Exchange { send: send.map(|send| send.bytes).unwrap_or_default(), expect })
}

fn renamed(_: &str) -> Result<(), String> {
    Err("it is now --expression-file FILE; one expression is sent by -e EXPR".to_owned())
}

fn target(server: ServerArg, port: Option<u16>) -> Result<Target, clap::Error> {
    match (server, port) {
        (ServerArg::Host(host), port) => Ok(Target::Tcp(host, port.unwrap_or(DEFAULT_PORT))),
        (ServerArg::HostPort(host, port), None) => Ok(Target::Tcp(host, port)),
        (ServerArg::HostPort(host, port), Some(_)) => {
            Err(conflict(&format!("the port is given twice, as in: socklab bench {host} {port}")))
        }
        (ServerArg::Unix(path), None) => Ok(Target::Unix(path)),
        (ServerArg::Unix(_), Some(_)) => Err(conflict("a Unix socket has no port")),
    }
}

pub(super) fn conflict(text: &str) -> clap::Error {
    clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, format!("{text}\n"))
}

fn count(text: &str) -> Result<usize, String> {
    up_to(MAX_COUNT, "a number", text)
}

fn size(text: &str) -> Result<usize, String> {
    up_to(MAX_REQUEST, "a number of bytes", text)
}
