//! The command line: its commands and options, and their conversion to plain configurations.

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::choice::Choice;
use crate::client::{self, DEFAULT_HOST, DEFAULT_PORT, DEFAULT_TIMEOUT, play};
use crate::duration::UNLIMITED;
use crate::escape;
use crate::explain;
use crate::model::{self, DRAIN_TIMEOUT, MAX_SHARDS, MAX_WORKERS, Model};
use crate::net::limiter::WhenFull;
use crate::service::ServiceKind;

mod bench;
mod compare;
mod grade;
mod host;
mod service_options;
mod show;
mod subject;

pub use bench::BenchArgs;
pub use compare::CompareArgs;
pub use grade::GradeArgs;
use host::host;
pub use service_options::SessionArgs;
use service_options::{SessionOptions, check_service, child_args};
pub use show::ShowArgs;
pub use subject::{SuperviseArgs, WithArgs};

/// A laboratory for TCP servers: the same small services under every classic server design.
#[derive(Debug, Parser)]
#[command(name = "socklab", version, max_term_width = 100)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// Log more: each message and its reply.
    #[arg(short, long, global = true, display_order = 100, action = ArgAction::Count)]
    pub verbose: u8,
    /// Log less: warnings only; twice: nothing.
    #[arg(short, long, global = true, display_order = 101, action = ArgAction::Count,
        conflicts_with = "verbose")]
    pub quiet: u8,
}

impl Cli {
    /// Parses a command line, of which the first argument is the name of the program. An error is
    /// a usage error, or the help or version text that was asked for.
    pub fn parse_line(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let line: Vec<_> = line.into_iter().collect();
        Self::try_parse(&line).map_err(|error| {
            // An error quotes arguments, and may be shown on a terminal: the error of the same
            // line with its hidden characters escaped says the same.
            let shown = line.iter().map(|arg| escape::for_failure(arg.as_encoded_bytes()).into());
            Self::try_parse(&shown.collect::<Vec<_>>()).err().unwrap_or(error)
        })
    }

    fn try_parse(line: &[OsString]) -> Result<Self, clap::Error> {
        let mut parser = Self::command();
        let matches = parser.try_get_matches_from_mut(line)?;
        if let Some((command, options)) = matches.subcommand() {
            let command = parser.find_subcommand_mut(command).expect("it has matched");
            check_service(command, options)?;
        }
        Self::from_arg_matches(&matches)
    }

