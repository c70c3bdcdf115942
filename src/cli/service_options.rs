//! The options of a client's session: for a server, for the command `session`, and for the command
//! line with which a server of the models `process` and `prefork`
//! starts its children.

use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};

use super::{choice, time, up_to};
use crate::arithmetic::Dialect;
use crate::choice::Choice;
use crate::model::{Input, ParentPipes, SessionConfig, StdioConfig};
use crate::service::{MAX_QUESTIONS, MAX_REPLY, Rules, ServiceKind, ServiceSpec};
use crate::session::{FramingMode, Limits, MAX_MESSAGE_LIMIT};

/// The longest text of an option that is part of a reply, in bytes.
const MAX_TEXT: usize = MAX_REPLY / 2;

/// The options that only one service has. `--once` is for all: some services always close.
const OPTIONS_OF: [(ServiceKind, &[&str]); 3] = [
    (ServiceKind::Calc, &["dialect", "error-text"]),
    (ServiceKind::Hello, &["greeting"]),
    (ServiceKind::Quiz, &["seed", "questions", "results"]),
];

/// The only service that has the option, if not all have it.
fn service_of(option: &str) -> Option<ServiceKind> {
    OPTIONS_OF.iter().find(|(_, options)| options.contains(&option)).map(|(service, _)| *service)
}

/// Refuses options of services other than the one chosen.
pub(super) fn check_service(
    command: &mut clap::Command,
    matches: &ArgMatches,
) -> Result<(), clap::Error> {
    let Ok(Some(&service)) = matches.try_get_one::<ServiceKind>("service") else { return Ok(()) };
    for &(other, options) in OPTIONS_OF.iter().filter(|(other, _)| *other != service) {
        for option in options {
            let id = option.replace('-', "_");
            // A command that starts a server has few of its options.
            let known = matches.try_contains_id(&id).is_ok();
            if known && matches.value_source(&id) == Some(ValueSource::CommandLine) {
                let (other, service) = (other.name(), service.name());
                let text =
                    format!("--{option} is an option of {other}, but the service is {service}");
                return Err(command.error(ErrorKind::ArgumentConflict, text));
            }
        }
    }
    Ok(())
}

/// The options of a client's session.
#[derive(Debug, Args)]
pub(super) struct SessionOptions {
    /// The service.
    #[arg(long, default_value = ServiceKind::Calc.name(), value_parser = choice::<ServiceKind>())]
    service: ServiceKind,
    /// The rule that finds the end of a message.
    #[arg(long, default_value = "auto", value_parser = choice::<FramingMode>())]
    framing: FramingMode,
    /// The arithmetic of calc.
    #[arg(long, default_value = "python", value_parser = choice::<Dialect>())]
    dialect: Dialect,
    /// The reply of calc to every error, instead of the error's own text.
    #[arg(long, value_name = "TEXT", value_parser = reply)]
    error_text: Option<Arc<str>>,
    /// The reply of hello.
    #[arg(long, value_name = "TEXT", default_value = "Hello from the server!",
        value_parser = reply)]
    greeting: Arc<str>,
    /// A first line for every client.
    #[arg(long, value_name = "TEXT", value_parser = reply)]
    banner: Option<Arc<str>>,
    /// Close after one reply of calc, echo or fourops.
    #[arg(long)]
    once: bool,
    /// The seed of the quiz's questions [default: a new one at each start].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The number of questions in a quiz.
    #[arg(long, value_name = "N", default_value_t = Rules::default().questions,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_QUESTIONS)))]
    questions: u32,
    /// The CSV file to which the quiz appends a row for each game.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// The longest message, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().max_message,
        value_parser = message_limit)]
    max_message: usize,
    /// The longest silence of a client, such as 90s or 5m. The models thread and pool may notice
    /// one of 1m or more up to 10s late.
    #[arg(long, value_name = "TIME", default_value_t = Limits::default().idle.into(),
        value_parser = time)]
    idle_timeout: humantime::Duration,
    /// The longest time for one message to arrive.
    #[arg(long, value_name = "TIME", default_value_t = Limits::default().arrival.into(),
        value_parser = time)]
    arrival_timeout: humantime::Duration,
    /// The longest time for which replies are owed to a client; each 16 bytes that it reads extend
    /// it by 1s.
    #[arg(long, value_name = "TIME", default_value_t = Limits::default().unread.into(),
        value_parser = time)]
    unread_timeout: humantime::Duration,
}

impl SessionOptions {
    /// The plain configuration.
    pub(super) fn config(self) -> SessionConfig {
        let rules = match self.service {
            ServiceKind::Quiz => {
                Rules { seed: self.seed.unwrap_or_else(random_seed), questions: self.questions }
            }
            _ => Rules::default(),
        };
        SessionConfig {
            service: ServiceSpec {
                kind: self.service,
                dialect: self.dialect,
                error_text: self.error_text,
                greeting: self.greeting,
                rules,
                banner: self.banner,
                once: self.once,
            },
            limits: Limits {
                framing_mode: self.framing,
                max_message: self.max_message,
                idle: self.idle_timeout.into(),
                arrival: self.arrival_timeout.into(),
                unread: self.unread_timeout.into(),
            },
            results: self.results,
        }
    }
}

