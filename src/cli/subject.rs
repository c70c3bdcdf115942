//! The options of a server under test, and the command lines with which this program starts its own
//! supervisor and launcher.

use std::ffi::OsString;

use clap::Args;

use super::host::host;
use super::{choice, time};
use crate::choice::Choice;
use crate::client::DEFAULT_HOST;
use crate::model::Model;
use crate::service::ServiceKind;
/// The program of a server of ours: this one.
pub(super) use crate::subject::THIS_PROGRAM;
use crate::subject::supervisor::SuperviseConfig;
use crate::subject::{GRACE, PATIENCE, ProcessSettings, Spec, Template};
use crate::with;

/// The seeds that are drawn: few enough to be typed.
pub(super) const SEEDS: u64 = 100_000;

/// The units of a size in bytes.
const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// The options of a server under test.
#[derive(Clone, Debug, Args)]
pub(super) struct SubjectOptions {
    /// The address that {host} and HOST stand for.
    #[arg(long, value_name = "HOST", default_value = DEFAULT_HOST, value_parser = host(0))]
    host: String,
    /// The longest time until the server listens.
    #[arg(long, value_name = "TIME", default_value_t = PATIENCE.into(), value_parser = time)]
    patience: humantime::Duration,
    /// The time between SIGTERM and SIGKILL when the server is stopped.
    #[arg(long, value_name = "TIME", default_value_t = GRACE.into(), value_parser = time)]
    grace: humantime::Duration,
    #[command(flatten)]
    limits: LimitOptions,
    /// Run in a network of its own, with nothing but a loopback interface.
    #[arg(long)]
    isolate: bool,
}

/// The limits of each process of a server under test.
#[derive(Clone, Debug, Default, Args)]
struct LimitOptions {
    /// The most private writable memory of a process, such as 4GiB (`RLIMIT_DATA`). The stack of
    /// each thread counts, usually with 8 MiB.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// The most processes and threads, beside those of the same user at the start (`RLIMIT_NPROC`;
    /// it does not hold for root).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    processes: Option<u64>,
    /// The most processor time of a process, in whole seconds (`RLIMIT_CPU`).
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    cpu_time: Option<u64>,
}

impl SubjectOptions {
    pub(super) fn is_isolated(&self) -> bool {
        self.isolate
    }

    /// The subject with this command.
    pub(super) fn spec(self, command: Template) -> Spec {
        Spec {
            command,
            host: self.host,
            settings: self.limits.settings(),
            supervise_args,
            patience: self.patience.into(),
            grace: self.grace.into(),
        }
    }
}

impl LimitOptions {
    fn settings(&self) -> ProcessSettings {
        let &Self { memory, processes, cpu_time } = self;
        ProcessSettings { memory, processes, cpu_time, silent_stdin: false }
    }
}

/// The command line that [`SuperviseArgs`] parses into these settings and this command.
fn supervise_args(name: &str, settings: ProcessSettings, command: &[OsString]) -> Vec<OsString> {
    let ProcessSettings { memory, processes, cpu_time, silent_stdin } = settings;
    let mut args = vec![OsString::from(name)];
    args.extend(memory.map(|bytes| format!("--memory={bytes}").into()));
    args.extend(processes.map(|n| format!("--processes={n}").into()));
    args.extend(cpu_time.map(|seconds| format!("--cpu-time={seconds}s").into()));
    args.extend(silent_stdin.then(|| "--silent-stdin".into()));
    args.push("--".into());
    args.extend_from_slice(command);
    args
}

/// The command line of the commands `supervise` and `launch`.
#[derive(Debug, Args)]
pub struct SuperviseArgs {
    #[command(flatten)]
    limits: LimitOptions,
    #[arg(long)]
    silent_stdin: bool,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl SuperviseArgs {
    /// The plain configuration.
    pub fn config(self) -> SuperviseConfig {
        let settings =
            ProcessSettings { silent_stdin: self.silent_stdin, ..self.limits.settings() };
        let launch_args = supervise_args("launch", settings, &self.command);
        SuperviseConfig { settings, launch_args, command: self.command }
    }
}

/// The options of the command `with`.
#[derive(Debug, Args)]
pub struct WithArgs {
    /// The command that starts the server, for sh -c; {host} and {port} are replaced in it.
    #[arg(value_name = "SERVER", required_unless_present = "model", conflicts_with = "model")]
    server: Option<OsString>,
    /// Start a server of socklab with this design instead.
    #[arg(long, value_parser = choice::<Model>())]
    model: Option<Model>,
    /// The service of that server.
    #[arg(long, default_value = ServiceKind::Calc.name(), requires = "model",
        value_parser = choice::<ServiceKind>())]
    service: ServiceKind,
    #[command(flatten)]
    subject: SubjectOptions,
    /// The command that runs while the server listens, and its arguments; {host} and {port} are
    /// replaced in them.
    #[arg(value_name = "COMMAND", last = true, required = true)]
    command: Vec<OsString>,
}

impl WithArgs {
    pub(super) fn is_isolated(&self) -> bool {
        self.subject.is_isolated()
    }

    /// The plain configuration.
    pub fn config(self) -> with::Config {
        let server = match (self.server, self.model) {
            (Some(line), _) => vec![line],
            (None, model) => own_server(model.unwrap_or(Model::Loop), self.service),
        };
        let server = self.subject.spec(Template::new(server));
        with::Config { server, command: self.command }
    }
}

/// The command of a server of this program.
fn own_server(model: Model, service: ServiceKind) -> Vec<OsString> {
    let words = [THIS_PROGRAM, "serve", "{host}", "{port}", "--quiet", "--model", model.name()];
    words.into_iter().chain(["--service", service.name()]).map(Into::into).collect()
}

/// Parses a number of bytes, with or without a unit.
fn size(text: &str) -> Result<u64, String> {
    let unit = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (number, bytes) = unit.unwrap_or((text, 1));
    let number = number.trim_end().parse::<u64>().ok().filter(|&number| number > 0);
    number
        .and_then(|number| number.checked_mul(bytes))
        .ok_or_else(|| "expected a size such as 512MiB or 2GiB, at least 1 byte".to_owned())
}

/// Parses a time in whole seconds, rounded up.
fn seconds(text: &str) -> Result<u64, String> {
    let time = time(text)?;
    Ok(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SuperviseArgs,
    }

    #[test]
    fn a_launcher_parses_the_limits_and_the_command_of_its_supervisor() {
        let settings = ProcessSettings {
            memory: Some(1 << 40),
            processes: Some(7),
            cpu_time: Some(90),
            silent_stdin: true,
        };
        let command = ["./server", "--memory=1", "--", "-x"].map(OsString::from);
        for settings in [settings, ProcessSettings::default()] {
            let line = supervise_args("supervise", settings, &command);
            let config = Line::parse_from(line).args.config();
            assert_eq!((config.settings, &config.command[..]), (settings, &command[..]));
            let config = Line::parse_from(config.launch_args).args.config();
            assert_eq!((config.settings, &config.command[..]), (settings, &command[..]));
        }
    }

    #[test]
    fn a_size_has_a_unit_or_is_in_bytes() {
        assert_eq!(size("512MiB"), Ok(512 << 20));
        assert_eq!(size("2 GiB"), Ok(2 << 30));
        assert_eq!(size("4096"), Ok(4096));
        assert!(size("0").is_err() && size("2GB").is_err() && size("99999999999GiB").is_err());
    }
}
