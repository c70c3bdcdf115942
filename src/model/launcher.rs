//! The start of a process that serves clients: this program's own command `session`.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::config::{Config, Input, SessionConfig, StdioConfig};
use super::control_pipes::{ControlPipes, open_file};
use crate::error::{Failure, cannot_open};
use crate::explain;

/// This program's own file.
const PROGRAM: &str = "/proc/self/exe";

/// The program, and the configuration that all its processes have.
pub(super) struct Launcher {
    /// This program's own file, open. By now another program may have its name.
    program: File,
    session: SessionConfig,
    /// The printer of a child's command line.
    child_args: fn(&StdioConfig) -> Vec<OsString>,
}

impl Launcher {
    /// Opens the program.
    pub(super) fn new(config: &Config) -> Result<Self, Failure> {
        let program = File::open(PROGRAM).map_err(|error| cannot_open(PROGRAM, &error))?;
        let (session, child_args) = (config.session.clone(), config.child_args);
        Ok(Self { program, session, child_args })
    }

    /// A command that serves `client`, or all clients that its standard input brings.
    pub(super) fn command(&self, client: u64, input: Input, pipes: &ControlPipes) -> Command {
        // The descriptor is close-on-exec, and still open when the child calls execve(2).
        let mut command = Command::new(open_file(&self.program));
        let (session, parent) = (self.session.clone(), Some(pipes.of_child()));
        let config = StdioConfig { session, client, input, parent };
        command.arg0(env!("CARGO_PKG_NAME")).args((self.child_args)(&config));
        command.env("RUST_LOG", log_level());
        if explain::is_enabled() {
            command.env(explain::START, explain::STARTED_AT.as_nanos().to_string());
        }
        command.process_group(0);
        command
    }
}

/// The level at which our own log takes a session's messages; the children's logs have the same.
fn log_level() -> String {
    let wanted = |level: &log::Level| log::log_enabled!(target: "socklab::session", *level);
    let level = log::Level::iter().filter(wanted).last();
    level.map_or("off", |level| level.as_str()).to_owned()
}
