//! The options of the command `grade`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use rustix::fs::{Access, access};

use super::service_options::random_seed;
use super::subject::{SEEDS, SubjectOptions};
use super::{choice, time};
use crate::choice::Choice;
use crate::error::cause_of;
use crate::grade::{self, Expect, Format, Test};
use crate::subject::Template;

/// The options of the command `grade`.
#[derive(Debug, Args)]
pub struct GradeArgs {
    /// The service that the server is to offer.
    #[arg(long, default_value = grade::Service::Calc.name(),
        value_parser = choice::<grade::Service>())]
    service: grade::Service,
    /// The design that the server is to have.
    #[arg(long, default_value = grade::Expect::Any.name(), value_parser = choice::<Expect>())]
    expect: Expect,
    /// Run only these tests, separated by commas [default: all that the service has].
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = choice::<Test>())]
    only: Vec<Test>,
    /// Run this program's tests as well: it prints TAP, and has `SERVER_CMD`, HOST and PORT in its
    /// environment; may be repeated.
    #[arg(long, value_name = "PROGRAM", value_parser = program)]
    also: Vec<PathBuf>,
    /// The format of the report.
    #[arg(long, default_value = Format::Text.name(), value_parser = choice::<Format>())]
    format: Format,
    /// The seed of the questions [default: a new one each time].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The time after which no more is tested: what is left counts as not run, and the exit code
    /// is 1.
    #[arg(long, value_name = "TIME", default_value_t = grade::TIME_LIMIT.into(),
        value_parser = time)]
    time_limit: humantime::Duration,
    #[command(flatten)]
    subject: SubjectOptions,
    /// The command that starts the server, and its arguments, or one line for sh -c; {host} and
    /// {port} are replaced in them.
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    server: Vec<OsString>,
}

impl GradeArgs {
    pub(super) fn is_isolated(&self) -> bool {
        self.subject.is_isolated()
    }

    /// The plain configuration.
    pub fn config(self) -> grade::Config {
        let mut server = self.subject.spec(Template::new(self.server));
        // A server whose console or whose answers somebody types would end at /dev/null before it
        // is graded, and not be known for what it is.
        server.settings.silent_stdin = true;
        grade::Config {
            server,
            service: self.service,
            expect: self.expect,
            only: self.only,
            also: self.also,
            format: self.format,
            seed: self.seed.unwrap_or_else(|| random_seed() % SEEDS),
            time_limit: self.time_limit.into(),
        }
    }
}

/// A file that can be run, so that a mistyped name is no fault of the server.
fn program(path: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    if path.is_dir() {
        return Err("it is a directory".to_owned());
    }
    match access(&path, Access::EXEC_OK) {
        Ok(()) => Ok(path),
        Err(error) => Err(cause_of(&error.into())),
    }
}