/// The command line that [`SessionArgs`] parses into this configuration, without the program.
pub(super) fn child_args(config: &StdioConfig) -> Vec<OsString> {
    let StdioConfig { session, client, input, parent } = config;
    let SessionConfig { service, limits, results } = session;
    let ServiceSpec { kind, dialect, error_text, greeting, rules, banner, once } = service;
    let Limits { framing_mode, max_message, idle, arrival, unread } = limits;
    let mut options = vec![
        ("client", client.to_string().into()),
        ("service", OsString::from(kind.name())),
        ("dialect", dialect.name().into()),
        ("greeting", greeting.as_ref().into()),
        ("seed", rules.seed.to_string().into()),
        ("questions", rules.questions.to_string().into()),
        ("framing", framing_mode.name().into()),
        ("max-message", max_message.to_string().into()),
        ("idle-timeout", exact(*idle)),
        ("arrival-timeout", exact(*arrival)),
        ("unread-timeout", exact(*unread)),
    ];
    options.extend(error_text.as_ref().map(|text| ("error-text", text.as_ref().into())));
    options.extend(banner.as_ref().map(|text| ("banner", text.as_ref().into())));
    options.extend(results.as_ref().map(|path| ("results", path.into())));
    if let Some(ParentPipes { until, report }) = parent {
        options.extend([("until", until.into()), ("report", report.into())]);
    }
    options.retain(|(name, _)| service_of(name).is_none_or(|service| service == *kind));
    let mut args = vec!["session".into()];
    args.extend(options.into_iter().map(|(name, value)| option(name, &value)));
    args.extend(once.then(|| "--once".into()));
    args.extend((*input == Input::Connections).then(|| "--connections".into()));
    args
}

fn option(name: &str, value: &OsStr) -> OsString {
    let mut option = OsString::from(format!("--{name}="));
    option.push(value);
    option
}

/// A time in the form that the command line accepts, without rounding.
fn exact(time: Duration) -> OsString {
    humantime::format_duration(time).to_string().into()
}

/// The options of the command `session`.
#[derive(Debug, Args)]
pub struct SessionArgs {
    /// The client's number in the log.
    #[arg(long, value_name = "N", default_value_t = 1, hide = true)]
    client: u64,
    /// A pipe that ends when the server stops.
    #[arg(long, value_name = "FILE", hide = true, requires = "report")]
    until: Option<PathBuf>,
    /// Standard input is a local socket that brings connections.
    #[arg(long, hide = true, requires = "report")]
    connections: bool,
    /// A pipe for the report at the end of the connection.
    #[arg(long, value_name = "FILE", hide = true, requires = "until")]
    report: Option<PathBuf>,
    #[command(flatten)]
    options: SessionOptions,
}

impl SessionArgs {
    /// The plain configuration.
    pub fn config(self) -> StdioConfig {
        let parent = self.until.zip(self.report);
        StdioConfig {
            session: self.options.config(),
            client: self.client,
            input: if self.connections { Input::Connections } else { Input::Connection },
            parent: parent.map(|(until, report)| ParentPipes { until, report }),
        }
    }
}

fn reply(text: &str) -> Result<Arc<str>, String> {
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(format!("expected a text of 1 to {MAX_TEXT} bytes"));
    }
    Ok(text.into())
}

/// A seed that cannot be guessed from the last one: std draws the keys of hash tables randomly.
pub(super) fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

pub(super) fn message_limit(text: &str) -> Result<usize, String> {
    up_to(MAX_MESSAGE_LIMIT, "a number of bytes", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        session: SessionArgs,
    }

    #[test]
    fn a_child_process_parses_the_configuration_that_its_server_has() {
        for given in [
            "",
            "--service=calc --dialect=integer --error-text=--once --once",
            "--service=echo --banner=-x --framing=line --max-message=7",
            "--service=hello --greeting=\"it's\" --idle-timeout=1500ms --arrival-timeout=1ms",
            "--service=fourops --unread-timeout=9years --arrival-timeout=90s --client=7",
            "--service=quiz --seed=18446744073709551615 --questions=3 --results=/tmp/x=y.csv",
            "--until=/dev/fd/3 --report=/dev/fd/4",
            "--until=/dev/fd/3 --report=/dev/fd/4 --connections",
        ] {
            let parse = |args: Vec<OsString>| Line::parse_from(args).session.config();
            let words = std::iter::once("session").chain(given.split_whitespace());
            let config = parse(words.map(Into::into).collect());
            let passed_on = parse(child_args(&config));
            assert_eq!(format!("{passed_on:?}"), format!("{config:?}"));
        }
    }
}
