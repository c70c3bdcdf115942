//! The command `with`: a server starts, listens, and serves while another command runs.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::{Exit, Failure};
use crate::signal;
use crate::subject::{self, EndStatus, Spec, Subject, Template};

/// The longest wait for the end of a server that does not listen any more.
const DEATH_TIME: Duration = Duration::from_millis(200);

/// The configuration of the command.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server.
    pub server: Spec,
    /// The command that runs while it listens, as a program and its arguments.
    pub command: Vec<OsString>,
}

/// Runs the command while the server listens. Returns its exit status, as a shell reports it.
pub fn run(config: &Config) -> Result<u8, Failure> {
    // A signal before the command runs ends us, and with us the server.
    let mut server = subject::start(&config.server, None)
        .map_err(|failure| failure.exit_with(Exit::WithFailed))?;
    let signals = Signals::new()?;
    let status = run_command(&config.command, &server, &signals)?;
    report_end(&mut server);
    server.stop();
    Ok(status)
}

fn run_command(words: &[OsString], server: &Subject, signals: &Signals) -> Result<u8, Failure> {
    let address = server.address();
    let (host, port) = (address.ip().to_string(), address.port());
    let words = Template::new(words.to_vec()).fill_words(&host, port);
    let cannot = |error: io::Error| {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NoProgram,
            _ => Exit::CannotRun,
        };
        let program = words[0].to_string_lossy();
        Failure::cannot(format_args!("run {program}"), &error).exit_with(exit)
    };
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env("HOST", &host).env("PORT", port.to_string());
    let mut child = signal::with_empty_mask(|| command.spawn())?.map_err(cannot)?;
    signals.pass_to(&child).map_err(cannot)?;
    let status = child.wait().map_err(cannot)?;
    Ok(EndStatus::from(status).shell_status())
}

/// Tells that the server did not live until the end of the command.
fn report_end(server: &mut Subject) {
    // A server that dies closes its sockets before anybody hears of its end.
    let dies = server.listeners().is_empty();
    let end = if dies { server.wait(DEATH_TIME) } else { server.ended() };
    if let Some(end) = end {
        log::warn!("the server ended by itself: {end}");
        for line in server.last_output() {
            log::warn!("its output: {line}");
        }
    }
}

/// Signals that ask us to stop: the command decides when it ends, and then so do we.
struct Signals {
    interrupt: OwnedFd,
    terminate: OwnedFd,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let interrupt = signal::descriptor(&[SIGINT])?;
        Ok(Self { interrupt, terminate: signal::descriptor(&[SIGTERM])? })
    }

    /// Passes signals to the command until it has ended. Ctrl-C on a terminal reaches it anyway.
    fn pass_to(&self, child: &Child) -> io::Result<()> {
        let pid = Pid::from_child(child);
        let ended = pidfd_open(pid, PidfdFlags::empty())?;
        let mut interrupts = !io::stdin().is_terminal();
        let mut terminates = true;
        loop {
            let wanted = |wanted: bool| if wanted { PollFlags::IN } else { PollFlags::empty() };
            let mut sources = [
                PollFd::from_borrowed_fd(ended.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.interrupt.as_fd(), wanted(interrupts)),
                PollFd::from_borrowed_fd(self.terminate.as_fd(), wanted(terminates)),
            ];
            match poll(&mut sources, None) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
            let [ended, interrupt, terminate] = sources.map(|it| it.revents() == PollFlags::IN);
            if ended {
                return Ok(());
            }
            // Each is passed once: nobody reads the descriptors.
            if interrupt && interrupts {
                kill_process(pid, Signal::INT).ok();
                interrupts = false;
            }
            if terminate && terminates {
                kill_process(pid, Signal::TERM).ok();
                terminates = false;
            }
        }
    }
}
