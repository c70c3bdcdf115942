//! The models: the classic designs of a TCP server, each around the same sessions.
//!
//! | model | a client is served by | it shows |
//! | --- | --- | --- |
//! | `loop` | one thread with one [`Reactor`](crate::reactor::Reactor), together with all others | readiness instead of waiting |
//! | `single` | the same loop, with one permit and a backlog of 0 | what an iterative server does to the second client |
//! | `thread` | a thread of its own, which waits in its system calls | simple code, paid for in memory |
//! | `process` | a process of its own: [this program's command `session`](stdio_session) | nothing shared, paid for at every start |
//! | `sharded` | one of several loops, each with a thread and a listener (`SO_REUSEPORT`) | the kernel distributes clients, nothing else is shared |
//!
//! All of them accept in the same `EventLoop`, which also tells clients that the server is full.
//!
//! | file | |
//! | --- | --- |
//! | `event_loop` | accepting, admitting, signals and the stop |
//! | `loops` | the threads of the loops |
//! | `shutdown` | the stages of a stop, and the barrier between them |
//! | `stats` | clients and counters |
//! | `workers`, `threads`, `process`, `report` | clients outside the loop |
//! | `results` | the table of quiz results |
//! | [`stdio_session`] | one connection on stdin and stdout |

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::choice::choices;
use crate::error::{Exit, Failure};
use crate::net::limited_listener::LimitedListener;
use crate::net::limiter::{Capacity, Limiter, WhenFull};
use crate::net::rate_limit::RateLimit;
use crate::net::wakers::Wakers;
use crate::net::{listener, nofile};
use crate::reactor::Reactor;
use crate::service::{ServiceKind, ServiceSpec};
use crate::session::{Context, Limits, RecordSink, Traffic};

mod event_loop;
mod loops;
mod process;
mod report;
mod results;
mod shutdown;
mod stats;
pub mod stdio_session;
mod threads;
mod workers;

use event_loop::EventLoop;
use process::Processes;
use results::Results;
use shutdown::Shutdown;
use stats::{Client, Stats};
use threads::Threads;
use workers::{Sessions, Workers};

/// The default time for clients to finish when the server stops.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The log target of the line of counters, which is logged at every log level.
pub const COUNTERS: &str = "counters";

/// The most loops of a server: more than any machine has cores to run them.
pub const MAX_SHARDS: usize = 1024;

/// The default limit on clients of the quiz.
const QUIZ_CLIENTS: usize = 3;

choices! {
    /// The design of a server.
    pub enum Model {
        /// One readiness loop for all clients.
        Loop = "loop",
        /// One client at a time, backlog 0.
        Single = "single",
        /// A thread for each client.
        Thread = "thread",
        /// A process for each client.
        Process = "process",
        /// Several readiness loops, each with a listener of its own.
        Sharded = "sharded",
    }
}

/// The properties in which models differ.
struct Design {
    /// The default limit on clients; none for as many as descriptors allow.
    max_clients: Option<usize>,
    /// The default length of the accept queue.
    backlog: u32,
    /// True if the server has several loops.
    sharded: bool,
    /// The maker of the workers of a loop; none if the loop serves its clients itself.
    workers: Option<NewWorkers>,
}

/// Makes the workers of a loop.
type NewWorkers = fn(&Config, &Shared, &Reactor<Client>, &Sessions) -> io::Result<Box<dyn Workers>>;

