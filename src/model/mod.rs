//! The classic designs of a TCP server, each around the same sessions.
//!
//! | model | who serves a client | what a learner sees |
//! | --- | --- | --- |
//! | `loop` | one thread, one [`Reactor`](crate::reactor::Reactor), all clients | readiness instead of waiting |
//! | `single` | the same loop with room for one, and a backlog of 0 | what an iterative server does to the second client |
//! | `thread` | a thread for each, waiting in its own system calls | simple code, paid for in memory |
//!
//! The acceptor is the same for all: it owns the door, and the small loop in which those who find
//! the server full are told so without keeping anyone else waiting.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::net::door::{Capacity, Door, WhenFull};
use crate::net::failure::Failure;
use crate::net::{descriptors, listener};
use crate::service::Offer;
use crate::session::Terms;

mod acceptor;
mod ledger;
mod results;
mod threads;

use acceptor::Acceptor;
use results::Results;

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
    /// What it does for its clients.
    pub offer: Offer,
    /// The line that every client reads before anything else, if there is one.
    pub banner: Option<Arc<str>>,
    /// Whether a service that would go on answers one request only.
    pub once: bool,
    /// Where the quiz's results go, if anywhere.
    pub results: Option<PathBuf>,
    /// The most clients at once; if not given, 1 for [`Model::Single`], 3 for the quiz and else as
    /// many as the descriptor limit allows.
    pub max_clients: Option<usize>,
    /// What happens to one client more.
    pub when_full: WhenFull,
    /// The accept queue's length; if not given, 0 for [`Model::Single`] and else
    /// [`listener::BACKLOG`].
    pub backlog: Option<u32>,
    /// What each connection may take.
    pub terms: Terms,
    /// How long a stop waits for connections to end by themselves.
    pub drain: Duration,
}

impl Config {
    fn capacity(&self) -> Capacity {
        let share = descriptors::share();
        let clients = self.max_clients.unwrap_or(match (self.model, &self.offer) {
            (Model::Single, _) => 1,
            (_, Offer::Quiz(_)) => QUIZ_CLIENTS.min(share.clients),
            (Model::Loop | Model::Thread, _) => share.clients,
        });
        if clients > share.clients {
            let most = share.clients;
            log::warn!("no more than {most} clients: that is what the descriptor limit allows");
        }
        let clients = clients.min(share.clients);
        Capacity { clients, turned_away: share.turned_away, when_full: self.when_full }
    }

    /// The service with all that was asked for around it.
    fn full_offer(&self) -> Result<Offer, Failure> {
        let mut offer = self.offer.clone();
        match &mut offer {
            Offer::Quiz(rules) => {
                log::info!("the first client's seed is {}", rules.seed);
                if let Some(path) = &self.results {
                    rules.board = Some(Arc::new(Results::open(path, rules.questions)?));
                }
            }
            // The other services end by themselves.
            Offer::Calc(..) | Offer::Echo | Offer::Fourops if self.once => {
                offer = Offer::Once(Box::new(offer));
            }
            _ => {}
        }
        Ok(match &self.banner {
            Some(text) => Offer::Banner(Arc::clone(text), Box::new(offer)),
            None => offer,
        })
    }

    fn backlog(&self) -> u32 {
        self.backlog.unwrap_or(match self.model {
            Model::Single => 0,
            Model::Loop | Model::Thread => listener::BACKLOG,
        })
    }
}

/// Serves until a signal says to stop, and until the clients have gone or the drain time is over.
/// `listening` is told the address as soon as clients can connect.
pub fn serve(config: &Config, listening: impl FnOnce(SocketAddr)) -> Result<(), Failure> {
    let offer = config.full_offer()?;
    let backlog = config.backlog();
    let listener = listener::listen(&config.host, config.port, backlog)?;
    let address = listener::address(&listener)?;
    let door = Door::new(listener, backlog, config.capacity())
        .map_err(|error| Failure::cannot("open a descriptor in reserve", &error))?;
    let terms = Arc::new(config.terms.clone());
    let mut acceptor = Acceptor::new(door, config, offer, terms)?;
    listening(address);
    acceptor.run()
}
