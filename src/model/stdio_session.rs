//! The command `session`: one connection, which this process was started with as stdin and stdout.
//! inetd, systemd, tcpserver, socat and ncat start a server that way, and so does the model
//! `process`.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use signal_hook::consts::SIGHUP;

use super::config::{ParentPipes, StdioConfig};
use super::report::Report;
use super::shutdown::PATIENCE;
use crate::drive::blocking;
use crate::drive::stdio::Stdio;
use crate::error::{Failure, cannot_open};
use crate::service::Peer;
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
/// end of input: messages that have arrived are answered. SIGHUP ends the session immediately.
pub fn serve(config: &StdioConfig) -> Result<(), Failure> {
    let cannot = |error: io::Error| Failure::cannot("serve stdin and stdout", &error);
    Stdio::detach_stderr_from_peer().map_err(cannot)?;
    let signals = signal::descriptor(&signal::STOP)?;
    let (until, report) = match &config.parent {
        Some(ParentPipes { until, report }) => (
            open(until, File::options().read(true))?.into(),
            Some(open(report, File::options().append(true))?),
        ),
        None => (signals.try_clone().map_err(cannot)?, None),
    };
    let cut = signal::flag(SIGHUP)?;
    let mut stream = Stdio::new([signals, until], Arc::clone(&cut)).map_err(cannot)?;
    let peer = Peer { number: config.client, address: peer() };
    let (limits, records) = (config.session.limits, config.session.open_results()?);
    let context = Arc::new(Context { limits, records, ..Context::default() });
    let service = config.session.service.build(peer);
    let opened_at = now();
    let mut session = Session::new(service, Arc::clone(&context), peer.number, opened_at);
    if report.is_none() {
        let origin = peer.address.map(|address| format!("from {address}"));
        let origin = origin.unwrap_or_else(|| format!("on {}", Stdio::input_kind()));
        log::info!("client {} connected {origin}", peer.number);
    }
    blocking::serve(&mut stream, &mut session, opened_at, None);
    let mut reason = session.close_reason().unwrap_or(CloseReason::Broken);
    if cut.load(Ordering::Acquire) {
        reason = reason.or_forced();
    }
    // Records are written before the end is reported.
    if let Some(records) = &context.records {
        records.flush(PATIENCE);
    }
    match report {
        None => log::info!("client {} left: {reason}", peer.number),
        Some(mut report) => {
            // One write, so that the reports of several processes do not mix. Where nobody reads
            // it, the server has gone.
            let line = Report::new(peer.number, reason, &context.traffic).to_string();
            report.write_all(line.as_bytes()).ok();
        }
    }
    stream.into_failure().map_or(Ok(()), Err)
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