    /// The log level that -v and -q select. Without either, `RUST_LOG` does.
    pub fn log_level(&self) -> Option<log::LevelFilter> {
        match (self.verbose, self.quiet) {
            (0, 0) => None,
            (0, 1) => Some(log::LevelFilter::Warn),
            (0, _) => Some(log::LevelFilter::Off),
            (1, _) => Some(log::LevelFilter::Debug),
            _ => Some(log::LevelFilter::Trace),
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve clients until Ctrl-C or SIGTERM.
    Serve(ServeArgs),
    /// The first of the original servers: calc for one client at a time (serve --model single).
    #[command(mut_arg("model", |model| model.default_value(Model::Single.name())))]
    Server1(ServeArgs),
    /// The second: calc with a thread for each client (serve --model thread).
    #[command(mut_arg("model", |model| model.default_value(Model::Thread.name())))]
    Server2(ServeArgs),
    /// The third: calc in one readiness loop (serve --model loop).
    Server3(ServeArgs),
    /// The fourth: echo in one readiness loop (serve --model loop --service echo).
    #[command(mut_arg("service", |service| service.default_value(ServiceKind::Echo.name())))]
    Server4(ServeArgs),
    /// Serve the connection on stdin and stdout, for inetd, socat and other superservers.
    Session(SessionArgs),
    /// Send messages to a server and print its replies: from a pipe, from options, on a terminal.
    Client(ClientArgs),
    /// Play a server's quiz: on a terminal, or from a pipe with yes, a name and answers.
    Play(PlayArgs),
    /// Generate load on a server and check every reply.
    ///
    /// Ctrl-C ends the load early, and the report covers the time until then. A second Ctrl-C does
    /// not wait for the replies in flight.
    Bench(BenchArgs),
    /// Start a server, wait until it listens, run a command, and stop the server.
    ///
    /// The exit status is that of the command; 125 if the server never listened, 126 or 127 if the
    /// command cannot be run. The server is anything: nothing connects to it before the command.
    With(WithArgs),
    /// Judge a server by its answers, its behaviour and its design, and say what to change.
    ///
    /// The exit status is 0 if all tests hold, 1 if some do not, 5 if the server never listened.
    Grade(GradeArgs),
    /// Show what the kernel does: lessons with real sockets, each about one question.
    ///
    /// Without a topic, the topics are listed. The exit status is 0 if the kernel did as
    /// expected, 1 if it did otherwise.
    Show(ShowArgs),
    /// Compare servers: which one is faster on this machine, and is the difference real?
    ///
    /// The exit status is 1 if any of them failed. Ctrl-C ends the comparison, and the report has
    /// the whole rounds until then.
    Compare(CompareArgs),
    /// Supervise a server under test.
    #[command(hide = true)]
    Supervise(SuperviseArgs),
    /// Become a server under test.
    #[command(hide = true)]
    Launch(SuperviseArgs),
}

impl Command {
    /// True if the command accepts clients.
    pub fn is_server(&self) -> bool {
        matches!(
            self,
            Self::Serve(_)
                | Self::Server1(_)
                | Self::Server2(_)
                | Self::Server3(_)
                | Self::Server4(_)
        )
    }

    /// True if the command explains its system calls. A session does if its server does.
    pub fn explains(&self) -> bool {
        match self {
            Self::Serve(args)
            | Self::Server1(args)
            | Self::Server2(args)
            | Self::Server3(args)
            | Self::Server4(args) => args.explain,
            Self::Session(_) => explain::is_inherited(),
            _ => false,
        }
    }

    /// True if the command runs in a network of its own.
    pub fn is_isolated(&self) -> bool {
        match self {
            Self::With(args) => args.is_isolated(),
            Self::Grade(args) => args.is_isolated(),
            Self::Compare(args) => args.is_isolated(),
            _ => false,
        }
    }
}

/// The options of a server.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The name or address to listen on.
    #[arg(default_value = DEFAULT_HOST, value_parser = host(0))]
    host: String,
    /// The port to listen on; 0 for any that is free.
    #[arg(default_value_t = DEFAULT_PORT)]
    port: u16,
    /// The design of the server.
    #[arg(long, default_value = Model::Loop.name(), value_parser = model())]
    model: Model,
    /// The limit on clients [default: 1 for single, 8 for pool and prefork, 512 for process, 3 for
    /// quiz, else what the descriptor limit allows].
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    max_clients: Option<usize>,
    /// The limit on clients from one address [default: none]. A client beyond it is told busy under
    /// reply and queue, and reset under refuse and reset: its address is unknown before accept(2).
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    max_per_source: Option<usize>,
    /// The policy for a client beyond the limit.
    #[arg(long, default_value = "reply", value_parser = choice::<WhenFull>())]
    when_full: WhenFull,
    /// The length of the accept queue, to which Linux adds 1 [default: 0 for single, else 1024].
    #[arg(long, value_name = "N")]
    backlog: Option<u32>,
    /// The number of loops of sharded [default: one for each core].
    #[arg(long, value_name = "N", value_parser = shards)]
    shards: Option<usize>,
    /// The number of workers that pool and prefork start beforehand, and so their limit on clients,
    /// 1 to 16384 [default: --max-clients, else 8].
    #[arg(long, value_name = "N", value_parser = workers, conflicts_with = "max_clients")]
    workers: Option<usize>,
    /// The time for clients to finish when the server stops, such as 500ms or 5s.
    #[arg(long, value_name = "TIME", default_value_t = DRAIN_TIMEOUT.into(), value_parser = time)]
    drain_timeout: humantime::Duration,
    /// Tell in words, on stderr, each system call on a client, and why each message ended.
    ///
    /// A line begins with the turn of the loop, or the thread or process (pid) that makes the call.
    /// Threads and processes try a call without a wait first, and tell what they wait in. Not told
    /// are the calls that set up sockets, those that start threads and processes, and those on a
    /// client that is closed at once. The lines take the place of the log's information, which -v
    /// brings back.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    session: SessionOptions,
}

impl ServeArgs {
    /// The plain configuration.
    pub fn config(self) -> model::Config {
        let session = self.session.config();
        model::Config {
            host: self.host,
            port: self.port,
            model: self.model,
            child_args,
            session,
            max_clients: self.max_clients,
            max_per_source: self.max_per_source,
            when_full: self.when_full,
            backlog: self.backlog,
            shards: self.shards,
            workers: self.workers,
            drain_timeout: self.drain_timeout.into(),
        }
    }
}

/// The options of the command `client`.
#[derive(Debug, Args)]
pub struct ClientArgs {
    /// The server's name or address [default: prompted for on a terminal].
    #[arg(value_parser = host(1))]
    host: Option<String>,
    /// The server's port [default: 5000].
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Send this instead of standard input; may be repeated.
    #[arg(short = 'e', long = "expression", value_name = "EXPR", allow_hyphen_values = true)]
    expressions: Vec<String>,
    /// The time limit for the connection, and for each answer, such as 500ms or 2s.
    #[arg(long, value_name = "TIME", default_value_t = DEFAULT_TIMEOUT.into(), value_parser = time)]
    timeout: humantime::Duration,
    /// Send messages without a newline, for a server that cannot take one.
    #[arg(long)]
    bare: bool,
    /// After each answer, ask whether to continue; only on a terminal.
    #[arg(long)]
    confirm: bool,
}

impl ClientArgs {
    /// The plain configuration.
    pub fn config(self) -> client::Config {
        client::Config {
            host: self.host,
            port: self.port,
            expressions: self.expressions,
            timeout: self.timeout.into(),
            bare: self.bare,
            confirm: self.confirm,
        }
    }
}

/// The options of the command `play`.
#[derive(Debug, Args)]
pub struct PlayArgs {
    /// The server's name or address [default: prompted for on a terminal].
    #[arg(value_parser = host(1))]
    host: Option<String>,
    /// The server's port [default: 5000].
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The time limit for the connection, and for each message, such as 500ms or 2s.
    #[arg(long, value_name = "TIME", default_value_t = DEFAULT_TIMEOUT.into(),
        value_parser = time)]
    timeout: humantime::Duration,
}

