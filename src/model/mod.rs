//! The classic designs of a TCP server, each around the same sessions.
//!
//! | model | who serves a client | what a learner sees |
//! | --- | --- | --- |
//! | `loop` | one thread, one [`Reactor`](crate::reactor::Reactor), all clients | readiness instead of waiting |
//! | `single` | the same loop with room for one, and a backlog of 0 | what an iterative server does to the second client |
//! | `thread` | a thread for each, waiting in its own system calls | simple code, paid for in memory |
//! | `process` | a process for each: [this program again](solo), with the socket as stdin and stdout | nothing shared, paid for at every start |
//!
//! The acceptor is the same for all: it owns the door, and the small loop in which those who find
//! the server full are told so without keeping anyone else waiting.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::net::door::{Capacity, Door, WhenFull};
use crate::net::failure::Failure;
use crate::net::{descriptors, listener};
use crate::service::Offer;

mod acceptor;
mod ledger;
mod place;
mod process;
mod report;
mod results;
pub mod solo;
mod threads;
mod treatment;

use acceptor::Acceptor;
pub use treatment::Treatment;

/// How long a stop waits for connections to end by themselves, if nothing else is said.
pub const DRAIN: Duration = Duration::from_secs(5);

/// What the log calls the line of counters: who asks for it wants it however quiet the rest is.
pub const COUNTERS: &str = "counters";

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
    pub treatment: Treatment,
    /// The most clients at once; if not given, 1 for [`Model::Single`], 3 for the quiz and else as
    /// many as the descriptor limit allows.
    pub max_clients: Option<usize>,
    /// What happens to one client more.
    pub when_full: WhenFull,
    /// The accept queue's length; if not given, 0 for [`Model::Single`] and else
    /// [`listener::BACKLOG`].
    pub backlog: Option<u32>,
    /// How long a stop waits for connections to end by themselves.
    pub drain: Duration,
}

impl Config {
    fn capacity(&self) -> Capacity {
        let share = descriptors::share();
        let clients = self.max_clients.unwrap_or(match (self.model, &self.treatment.offer) {
            (Model::Single, _) => 1,
            (_, Offer::Quiz(_)) => QUIZ_CLIENTS.min(share.clients),
            (Model::Loop | Model::Thread | Model::Process, _) => share.clients,
        });
        if clients > share.clients {
            let most = share.clients;
            log::warn!("no more than {most} clients: that is what the descriptor limit allows");
        }
        let clients = clients.min(share.clients);
        Capacity { clients, turned_away: share.turned_away, when_full: self.when_full }
    }

    fn backlog(&self) -> u32 {
        self.backlog.unwrap_or(match self.model {
            Model::Single => 0,
            Model::Loop | Model::Thread | Model::Process => listener::BACKLOG,
        })
    }
}

/// Serves until a signal says to stop, and until the clients have gone or the drain time is over.
/// `listening` is told the address as soon as clients can connect.
pub fn serve(config: &Config, listening: impl FnOnce(SocketAddr)) -> Result<(), Failure> {
    let offer = config.treatment.offer()?;
    if let Offer::Quiz(rules) = &config.treatment.offer {
        log::info!("the first client's seed is {}", rules.seed);
    }
    let backlog = config.backlog();
    let listener = listener::listen(&config.host, config.port, backlog)?;
    let address = listener::address(&listener)?;
    let door = Door::new(listener, backlog, config.capacity())
        .map_err(|error| Failure::cannot("open a descriptor in reserve", &error))?;
    let terms = Arc::new(config.treatment.terms.clone());
    let mut acceptor = Acceptor::new(door, config, offer, terms)?;
    listening(address);
    acceptor.run()
}
