//! The models: the classic designs of a TCP server, each around the same sessions.
//!
//! | model | a client is served by | it shows |
//! | --- | --- | --- |
//! | `loop` | one thread with one [`Reactor`](crate::reactor::Reactor), together with all others | readiness instead of waiting |
//! | `poll` | the same loop, on poll(2) instead of epoll(7) | a wait whose cost grows with the idle clients |
//! | `single` | the same loop, with one permit and a backlog of 0 | what an iterative server does to the second client |
//! | `thread` | a thread of its own, which waits in its system calls | simple code, paid for in memory |
//! | `pool` | one of several threads that were started beforehand | no start for each client, and a limit on their number |
//! | `process` | a process of its own: [this program's command `session`](stdio_session) | nothing shared, paid for at every start |
//! | `prefork` | one of several processes that were started beforehand and get its descriptor (`SCM_RIGHTS`) | isolation without a start for each client |
//! | `sharded` | one of several loops, each with a thread and a listener (`SO_REUSEPORT`) | the kernel distributes clients, nothing else is shared |
//!
//! All of them accept in the same `EventLoop`, which also tells clients that they are not served.
//!
//! | file | |
//! | --- | --- |
//! | `config`, `design` | the configuration, and the table of what each model is |
//! | `event_loop` | accepting, admitting, signals and the stop |
//! | `rejection` | telling a client that it is not served |
//! | `loops`, `shared` | the threads of the loops, and the state that they share |
//! | `shutdown` | the stages of a stop, and the barrier between them |
//! | `stats` | clients and counters |
//! | `workers`, `threads`, `pool`, `process`, `launcher`, `control_pipes`, `handover`, `report` | clients outside the loop |
//! | `results`, `row` | the table of quiz results |
//! | [`stdio_session`] | one connection on stdin and stdout, or one after another |

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::choice::Choice;
use crate::error::{Failure, cannot_open};
use crate::explain;
use crate::net::address;
use crate::net::limited_listener::LimitedListener;
use crate::net::limiter::WhenFull;
use crate::net::listener;
use crate::number;
use crate::reactor::{Explained, Mio, Poll, SystemKernel};
use crate::service::ServiceKind;
use crate::session::Context;
use crate::signal::ServerSignals;

mod config;
mod control_pipes;
mod design;
mod event_loop;
mod handover;
mod launcher;
mod loops;
mod pool;
mod process;
mod rejection;
mod report;
mod results;
mod row;
mod shared;
mod shutdown;
mod stats;
pub mod stdio_session;
mod threads;
mod workers;

pub use config::{Config, Input, Model, ParentPipes, SessionConfig, StdioConfig};
use design::Wait;
use event_loop::EventLoop;
use shared::Shared;
pub use shutdown::FORCED_WAITS;
pub use stats::COUNTERS;
use workers::Sessions;

/// The default time for clients to finish when the server stops.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The most loops of a server: more than any machine has cores to run them.
pub const MAX_SHARDS: usize = 1024;

/// The most workers that a server starts beforehand: they all start before the first client, and by
/// default the kernel allows 32,768 processes and threads together (`kernel.pid_max`, proc(5)).
pub const MAX_WORKERS: usize = 16 * 1024;

/// Serves until a signal says to stop, and until the clients have left or the drain time is over.
/// `listening` is called with the address as soon as clients can connect; if it fails, so does the
/// server.
pub fn serve(
    config: &Config,
    listening: impl FnOnce(SocketAddr) -> Result<(), Failure>,
) -> Result<(), Failure> {
    config.check()?;
    let design = config.model.design();
    explain::begin(design.workers.is_some());
    match (design.wait, explain::is_enabled()) {
        (Wait::Epoll, false) => serve_on::<Mio>(config, listening),
        (Wait::Epoll, true) => serve_on::<Explained<Mio>>(config, listening),
        (Wait::Poll, false) => serve_on::<Poll>(config, listening),
        (Wait::Poll, true) => serve_on::<Explained<Poll>>(config, listening),
    }
}

/// Serves with loops that wait with the kernel `K`.
fn serve_on<K: SystemKernel>(
    config: &Config,
    listening: impl FnOnce(SocketAddr) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let records = config.session.open_results()?;
    if config.session.service.kind == ServiceKind::Quiz {
        log::info!("the first client's seed is {}", config.session.service.rules.seed);
    }
    let loops = config.loops();
    let contexts: Vec<_> = (0..loops)
        .map(|_| {
            let (limits, records) = (config.session.limits, records.clone());
            Arc::new(Context { limits, records, ..Context::default() })
        })
        .collect();
    let traffic = contexts.iter().map(|context| Arc::clone(&context.traffic)).collect();
    // Raises the limit on descriptors, before any is needed.
    let capacity = config.capacity();
    let design = config.model.design();
    let addresses = address::resolve(&config.host, config.port)?;
    // From here on a signal is a stop: clients can connect soon. Earlier it ends the search for the
    // address.
    let signals = ServerSignals::new()?;
    let (first, spec) = listener::listen(addresses, config.backlog(), design.sharded)?;
    let mut listeners = vec![first];
    while listeners.len() < loops {
        let more = listener::listen_on(spec);
        listeners.push(more.map_err(|error| listener::cannot_listen(spec.address, &error))?);
    }
    let shared = Shared::new(capacity, traffic, Arc::clone(&signals.stop_came));
    let mut event_loops = Vec::new();
    for (listener, context) in listeners.into_iter().zip(contexts) {
        let (limiter, log_limit) = (Arc::clone(&shared.limiter), Arc::clone(&shared.log_limit));
        let listener = LimitedListener::new(listener, spec, limiter, log_limit)
            .map_err(|error| cannot_open("/dev/null", &error))?;
        let sessions = Sessions { service: config.session.service.clone(), context };
        event_loops.push(EventLoop::<K>::new(listener, sessions, config, &shared)?);
    }
    event_loops[0].lead(signals)?;
    let served = loops::run(event_loops, &shared, || {
        log::info!("{}", start_line(config, &shared, spec.address));
        listening(spec.address)
    });
    if let Some(records) = records {
        records.flush(shared.shutdown.patience());
    }
    log::info!("{}", shared.stats);
    served
}

/// The description of a server that listens.
fn start_line(config: &Config, shared: &Shared, address: SocketAddr) -> String {
    let (service, model) = (config.session.service.kind.name(), config.model.name());
    let mut clients = match shared.limiter.capacity().clients {
        1 => "1 client".to_owned(),
        n => format!("up to {} clients", number::grouped(n as u64)),
    };
    if let Some(n) = config.max_per_source {
        clients = format!("{clients} ({} from one address)", number::grouped(n as u64));
    }
    let (backlog, when_full) = (config.backlog(), config.when_full.name());
    let queue = if config.model == Model::Single && config.when_full != WhenFull::Queue {
        " (an original server would let it wait: --when-full queue)"
    } else {
        ""
    };
    format!(
        "serving {service} with model {model} on {address}: {clients}, backlog {backlog}, \
         when full: {when_full}{queue}"
    )
}
