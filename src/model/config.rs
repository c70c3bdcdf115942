//! The configuration of a server.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::results::Results;
use crate::choice::choices;
use crate::error::Failure;
use crate::net::limiter::WhenFull;
use crate::service::{RecordSink, ServiceKind, ServiceSpec};
use crate::session::Limits;

choices! {
    /// The design of a server.
    pub enum Model {
        /// One readiness loop for all clients.
        Loop = "loop",
        /// The same loop on poll(2) instead of epoll(7). `select` is this model as well: select(2)
        /// cannot watch descriptors from 1024 on.
        Poll = "poll",
        /// One client at a time, backlog 0.
        Single = "single",
        /// A thread for each client.
        Thread = "thread",
        /// Threads started beforehand, each for one client after another.
        Pool = "pool",
        /// A process for each client.
        Process = "process",
        /// Processes started beforehand, each for one client after another.
        Prefork = "prefork",
        /// Several readiness loops, each with a listener of its own.
        Sharded = "sharded",
    }
}

/// The configuration of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name or address to listen on.
    pub host: String,
    /// The port; 0 for any that is free.
    pub port: u16,
    /// The design of the server.
    pub model: Model,
    /// The configuration of each client's session.
    pub session: SessionConfig,
    /// The command line of a process that serves one client.
    pub child_args: fn(&StdioConfig) -> Vec<OsString>,
    /// The limit on clients; none for the model's default.
    pub max_clients: Option<usize>,
    /// The limit on clients from one source address; none for any number.
    pub max_per_source: Option<usize>,
    /// The policy for a client beyond the limit.
    pub when_full: WhenFull,
    /// The length of the accept queue; none for the model's default.
    pub backlog: Option<u32>,
    /// The number of loops of [`Model::Sharded`]; none for one per core.
    pub shards: Option<usize>,
    /// The number of workers of a model that starts them beforehand, and so its limit on clients;
    /// none for `max_clients`, or the model's default.
    pub workers: Option<usize>,
    /// The time for clients to finish when the server stops.
    pub drain_timeout: Duration,
}

/// The configuration of a client's session, in whichever process it is served.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The service.
    pub service: ServiceSpec,
    /// The limits of a connection.
    pub limits: Limits,
    /// The file for results of the quiz, if they are kept.
    pub results: Option<PathBuf>,
}

/// The standard input of a process that serves connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The connection itself.
    Connection,
    /// A local socket that brings connections, one after another.
    Connections,
}

/// The configuration of a process that serves one connection, or one after another.
#[derive(Clone, Debug)]
pub struct StdioConfig {
    /// The configuration of the client's session.
    pub session: SessionConfig,
    /// The client's number in the log.
    pub client: u64,
    /// The standard input.
    pub input: Input,
    /// The pipes to the server that started this process, if it is one of ours.
    pub parent: Option<ParentPipes>,
}

/// The paths of the pipes between a server of the models `process` and `prefork` and its child.
#[derive(Clone, Debug)]
pub struct ParentPipes {
    /// A pipe that the server closes when it stops, or by ending.
    pub until: PathBuf,
    /// A pipe for the report at the end of a connection.
    pub report: PathBuf,
}

impl SessionConfig {
    /// Opens the file for results. Only the quiz has any.
    pub(super) fn open_results(&self) -> Result<Option<Arc<dyn RecordSink>>, Failure> {
        let open = |path: &Path| Results::open(path, self.service.rules.questions);
        match (&self.results, self.service.kind) {
            (Some(path), ServiceKind::Quiz) => Ok(Some(Arc::new(open(path)?))),
            _ => Ok(None),
        }
    }
}
