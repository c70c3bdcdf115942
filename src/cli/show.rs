//! The options of the command `show`, and the command line of the process that runs a lesson.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::choice;
use crate::choice::Choice;
use crate::lesson::{Config, Lesson, Network, Selection};

/// The options of the command `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The topic [default: none; the topics are listed].
    #[arg(value_parser = topic(), hide_possible_values = true)]
    topic: Option<&'static Lesson>,
    /// Run all lessons.
    #[arg(long, conflicts_with = "topic")]
    all: bool,
    /// Ask what will happen before it is shown.
    #[arg(long)]
    predict: bool,
    /// Print without colours, as into a file or a pipe, or with `NO_COLOR` set.
    #[arg(long)]
    plain: bool,
    /// The network of the process that runs a lesson.
    #[arg(long, hide = true, value_parser = choice::<Network>())]
    network: Option<Network>,
}

impl ShowArgs {
    /// The plain configuration.
    pub fn config(self) -> Config {
        let selection = match self.topic {
            Some(lesson) => Selection::One(lesson),
            None if self.all => Selection::All,
            None => Selection::List,
        };
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = !self.plain && !no_color && io::stdout().is_terminal();
        Config { selection, predict: self.predict, colour, network: self.network, child_args }
    }
}

fn topic() -> impl TypedValueParser<Value = &'static Lesson> {
    let values = Lesson::all().map(|lesson| PossibleValue::new(lesson.topic).help(lesson.question));
    PossibleValuesParser::new(values).map(|name| {
        Lesson::all().find(|it| it.topic == name).expect("the parser takes only names of the list")
    })
}

/// The command line that [`ShowArgs`] parses into this lesson, or none, in this network.
fn child_args(lesson: Option<&Lesson>, network: Network, config: &Config) -> Vec<OsString> {
    let mut args = vec!["show".into()];
    args.extend(lesson.map(|lesson| lesson.topic.into()));
    args.push(format!("--network={}", network.name()).into());
    args.extend(config.predict.then(|| "--predict".into()));
    args.extend((!config.colour).then(|| "--plain".into()));
    args
}
