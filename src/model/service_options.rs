//! What every client of a server gets, under every model; in one process or handed to another.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::results::Results;
use crate::arithmetic::Dialect;
use crate::error::Failure;
use crate::service::{Rules, ServiceSpec};
use crate::session::{FramingMode, Limits};

/// What a client gets.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// What is done for it.
    pub spec: ServiceSpec,
    /// The line that it reads before anything else, if there is one.
    pub banner: Option<Arc<str>>,
    /// Whether a service that would go on answers one request only.
    pub once: bool,
    /// Where the quiz's results go, if anywhere.
    pub results: Option<PathBuf>,
    /// What its connection may take.
    pub limits: Limits,
}

impl ServiceOptions {
    /// The service with all that was asked for around it.
    pub(super) fn spec(&self) -> Result<ServiceSpec, Failure> {
        let mut spec = self.spec.clone();
        match &mut spec {
            ServiceSpec::Quiz(rules) => {
                if let Some(path) = &self.results {
                    rules.board = Some(Arc::new(Results::open(path, rules.questions)?));
                }
            }
            // The other services end by themselves.
            ServiceSpec::Calc(..) | ServiceSpec::Echo | ServiceSpec::Fourops if self.once => {
                spec = ServiceSpec::Once(Box::new(spec));
            }
            _ => {}
        }
        Ok(match &self.banner {
            Some(text) => ServiceSpec::Banner(Arc::clone(text), Box::new(spec)),
            None => spec,
        })
    }

    /// The options of the command `session` that ask for this service_options.
    pub fn options(&self) -> Vec<OsString> {
        let Self { spec, banner, once, results, limits } = self;
        // The traffic is counted where the sessions are.
        let Limits { framing_mode, max_message, idle, arrival, unread, traffic: _ } = limits;
        let framing_mode = match framing_mode {
            FramingMode::Auto => "auto",
            FramingMode::Line => "line",
        };
        let mut options = options_of(spec);
        options.push(option("framing", framing_mode));
        options.push(option("max-message", max_message));
        for (name, limit) in [("idle", idle), ("arrival", arrival), ("unread", unread)] {
            options.push(option(&format!("{name}-timeout"), time(*limit)));
        }
        options.extend(banner.as_ref().map(|text| option("banner", text)));
        options.extend(once.then(|| "--once".into()));
        options.extend(results.as_ref().map(|path| {
            let mut option = option("results", "");
            option.push(path);
            option
        }));
        options
    }
}

fn options_of(spec: &ServiceSpec) -> Vec<OsString> {
    let service = |name: &str| option("service", name);
    match spec {
        ServiceSpec::Calc(dialect, error) => {
            let dialect = match dialect {
                Dialect::Python => "python",
                Dialect::Integer => "integer",
            };
            let error = error.as_ref().map(|text| option("error-text", text));
            [service("calc"), option("dialect", dialect)].into_iter().chain(error).collect()
        }
        ServiceSpec::Echo => vec![service("echo")],
        ServiceSpec::Hello(text) => vec![service("hello"), option("greeting", text)],
        ServiceSpec::Fourops => vec![service("fourops")],
        ServiceSpec::Quiz(Rules { seed, questions, board: _ }) => {
            vec![service("quiz"), option("seed", seed), option("questions", questions)]
        }
        // What goes around a service has options of its own.
        ServiceSpec::Banner(_, spec) | ServiceSpec::Once(spec) => options_of(spec),
    }
}

fn option(name: &str, value: impl Display) -> OsString {
    format!("--{name}={value}").into()
}

fn time(time: Duration) -> impl Display {
    humantime::format_duration(time)
}
