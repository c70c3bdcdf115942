//! What can be said about the treatment of clients, to a server or to one of its processes.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::{in_range, time};
use crate::arithmetic::Dialect;
use crate::model::{ServiceOptions, stdio_session};
use crate::service::{MAX_QUESTIONS, MAX_REPLY, QUESTIONS, Rules, ServiceSpec};
use crate::session::{FramingMode, Limits, MAX_MESSAGE_LIMIT};

/// The longest text that every client is told, in bytes: with what goes around it, it is a reply.
const MAX_TEXT: usize = MAX_REPLY / 2;

/// What every client gets.
#[derive(Debug, Args)]
pub struct ServiceOptionsArgs {
    /// What it does for its clients [default: calc].
    #[arg(long, value_enum)]
    service: Option<ServiceArg>,
    /// How the end of a message is known.
    #[arg(long, value_enum, default_value_t = FramingArg::Auto)]
    framing: FramingArg,
    /// The rules by which calc counts.
    #[arg(long, value_enum, default_value_t = DialectArg::Python)]
    dialect: DialectArg,
    /// What calc says of any mistake, instead of its own words.
    #[arg(long, value_name = "TEXT", value_parser = reply)]
    error_text: Option<Arc<str>>,
    /// What hello says.
    #[arg(long, value_name = "TEXT", default_value = "Hello from the server!",
        value_parser = reply)]
    greeting: Arc<str>,
    /// A first line for every client.
    #[arg(long, value_name = "TEXT", value_parser = reply)]
    banner: Option<Arc<str>>,
    /// One request for each client of calc, echo and fourops, then the end.
    #[arg(long)]
    once: bool,
    /// The number that the quiz's questions come from [default: another one each time].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many questions the quiz asks.
    #[arg(long, value_name = "N", default_value_t = QUESTIONS,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_QUESTIONS)))]
    questions: u32,
    /// The table to which the quiz adds a row for each game, as CSV.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// The longest message, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().max_message,
        value_parser = message_limit)]
    max_message: usize,
    /// How long a client may be silent, such as 90s or 5m.
    #[arg(long, value_name = "TIME", default_value_t = Limits::default().idle.into(),
        value_parser = time)]
    idle_timeout: humantime::Duration,
    /// How long one message may take to arrive.
    #[arg(long, value_name = "TIME", default_value_t = Limits::default().arrival.into(),
        value_parser = time)]
    arrival_timeout: humantime::Duration,
    /// How long a client may leave its replies unread.
    #[arg(long, value_name = "TIME", default_value_t = Limits::default().unread.into(),
        value_parser = time)]
    unread_timeout: humantime::Duration,
}

impl ServiceOptionsArgs {
    /// The plain configuration. `service` is the command's own, where nothing is said.
    pub(super) fn service_options(self, service: ServiceArg) -> ServiceOptions {
        let spec = match self.service.unwrap_or(service) {
            ServiceArg::Calc => ServiceSpec::Calc(self.dialect.into(), self.error_text),
            ServiceArg::Echo => ServiceSpec::Echo,
            ServiceArg::Hello => ServiceSpec::Hello(self.greeting),
            ServiceArg::Fourops => ServiceSpec::Fourops,
            ServiceArg::Quiz => ServiceSpec::Quiz(Rules {
                seed: self.seed.unwrap_or_else(any_seed),
                questions: self.questions,
                board: None,
            }),
        };
        ServiceOptions {
            spec,
            banner: self.banner,
            once: self.once,
            results: self.results,
            limits: Limits {
                framing_mode: match self.framing {
                    FramingArg::Auto => FramingMode::Auto,
                    FramingArg::Line => FramingMode::Line,
                },
                max_message: self.max_message,
                idle: self.idle_timeout.into(),
                arrival: self.arrival_timeout.into(),
                unread: self.unread_timeout.into(),
                traffic: Arc::default(),
            },
        }
    }
}

/// What can be said about a single connection.
#[derive(Debug, Args)]
pub struct SessionArgs {
    /// The client's number in the log.
    #[arg(long, value_name = "N", default_value_t = 1, hide = true)]
    client: u64,
    /// A file that has something to read, if only its end, when the server stops.
    #[arg(long, value_name = "FILE", hide = true, requires = "report")]
    until: Option<PathBuf>,
    /// A file for the last word on the connection.
    #[arg(long, value_name = "FILE", hide = true, requires = "until")]
    report: Option<PathBuf>,
    #[command(flatten)]
    service_options: ServiceOptionsArgs,
}

impl SessionArgs {
    /// The plain configuration.
    pub fn config(self) -> stdio_session::Config {
        let parent = self.until.zip(self.report);
        stdio_session::Config {
            service_options: self.service_options.service_options(ServiceArg::Calc),
            client: self.client,
            parent: parent.map(|(until, report)| stdio_session::ParentPipes { until, report }),
        }
    }
}

/// See [`ServiceSpec`].
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ServiceArg {
    /// An expression in, its value back.
    Calc,
    /// Every byte back as it came.
    Echo,
    /// One message in, a greeting back, the end.
    Hello,
    /// A game of sums, with marks.
    Quiz,
    /// Two numbers in, their sum, difference, product and quotient back.
    Fourops,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FramingArg {
    /// By what the client sends: a newline, a NUL, a length, or silence.
    Auto,
    /// By a newline.
    Line,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum DialectArg {
    /// As Python counts: 7 / 2 is 3.5.
    Python,
    /// As C counts: 7 / 2 is 3.
    Integer,
}

impl From<DialectArg> for Dialect {
    fn from(dialect: DialectArg) -> Self {
        match dialect {
            DialectArg::Python => Self::Python,
            DialectArg::Integer => Self::Integer,
        }
    }
}

fn reply(text: &str) -> Result<Arc<str>, String> {
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(format!("expected a text of 1 to {MAX_TEXT} bytes"));
    }
    Ok(text.into())
}

/// A seed that nobody can guess from the last one: the keys of a hash table are drawn like this.
fn any_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn message_limit(text: &str) -> Result<usize, String> {
    in_range(text, 1, MAX_MESSAGE_LIMIT)
        .ok_or_else(|| format!("expected a number of bytes, 1 to {MAX_MESSAGE_LIMIT}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        service_options: ServiceOptionsArgs,
    }

    #[test]
    fn a_process_is_told_all_that_its_server_was_told() {
        for said in [
            "",
            "--service=calc --dialect=integer --error-text=--once --once",
            "--service=echo --banner=-x --framing=line --max-message=7",
            "--service=hello --greeting=\"it's\" --idle-timeout=1500ms --arrival-timeout=1ms",
            "--service=fourops --unread-timeout=9years --arrival-timeout=90s",
            "--service=quiz --seed=18446744073709551615 --questions=3 --results=/tmp/x=y.csv",
        ] {
            let parse = |options: Vec<std::ffi::OsString>| {
                let line = std::iter::once("session".into()).chain(options);
                Line::parse_from(line).service_options.service_options(ServiceArg::Calc)
            };
            let told = parse(said.split_whitespace().map(Into::into).collect());
            let passed_on = parse(told.options());
            assert_eq!(format!("{passed_on:?}"), format!("{told:?}"));
        }
    }
}
