//! One connection, the one that this process was started with: its stdin and stdout. That is how
//! inetd, systemd, tcpserver, socat and ncat start a server, and how the model `process` does.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;

use super::ServiceOptions;
use super::report::Report;
use crate::drive::blocking;
use crate::drive::stdio::Stdio;
use crate::error::Failure;
use crate::service::Peer;
use crate::session::{CloseReason, Session};

/// The names under which those who accept connections for others tell where one comes from: the
/// address, and the port.
const PEER_VARIABLES: [(&str, &str); 4] = [
    ("TCPREMOTEIP", "TCPREMOTEPORT"),
    ("REMOTE_ADDR", "REMOTE_PORT"),
    ("SOCAT_PEERADDR", "SOCAT_PEERPORT"),
    ("NCAT_REMOTE_ADDR", "NCAT_REMOTE_PORT"),
];

/// All that a process needs to know to serve the connection it was started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the client gets.
    pub service_options: ServiceOptions,
    /// The client's number in the log.
    pub client: u64,
    /// The acceptor that started this process, if it is the model `process`.
    pub parent: Option<ParentPipes>,
}

/// How an acceptor and its process talk to each other.
#[derive(Clone, Debug)]
pub struct ParentPipes {
    /// A pipe that ends when the server is to stop, or has gone.
    pub until: PathBuf,
    /// A pipe for the last word on the connection.
    pub report: PathBuf,
}

/// Serves stdin and stdout to the end of their conversation. A signal to stop, however often it
/// comes, is the end of input: what was asked is answered. A hang-up ends it at once, and the
/// service still records what it must.
pub fn serve(config: &Config) -> Result<(), Failure> {
    let cannot = |error: io::Error| Failure::cannot("serve stdin and stdout", &error);
    Stdio::detach_stderr_from_peer().map_err(cannot)?;
    let signals = signals().map_err(cannot)?;
    let (until, report) = match &config.parent {
        Some(ParentPipes { until, report }) => (
            File::open(until).map_err(cannot)?.into(),
            Some(File::options().append(true).open(report).map_err(cannot)?),
        ),
        None => (signals.try_clone().map_err(cannot)?, None),
    };
    let cut = Arc::<AtomicBool>::default();
    flag::register(SIGHUP, Arc::clone(&cut)).map_err(cannot)?;
    let mut wire = Stdio::new([signals, until], Arc::clone(&cut)).map_err(cannot)?;
    let peer = Peer { number: config.client, address: peer() };
    let service = config.service_options.spec()?.build(peer);
    let limits = Arc::new(config.service_options.limits.clone());
    let traffic = Arc::clone(&limits.traffic);
    let mut session = Session::new(service, limits, peer.number, now());
    if report.is_none() {
        log::info!("client {} connected from {}", peer.number, peer.address);
    }
    blocking::serve(&mut wire, &mut session);
    let mut ending = session.close_reason().unwrap_or(CloseReason::Broken);
    if cut.load(Ordering::Acquire) {
        ending = ending.or_forced();
    }
    // The service has recorded all that it wants to when the end is reported.
    drop(session);
    match report {
        None => log::info!("client {} left: {ending}", peer.number),
        Some(mut report) => {
            // One write, so that the words of several processes do not mix; where nobody listens
            // any more, the acceptor has gone.
            let word = Report::new(peer.number, ending, &traffic).to_string();
            report.write_all(word.as_bytes()).ok();
        }
    }
    Ok(())
}

/// A descriptor that has something to read as soon as a signal has come.
fn signals() -> io::Result<OwnedFd> {
    let (reader, writer) = UnixStream::pair()?;
    pipe::register(SIGINT, writer.try_clone()?)?;
    pipe::register(SIGTERM, writer)?;
    Ok(reader.into())
}

/// Where the connection comes from: what its socket knows, else what the environment says.
fn peer() -> SocketAddr {
    let socket = io::stdin().as_fd().try_clone_to_owned().map(TcpStream::from);
    socket.and_then(|socket| socket.peer_addr()).ok().or_else(peer_by_name).unwrap_or_else(|| {
        let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        SocketAddr::new(unknown, 0)
    })
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