impl Model {
    fn design(self) -> Design {
        let one_loop =
            Design { max_clients: None, backlog: listener::BACKLOG, sharded: false, workers: None };
        match self {
            Self::Loop => one_loop,
            Self::Single => Design { max_clients: Some(1), backlog: 0, ..one_loop },
            Self::Thread => Design { workers: Some(Threads::of_loop), ..one_loop },
            Self::Process => Design { workers: Some(Processes::of_loop), ..one_loop },
            Self::Sharded => Design { sharded: true, ..one_loop },
        }
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
    /// What is done for each client.
    pub session: SessionConfig,
    /// The command line that gives a process the same `session`.
    pub session_args: Vec<OsString>,
    /// The limit on clients; none for the model's default.
    pub max_clients: Option<usize>,
    /// The policy for a client beyond the limit.
    pub when_full: WhenFull,
    /// The length of the accept queue; none for the model's default.
    pub backlog: Option<u32>,
    /// The number of loops of [`Model::Sharded`]; none for one per core.
    pub shards: Option<usize>,
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

impl SessionConfig {
    /// Opens the file for results. Only the quiz has any.
    fn open_results(&self) -> Result<Option<Arc<dyn RecordSink>>, Failure> {
        let open = |path: &Path| Results::open(path, self.service.rules.questions);
        match (&self.results, self.service.kind) {
            (Some(path), ServiceKind::Quiz) => Ok(Some(Arc::new(open(path)?))),
            _ => Ok(None),
        }
    }
}

impl Config {
    fn capacity(&self) -> Capacity {
        let budget = nofile::raise_nofile_limit(self.loops());
        let most = budget.clients;
        let clients = match (self.max_clients, self.model.design().max_clients) {
            (Some(clients), _) if clients > most => {
                log::warn!("the descriptor limit allows only {most} clients");
                most
            }
            (Some(clients), _) | (None, Some(clients)) => clients,
            (None, None) if self.session.service.kind == ServiceKind::Quiz => {
                QUIZ_CLIENTS.min(most)
            }
            (None, None) => most,
        };
        Capacity { clients, rejected: budget.rejected, when_full: self.when_full }
    }

    fn loops(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        if self.model.design().sharded { self.shards.unwrap_or_else(cores) } else { 1 }
    }
}

/// The state that the loops of a server share.
struct Shared {
    limiter: Arc<Limiter>,
    stats: Arc<Stats>,
    shutdown: Shutdown,
    wakers: Arc<Wakers>,
    log_limit: Arc<RateLimit>,
}

impl Shared {
    fn new(capacity: Capacity, traffic: Vec<Arc<Traffic>>) -> Self {
        let loops = traffic.len();
        let wakers = Arc::<Wakers>::default();
        let limiter = Arc::new(Limiter::new(capacity, Arc::clone(&wakers)));
        Self {
            stats: Arc::new(Stats::new(Arc::clone(&limiter), traffic)),
            limiter,
            shutdown: Shutdown::new(loops, Arc::clone(&wakers)),
            wakers,
            log_limit: Arc::default(),
        }
    }
}

/// Serves until a signal says to stop, and until the clients have left or the drain time is over.
/// `listening` is called with the address as soon as clients can connect.
pub fn serve(config: &Config, listening: impl FnOnce(SocketAddr)) -> Result<(), Failure> {
    if config.shards.is_some() && config.model != Model::Sharded {
        let text = "only the model sharded has shards";
        return Err(Failure::new(Exit::Usage, text).hint("--model sharded --shards N"));
    }
    let records = config.session.open_results()?;
    if config.session.service.kind == ServiceKind::Quiz {
        log::info!("the first client's seed is {}", config.session.service.rules.seed);
    }
    let loops = config.loops();
    let contexts: Vec<_> = (0..loops)
        .map(|_| {
            let (limits, records) = (config.session.limits, records.clone());
            Arc::new(Context { limits, traffic: Arc::default(), records })
        })
        .collect();
    let traffic = contexts.iter().map(|context| Arc::clone(&context.traffic)).collect();
    // Raises the limit on descriptors, before any is needed.
    let shared = Shared::new(config.capacity(), traffic);
    let design = config.model.design();
    let backlog = config.backlog.unwrap_or(design.backlog);
    let (first, spec) = listener::listen(&config.host, config.port, backlog, design.sharded)?;
    let mut listeners = vec![first];
    while listeners.len() < loops {
        let more = listener::listen_on(spec);
        listeners.push(more.map_err(|error| listener::cannot_listen(spec.address, &error))?);
    }
    let mut event_loops = Vec::new();
    for (listener, context) in listeners.into_iter().zip(contexts) {
        let (limiter, log_limit) = (Arc::clone(&shared.limiter), Arc::clone(&shared.log_limit));
        let listener = LimitedListener::new(listener, spec, limiter, log_limit)
            .map_err(|error| Failure::cannot("open /dev/null", &error))?;
        let sessions = Sessions { service: config.session.service.clone(), context };
        let event_loop = EventLoop::new(listener, sessions, config, &shared);
        event_loops.push(event_loop.map_err(|error| Failure::cannot("set up the loop", &error))?);
    }
    let led = event_loops[0].lead();
    led.map_err(|error| Failure::cannot("install signal handlers", &error))?;
    let served = loops::run(event_loops, &shared, || listening(spec.address));
    log::info!("{}", shared.stats);
    served
}
