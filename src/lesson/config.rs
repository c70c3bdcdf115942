//! The configuration of the command `show`.

use std::ffi::OsString;

use super::Lesson;
use crate::choice::choices;

/// The configuration of the command.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The lessons.
    pub selection: Selection,
    /// True if the learner is asked before a lesson runs.
    pub predict: bool,
    /// True if the lines are coloured.
    pub colour: bool,
    /// The network of this process, in which one lesson runs, or none: then it only enters it. Of
    /// all lessons: that of their processes.
    pub network: Option<Network>,
    /// The printer of the command line of such a process, without the program.
    pub child_args: fn(Option<&Lesson>, Network, &Config) -> Vec<OsString>,
}

/// The lessons of a command.
#[derive(Clone, Copy, Debug)]
pub enum Selection {
    /// None: their list is printed.
    List,
    /// One.
    One(&'static Lesson),
    /// All.
    All,
}

choices! {
    /// The network of a lesson.
    pub enum Network {
        /// a network namespace with a loopback interface only.
        Own = "own",
        /// the network of this machine.
        Shared = "shared",
    }
}
