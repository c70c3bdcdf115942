//! The contenders of a comparison, as the command line names them.

use crate::choice::Choice;
use crate::load::host_and_port;
use crate::model::Model;
use crate::subject::Spec;

/// A contender.
#[derive(Clone, Debug)]
pub struct Contender {
    /// Its name in the report.
    pub name: String,
    /// Its server.
    pub server: Server,
    /// The most clients that it serves at the same time, if that is known.
    pub most_clients: Option<usize>,
}

/// The server of a contender.
#[derive(Clone, Debug)]
pub enum Server {
    /// It is started anew for each measurement.
    Started(Spec),
    /// It runs already, at this host and port.
    Running(String, u16),
}

/// A contender on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContenderSpec {
    /// A model of ours: its name, and its number of workers if one is given.
    Model(String, Option<usize>),
    /// A name and a command line for `sh -c`.
    Command(String, String),
    /// A name, and the host and the port of a server that runs already.
    Running(String, String, u16),
}

/// The options of `serve` for the number of workers, by model. A model of another build of this
/// program is none of this one's list, so these are names.
const WORKERS: [(&str, &str); 3] =
    [("sharded", "--shards"), ("pool", "--workers"), ("prefork", "--workers")];

/// The models of which each worker serves one client at a time.
const ONE_EACH: [&str; 2] = ["pool", "prefork"];

impl ContenderSpec {
    /// Parses `MODEL`, `MODEL=N`, `NAME=@HOST:PORT` or `NAME=COMMAND`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let models: Vec<_> = Model::ALL.iter().map(|model| model.name()).collect();
        let Some((name, value)) = text.split_once('=') else {
            if models.contains(&text) {
                return Ok(Self::Model(text.to_owned(), None));
            }
            let models = models.join(", ");
            return Err(format!("expected NAME='COMMAND {{port}}', or a model: {models}"));
        };
        if name.is_empty() || value.is_empty() {
            return Err("expected a name, = and a command".to_owned());
        }
        if let Some(address) = value.strip_prefix('@') {
            let (host, port) = host_and_port(address)
                .ok_or_else(|| "expected @HOST:PORT behind the name".to_owned())?;
            return Ok(Self::Running(name.to_owned(), host, port));
        }
        if models.contains(&name)
            && let Ok(workers) = value.parse()
        {
            if workers == 0 || WORKERS.iter().all(|(model, _)| *model != name) {
                return Err(format!("{name} has no such number of workers"));
            }
            return Ok(Self::Model(name.to_owned(), Some(workers)));
        }
        Ok(Self::Command(name.to_owned(), value.to_owned()))
    }

    /// Its name in the report.
    pub fn name(&self) -> String {
        match self {
            Self::Model(name, None) | Self::Command(name, _) | Self::Running(name, ..) => {
                name.clone()
            }
            Self::Model(name, Some(workers)) => format!("{name} of {workers}"),
        }
    }

    /// The options of `serve` for this model.
    pub fn model_options(&self) -> Vec<String> {
        let Self::Model(name, workers) = self else { return Vec::new() };
        let option = WORKERS.iter().find(|(model, _)| model == name).map(|(_, option)| option);
        let workers = option.zip(*workers).map(|(option, n)| format!("{option}={n}"));
        [format!("--model={name}")].into_iter().chain(workers).collect()
    }

    /// The most clients that it serves at the same time, if that is known.
    pub fn most_clients(&self) -> Option<usize> {
        match self {
            Self::Model(name, None) if name == Model::Single.name() => Some(1),
            Self::Model(name, workers) if ONE_EACH.contains(&name.as_str()) => *workers,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contender_is_a_model_a_command_or_an_address() {
        let parse =
            |text| ContenderSpec::parse(text).map(|spec| (spec.name(), spec.model_options()));
        let strings = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (text, name, options) in [
            ("loop", "loop", &["--model=loop"][..]),
            ("sharded=2", "sharded of 2", &["--model=sharded", "--shards=2"]),
            ("go=./echo -p {port}", "go", &[]),
            ("x=a=b", "x", &[]),
            ("there=@[::1]:5000", "there", &[]),
            ("loop=./other {port}", "loop", &[]),
        ] {
            assert_eq!(parse(text), Ok((name.to_owned(), strings(options))), "{text}");
        }
        for text in [
            "lop",
            "=x",
            "x=",
            "loop=2",
            "sharded=0",
            "x=@host",
            "x=@host:0",
            "x=@:x",
            "x=@5000:80",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(ContenderSpec::parse("single").map(|spec| spec.most_clients()), Ok(Some(1)));
        assert_eq!(ContenderSpec::parse("loop").map(|spec| spec.most_clients()), Ok(None));
    }
}