impl PlayArgs {
    /// The plain configuration.
    pub fn config(self) -> play::Config {
        play::Config { host: self.host, port: self.port, timeout: self.timeout.into() }
    }
}

/// A parser of the models' names, and of another name of poll: its help says why it has one.
fn model() -> impl TypedValueParser<Value = Model> {
    let values = named::<Model>().map(|value| match value.get_name() {
        name if name == Model::Poll.name() => value.alias("select"),
        _ => value,
    });
    PossibleValuesParser::new(values).map(|name| Model::named(&name).unwrap_or(Model::Poll))
}

/// A parser of the names of a closed list.
fn choice<C: Choice + Send + Sync>() -> impl TypedValueParser<Value = C> {
    PossibleValuesParser::new(named::<C>())
        .map(|name| C::named(&name).expect("the parser takes only names of the list"))
}

/// The names of a closed list, with their help.
fn named<C: Choice>() -> impl Iterator<Item = PossibleValue> {
    C::ALL.iter().map(|value| PossibleValue::new(value.name()).help(value.description()))
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let n = text.parse().ok().filter(|&n| n > 0);
    n.ok_or_else(|| "expected a number, at least 1".to_owned())
}

fn shards(text: &str) -> Result<usize, String> {
    up_to(MAX_SHARDS, "a number", text)
}

fn workers(text: &str) -> Result<usize, String> {
    up_to(MAX_WORKERS, "a number", text)
}

/// Parses a whole number from 1 to `most`; `noun` stands for it in the error.
fn up_to(most: usize, noun: &str, text: &str) -> Result<usize, String> {
    let n = text.parse().ok().filter(|n| (1..=most).contains(n));
    n.ok_or_else(|| format!("expected {noun}, 1 to {most}"))
}

fn time(text: &str) -> Result<humantime::Duration, String> {
    text.parse()
        .ok()
        .filter(|time: &humantime::Duration| (Duration::from_millis(1)..=UNLIMITED).contains(time))
        .ok_or_else(|| "expected a time such as 500ms, 2s or 5m, at least 1ms".to_owned())
}
