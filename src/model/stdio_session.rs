//! The command `session`: one connection, which this process was started with as stdin and stdout.
//! inetd, systemd, tcpserver, socat and ncat start a server that way, and so does the model
//! `process`. Under the model `prefork` stdin brings one connection after another.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::setpgid;
use rustix::stdio::stdin;
use signal_hook::consts::SIGHUP;

use super::config::{Input, ParentPipes, SessionConfig, StdioConfig};
use super::handover::{self, PassedClient};
use super::report::Report;
use super::shutdown::PATIENCE;
use crate::drive::blocking;
use crate::drive::stdio::Stdio;
use crate::error::{Failure, cannot_open};
use crate::service::{Peer, RecordSink};
use crate::session::{CloseReason, Context, Session};
use crate::signal;

/// The environment variables in which superservers pass the peer's address and port: UCSPI, CGI,
/// socat, ncat.
const PEER_VARIABLES: [(&str, &str); 4] = [
    ("TCPREMOTEIP", "TCPREMOTEPORT"),
    ("REMOTE_ADDR", "REMOTE_PORT"),
    ("SOCAT_PEERADDR", "SOCAT_PEERPORT"),
    ("NCAT_REMOTE_ADDR", "NCAT_REMOTE_PORT"),
];

/// Serves stdin and stdout until the connection ends. SIGINT and SIGTERM, also if repeated, are the
/// end of input: messages that have arrived are answered. SIGHUP ends the session immediately. If
/// stdin brings connections, each is served so, and those signals end the process after the last.
pub fn serve(config: &StdioConfig) -> Result<(), Failure> {
    let cannot = |error: io::Error| Failure::cannot("serve stdin and stdout", &error);
    Stdio::detach_stderr_from_peer().map_err(cannot)?;
    if config.parent.is_some() {
        // The signals of a terminal are for the server, which tells its processes what they need.
        // Not earlier: a process that is started and halts in another group than the server's is
        // not continued with it, and the server waits for its execve(2).
        setpgid(None, None).map_err(|error| cannot(error.into()))?;
        signal::discard_blocked().map_err(cannot)?;
    }
    let signals = signal::descriptor(&signal::STOP)?;
    let (until, report) = match &config.parent {
        Some(ParentPipes { until, report }) => (
            open(until, File::options().read(true))?.into(),
            Some(open(report, File::options().append(true))?),
        ),
        None => (signals.try_clone().map_err(cannot)?, None),
    };
    let cut = signal::flag(SIGHUP)?;
    signal::set_mask(false)?;
    let records = config.session.open_results()?;
    let server =
        StdioServer { config: &config.session, stop_fds: [signals, until], cut, records, report };
    match config.input {
        Input::Connection => {
            let mut stream = Stdio::new(server.stop_fds(), &server.cut).map_err(cannot)?;
            server.serve(&mut stream, Peer { number: config.client, address: peer() });
            stream.into_failure().map_or(Ok(()), Err)
        }
        Input::Connections => server.serve_all().map_err(cannot),
    }
}

/// A process that serves connections, and what it needs for each of them.
struct StdioServer<'a> {
    config: &'a SessionConfig,
    /// The descriptors that become readable when the process must end.
    stop_fds: [OwnedFd; 2],
    /// Set when the session must end immediately.
    cut: Arc<AtomicBool>,
    records: Option<Arc<dyn RecordSink>>,
    /// The pipe for reports to the server, if it is one of ours.
    report: Option<File>,
}

impl StdioServer<'_> {
    fn stop_fds(&self) -> [BorrowedFd<'_>; 2] {
        self.stop_fds.each_ref().map(AsFd::as_fd)
    }

    /// Serves the connections that stdin brings, one after another, until the process must end and
    /// none is left.
    fn serve_all(&self) -> io::Result<()> {
        let channel = stdin();
        while !self.cut.load(Ordering::Acquire) {
            let [signals, until] = self.stop_fds();
            let watched =
                &mut [&channel, &signals, &until].map(|fd| PollFd::new(fd, PollFlags::IN));
            match poll(watched, None) {
                Err(Errno::INTR) => continue,
                waited => waited?,
            };
            // A client that was passed on before the end is served.
            if watched[0].revents().is_empty() {
                break;
            }
            let Some(PassedClient { number, address, socket }) = handover::receive(channel)? else {
                break;
            };
            let mut stream = Stdio::on_socket(socket.as_fd(), self.stop_fds(), &self.cut);
            self.serve(&mut stream, Peer { number, address: Some(address) });
        }
        Ok(())
    }

    /// Serves one connection to its end.
    fn serve(&self, stream: &mut Stdio<'_>, peer: Peer) {
        let (limits, records) = (self.config.limits, self.records.clone());
        let context = Arc::new(Context { limits, records, ..Context::default() });
        let service = self.config.service.build(peer);
        let opened_at = now();
        let mut session = Session::new(service, Arc::clone(&context), peer.number, opened_at);
        if self.report.is_none() {
            let origin = peer.address.map(|address| format!("from {address}"));
            let origin = origin.unwrap_or_else(|| format!("on {}", Stdio::input_kind()));
            log::info!("client {} connected {origin}", peer.number);
        }
        blocking::serve(stream, &mut session, opened_at, None);
        let mut reason = session.close_reason().unwrap_or(CloseReason::Broken);
        if self.cut.load(Ordering::Acquire) {
            reason = reason.or_forced();
        }
        // Records are written before the end is reported.
        if let Some(records) = &context.records {
            records.flush(PATIENCE);
        }
        match self.report.as_ref() {
            None => log::info!("client {} left: {reason}", peer.number),
            Some(mut report) => {
                // One write, so that the reports of several processes do not mix. Where nobody
                // reads it, the server has gone.
                let line = Report::new(peer.number, reason, &context.traffic).to_string();
                report.write_all(line.as_bytes()).ok();
            }
        }
    }
}

fn open(path: &Path, options: &OpenOptions) -> Result<File, Failure> {
    options.open(path).map_err(|error| cannot_open(path, &error))
}

/// The peer's address: that of the socket, or else the one in the environment.
fn peer() -> Option<SocketAddr> {
    let socket = io::stdin().as_fd().try_clone_to_owned().map(TcpStream::from);
    socket.and_then(|socket| socket.peer_addr()).ok().or_else(peer_by_name)
}

fn peer_by_name() -> Option<SocketAddr> {
    PEER_VARIABLES.iter().find_map(|(address, port)| {
        let address = env::var(address).ok()?;
        let address = address.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        Some(SocketAddr::new(address, env::var(port).ok()?.parse().ok()?))
    })
}

#[expect(clippy::disallowed_methods, reason = "the beginning of the session")]
fn now() -> Instant {
    Instant::now()
}
