//! The start of a process that serves clients: this program's own command `session`.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use super::config::{Config, Input, SessionConfig, StdioConfig};
use super::control_pipes::{ControlPipes, open_file};
use super::handover;
use crate::error::{Failure, cannot_open};
use crate::explain;
use crate::signal;

/// This program's own file.
const PROGRAM: &str = "/proc/self/exe";

/// A child that serves clients.
pub(super) struct Worker {
    pub(super) child: Child,
    /// Our end of the channel for its clients, if it is kept.
    pub(super) channel: Option<OwnedFd>,
}

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

    /// A process for one client.
    pub(super) fn of_client(
        &self,
        pipes: &ControlPipes,
        socket: &TcpStream,
        address: SocketAddr,
        number: u64,
    ) -> io::Result<Worker> {
        let (input, output) = (OwnedFd::from(socket.try_clone()?), socket.try_clone()?);
        let mut command = self.command(number, Input::Connection, pipes);
        name_addresses(&mut command, socket.local_addr().ok(), address);
        let output = Stdio::from(OwnedFd::from(output));
        let child = start(command.stdin(input).stdout(output))?;
        Ok(Worker { child, channel: None })
    }

    /// A process that is kept.
    pub(super) fn kept(&self, pipes: &ControlPipes) -> io::Result<Worker> {
        let (ours, theirs) = handover::channel()?;
        let mut command = self.command(0, Input::Connections, pipes);
        let child = start(command.stdin(theirs).stdout(Stdio::null()))?;
        Ok(Worker { child, channel: Some(ours) })
    }

    /// A command that serves `client`, or all clients that its standard input brings.
    fn command(&self, client: u64, input: Input, pipes: &ControlPipes) -> Command {
        // The descriptor is close-on-exec, and still open when the child calls execve(2).
        let mut command = Command::new(open_file(&self.program));
        let (session, parent) = (self.session.clone(), Some(pipes.of_child()));
        let config = StdioConfig { session, client, input, parent };
        command.arg0(env!("CARGO_PKG_NAME")).args((self.child_args)(&config));
        command.env("RUST_LOG", log_level());
        if explain::is_enabled() {
            command.env(explain::START, explain::STARTED_AT.as_nanos().to_string());
        }
        command
    }
}

/// Puts the addresses of a connection into the environment of its process, under the names of UCSPI
/// (<https://cr.yp.to/proto/ucspi.txt>).
fn name_addresses(command: &mut Command, local: Option<SocketAddr>, peer: SocketAddr) {
    command.env("PROTO", "TCP");
    command.env("TCPREMOTEIP", peer.ip().to_string());
    command.env("TCPREMOTEPORT", peer.port().to_string());
    if let Some(local) = local {
        command.env("TCPLOCALIP", local.ip().to_string());
        command.env("TCPLOCALPORT", local.port().to_string());
    }
}

/// Starts a process with this command. Until it is in a process group of its own, it gets the
/// signals of the server's, which must not end it: its client may have asked something.
fn start(command: &mut Command) -> io::Result<Child> {
    signal::with_signals_blocked(|| command.spawn())
}

/// The level at which our own log takes a session's messages; the children's logs have the same.
fn log_level() -> String {
    let wanted = |level: &log::Level| log::log_enabled!(target: "socklab::session", *level);
    let level = log::Level::iter().filter(wanted).last();
    level.map_or("off", |level| level.as_str()).to_owned()
}
