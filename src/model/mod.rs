//! The classic designs of a TCP server, each around the same sessions.
//!
//! | model | who serves a client | what a learner sees |
//! | --- | --- | --- |
//! | `loop` | one thread, one [`Reactor`](crate::reactor::Reactor), all clients | readiness instead of waiting |
//! | `single` | the same loop with room for one, and a backlog of 0 | what an iterative server does to the second client |
//! | `thread` | a thread for each, waiting in its own system calls | simple code, paid for in memory |
//! | `process` | a process for each: [this program again](stdio_session), with the socket as stdin and stdout | nothing shared, paid for at every start |
//! | `sharded` | several loops, each with a thread and a listener of its own (`SO_REUSEPORT`) | the kernel shares out the clients, and nothing else is shared |
//!
//! The acceptor is the same for all: it owns the door, and the small loop in which those who find
//! the server full are told so without keeping anyone else waiting.

use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::error::{Exit, Failure};
use crate::net::limited_listener::LimitedListener;
use crate::net::limiter::{Capacity, Limiter, WhenFull};
use crate::net::{listener, nofile};
use crate::service::ServiceSpec;

mod event_loop;
mod loops;
mod process;
mod report;
mod results;
mod service_options;
mod shutdown;
mod stats;
pub mod stdio_session;
mod threads;
mod workers;

use event_loop::EventLoop;
pub use service_options::ServiceOptions;
use shutdown::LoopGroup;
use stats::Stats;

/// How long a stop waits for connections to end by themselves, if nothing else is said.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What the log calls the line of counters: who asks for it wants it however quiet the rest is.
pub const COUNTERS: &str = "counters";

/// The most loops that a server may have: more than any machine has cores to run them.
pub const MAX_SHARDS: usize = 1024;

/// How many play at once, if nothing else is said.
const QUIZ_CLIENTS: usize = 3;

/// How a server is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// One readiness loop for all clients.
    Loop,
    /// The same loop for one client at a time.
    Single,
    /// A thread for each client.
    Thread,
    /// A process for each client.
    Process,
    /// Several readiness loops, each for its part of the clients.
    Sharded,
}

/// All that a server needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name or address to listen on.
    pub host: String,
    /// The port; 0 for any that is free.
    pub port: u16,
    /// How the server is built.
    pub model: Model,
    /// What every client gets.
    pub service_options: ServiceOptions,
    /// The most clients at once; if not given, 1 for [`Model::Single`], 3 for the quiz and else as
    /// many as the descriptor limit allows.
    pub max_clients: Option<usize>,
    /// What happens to one client more.
    pub when_full: WhenFull,
    /// The accept queue's length; if not given, 0 for [`Model::Single`] and else
    /// [`listener::BACKLOG`].
    pub backlog: Option<u32>,
    /// How many loops [`Model::Sharded`] has; if not given, one for each core.
    pub shards: Option<usize>,
    /// How long a stop waits for connections to end by themselves.
    pub drain_timeout: Duration,
}

impl Config {
    fn capacity(&self) -> Capacity {
        let budget = nofile::raise_nofile_limit(self.loops());
        let clients = self.max_clients.unwrap_or(match (self.model, &self.service_options.spec) {
            (Model::Single, _) => 1,
            (_, ServiceSpec::Quiz(_)) => QUIZ_CLIENTS.min(budget.clients),
            (Model::Loop | Model::Thread | Model::Process | Model::Sharded, _) => budget.clients,
        });
        if clients > budget.clients {
            let most = budget.clients;
            log::warn!("no more than {most} clients: that is what the descriptor limit allows");
        }
        let clients = clients.min(budget.clients);
        Capacity { clients, rejected: budget.rejected, when_full: self.when_full }
    }

    fn backlog(&self) -> u32 {
        self.backlog.unwrap_or(match self.model {
            Model::Single => 0,
            Model::Loop | Model::Thread | Model::Process | Model::Sharded => listener::BACKLOG,
        })
    }

    fn loops(&self) -> usize {
        match self.model {
            Model::Sharded => self
                .shards
                .or_else(|| thread::available_parallelism().ok().map(NonZero::get))
                .unwrap_or(1),
            Model::Loop | Model::Single | Model::Thread | Model::Process => 1,
        }
    }
}

/// Serves until a signal says to stop, and until the clients have gone or the drain time is over.
/// `listening` is told the address as soon as clients can connect.
pub fn serve(config: &Config, listening: impl FnOnce(SocketAddr)) -> Result<(), Failure> {
    let service = config.service_options.spec()?;
    if let ServiceSpec::Quiz(rules) = &config.service_options.spec {
        log::info!("the first client's seed is {}", rules.seed);
    }
    if config.shards.is_some() && config.model != Model::Sharded {
        let text = "only the model sharded has shards";
        return Err(Failure::new(Exit::Usage, text).hint("--model sharded --shards N"));
    }
    let loops = config.loops();
    // Raises the limit on descriptors, of which the listeners take the first.
    let room = Arc::new(Limiter::new(config.capacity()));
    let reuse_port = config.model == Model::Sharded;
    let (first, spec) = listener::listen(&config.host, config.port, config.backlog(), reuse_port)?;
    let mut listeners = vec![first];
    while listeners.len() < loops {
        let more = listener::listen_on(spec);
        listeners.push(more.map_err(|error| listener::cannot_listen(spec.address, &error))?);
    }
    let limits: Vec<_> =
        (0..loops).map(|_| Arc::new(config.service_options.limits.with_own_counters())).collect();
    let stats = Stats::new(limits.iter().map(|limits| Arc::clone(&limits.traffic)).collect());
    let group = LoopGroup::new(loops, room, stats);
    let mut loops = Vec::new();
    for (listener, limits) in listeners.into_iter().zip(limits) {
        let door = LimitedListener::new(listener, spec, Arc::clone(&group.room))
            .map_err(|error| Failure::cannot("open a descriptor in reserve", &error))?;
        loops.push(EventLoop::new(door, config, service.clone(), limits, &group)?);
    }
    loops[0].register_signals().map_err(|error| Failure::cannot("hear signals", &error))?;
    let served = loops::run(loops, &group, || listening(spec.address));
    log::info!("{}", group.stats);
    served
}
