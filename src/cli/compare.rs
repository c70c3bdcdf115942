//! The options of the command `compare`.

use std::path::PathBuf;

use clap::Args;

use super::bench::{MAX_COUNT, PatternOptions, conflict};
use super::service_options::random_seed;
use super::subject::{SEEDS, SubjectOptions, THIS_PROGRAM};
use super::{time, up_to};
use crate::choice::Choice;
use crate::compare::{
    self, Contender, ContenderSpec, DEFAULT_ROUNDS, DEFAULT_SLICE, MAX_ROUNDS, Point, Server,
};
use crate::load::{Pattern, WorkloadSpec};
use crate::model::Model;
use crate::subject::Template;

/// The options of the command `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The contenders, the baseline first: a model, such as loop, or sharded=2 for one with so many
    /// workers; NAME='COMMAND {port}', for sh -c; NAME=@HOST:PORT for a server that runs already
    /// and is not restarted [default: all models].
    #[arg(value_name = "CONTENDER", value_parser = ContenderSpec::parse)]
    contenders: Vec<ContenderSpec>,
    #[command(flatten)]
    pattern: PatternOptions,
    /// The number of rounds, fixed beforehand. In each of them every contender runs once. At least
    /// 6, and more with several contenders.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_ROUNDS, value_parser = rounds)]
    rounds: usize,
    /// The measured time of each contender in a round.
    #[arg(long, value_name = "TIME", default_value_t = DEFAULT_SLICE.into(), value_parser = time)]
    slice: humantime::Duration,
    /// The ratio to the baseline within which a contender is called the same.
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent)]
    margin: f64,
    /// Compare at each of these numbers of connections: connections=1,10,100,1000.
    #[arg(long, value_name = "connections=LIST", value_parser = sweep,
        conflicts_with = "connections")]
    sweep: Option<Counts>,
    /// Hold so many idle connections beside the busy ones; several numbers, separated by commas,
    /// are compared one by one.
    #[arg(long, value_name = "LIST", default_value = "0", value_parser = idle)]
    idle: Counts,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Write each measurement as a row of CSV.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Draw the comparison as SVG: of a sweep, rate, CPU time and latency against the connections.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// The seed of the orders [default: a new one each time].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    subject: SubjectOptions,
}

/// The numbers of an option.
#[derive(Clone, Debug)]
struct Counts(Vec<usize>);

impl CompareArgs {
    pub(super) fn is_isolated(&self) -> bool {
        self.subject.is_isolated()
    }

    /// The plain configuration, or an error if the options exclude each other.
    pub fn config(self) -> Result<compare::Config, clap::Error> {
        let pattern = self.pattern.config()?;
        let connections = self.sweep.map_or(vec![pattern.connections], |sweep| sweep.0);
        let idle = self.idle.0;
        if connections.len() > 1 && idle.len() > 1 {
            return Err(conflict("--sweep and --idle: only one of them can have several numbers"));
        }
        let point = |&connections| idle.iter().map(move |&idle| Point { connections, idle });
        let points = connections.iter().flat_map(point).collect();
        let mut specs = self.contenders;
        if specs.is_empty() {
            let model = |model: &Model| ContenderSpec::Model(model.name().to_owned(), None);
            specs.extend(Model::ALL.iter().map(model));
        }
        for (n, spec) in specs.iter().enumerate() {
            if specs[..n].iter().any(|other| other.name() == spec.name()) {
                let name = spec.name();
                return Err(conflict(&format!("two contenders have the name {name}")));
            }
        }
        let contender = |spec: &ContenderSpec| contender(spec, &pattern, &self.subject);
        Ok(compare::Config {
            contenders: specs.iter().map(contender).collect(),
            points,
            rounds: self.rounds,
            slice: self.slice.into(),
            margin: self.margin,
            seed: self.seed.unwrap_or_else(|| random_seed() % SEEDS),
            json: self.json,
            csv: self.csv,
            plot: self.plot,
            pattern,
        })
    }
}

fn contender(spec: &ContenderSpec, pattern: &Pattern, subject: &SubjectOptions) -> Contender {
    let words = match spec {
        ContenderSpec::Model(..) => {
            let words = [THIS_PROGRAM, "serve", "{host}", "{port}", "--quiet"].map(str::to_owned);
            [&words[..], &spec.model_options(), &service_options(&pattern.workload)].concat()
        }
        ContenderSpec::Command(_, line) => vec![line.clone()],
        ContenderSpec::Running(_, host, port) => {
            let server = Server::Running(host.clone(), *port);
            return Contender { name: spec.name(), server, most_clients: None };
        }
    };
    let command = Template::new(words.into_iter().map(Into::into).collect());
    let server = Server::Started(subject.clone().spec(command));
    Contender { name: spec.name(), server, most_clients: spec.most_clients() }
}

/// The options of a server of ours that serves this workload.
fn service_options(workload: &WorkloadSpec) -> Vec<String> {
    match workload {
        WorkloadSpec::Echo(_) => vec!["--service=echo".to_owned()],
        WorkloadSpec::Calc { dialect, max_message, .. } => vec![
            "--service=calc".to_owned(),
            format!("--dialect={}", dialect.name()),
            format!("--max-message={max_message}"),
        ],
        // The texts go to the default service.
        WorkloadSpec::Exchange { .. } => Vec::new(),
    }
}

fn rounds(text: &str) -> Result<usize, String> {
    up_to(MAX_ROUNDS, "a number of rounds", text)
}

/// Parses a percentage as a part: `5%` is 0.05.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.trim_end().parse().ok());
    let part = number.map(|percent: f64| percent / 100.0);
    part.filter(|part| (0.001..1.0).contains(part))
        .ok_or_else(|| "expected a percentage such as 5%, at least 0.1%".to_owned())
}

fn sweep(text: &str) -> Result<Counts, String> {
    let list = text.strip_prefix("connections=");
    list.and_then(|list| counts(list, 1))
        .ok_or_else(|| "expected connections= and numbers, such as connections=1,10,100".to_owned())
}

fn idle(text: &str) -> Result<Counts, String> {
    counts(text, 0).ok_or_else(|| "expected numbers, such as 0,1000,10000".to_owned())
}

/// Parses different numbers that are at least `least`, separated by commas.
fn counts(text: &str, least: usize) -> Option<Counts> {
    let number = |text: &str| text.parse().ok().filter(|n| (least..=MAX_COUNT).contains(n));
    let mut numbers = text.split(',').map(number).collect::<Option<Vec<_>>>()?;
    let given = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    (numbers.len() == given).then_some(Counts(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_percentages_are_parsed() {
        assert_eq!(sweep("connections=10,1,100").map(|it| it.0), Ok(vec![1, 10, 100]));
        for text in ["connections=", "connections=0", "1,10", "connections=1,1", "idle=1"] {
            assert!(sweep(text).is_err(), "{text}");
        }
        assert_eq!(idle("0,1000").map(|it| it.0), Ok(vec![0, 1000]));
        assert_eq!(percent("5%"), Ok(0.05));
        assert!(percent("5").is_err() && percent("0%").is_err() && percent("100%").is_err());
    }
}
