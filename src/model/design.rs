//! The designs of the models: the one table of their differences.

use std::num::NonZero;
use std::thread;

use mio::Registry;

use super::MAX_WORKERS;
use super::config::{Config, Model};
use super::process::Processes;
use super::shared::Shared;
use super::threads::Threads;
use super::workers::{Sessions, Workers};
use crate::error::{Exit, Failure};
use crate::net::limiter::Capacity;
use crate::net::{listener, nofile};
use crate::service::ServiceKind;

/// The default limit on clients of the model `process`: each takes half a megabyte and a start.
const PROCESSES: usize = 512;

/// The default number of workers that are started beforehand.
const WORKERS: usize = 8;

/// The default limit on clients of the quiz.
const QUIZ_CLIENTS: usize = 3;

/// The properties in which models differ.
pub(super) struct Design {
    /// The default limit on clients; none for as many as descriptors allow.
    pub(super) max_clients: Option<usize>,
    /// The default length of the accept queue.
    pub(super) backlog: u32,
    /// True if the server has several loops.
    pub(super) sharded: bool,
    /// The system call with which the loop waits.
    pub(super) wait: Wait,
    /// True if there is a worker for each client before any has connected.
    pub(super) prestarted: bool,
    /// The maker of the workers of a loop; none if the loop serves its clients itself.
    pub(super) workers: Option<NewWorkers>,
}

/// A system call that waits for many sockets.
pub(super) enum Wait {
    /// epoll(7).
    Epoll,
    /// poll(2).
    Poll,
}

/// Makes the workers of a loop.
pub(super) type NewWorkers =
    fn(&Config, &Shared, &Registry, &Sessions) -> Result<Box<dyn Workers>, Failure>;

impl Model {
    pub(super) fn design(self) -> Design {
        let one_loop = Design {
            max_clients: None,
            backlog: listener::BACKLOG,
            sharded: false,
            wait: Wait::Epoll,
            prestarted: false,
            workers: None,
        };
        match self {
            Self::Loop => one_loop,
            Self::Poll => Design { wait: Wait::Poll, ..one_loop },
            Self::Single => Design { max_clients: Some(1), backlog: 0, ..one_loop },
            Self::Thread => Design { workers: Some(Threads::of_loop), ..one_loop },
            Self::Pool => Design {
                max_clients: Some(WORKERS),
                prestarted: true,
                workers: Some(Threads::pool_of_loop),
                ..one_loop
            },
            Self::Process => Design {
                max_clients: Some(PROCESSES),
                workers: Some(Processes::of_loop),
                ..one_loop
            },
            Self::Prefork => Design {
                max_clients: Some(WORKERS),
                prestarted: true,
                workers: Some(Processes::kept_by_loop),
                ..one_loop
            },
            Self::Sharded => Design { sharded: true, ..one_loop },
        }
    }
}

impl Config {
    /// The limit on clients, within the limit on descriptors.
    pub(super) fn capacity(&self) -> Capacity {
        let budget = nofile::raise_nofile_limit(self.loops());
        let most = budget.clients;
        let quiz = (self.session.service.kind == ServiceKind::Quiz).then_some(QUIZ_CLIENTS);
        let default = self.model.design().max_clients.into_iter().chain(quiz).min();
        let clients = match self.workers.or(self.max_clients) {
            Some(clients) if clients > most => {
                log::warn!("the descriptor limit allows only {most} clients");
                most
            }
            Some(clients) => clients,
            None => default.map_or(most, |clients| clients.min(most)),
        };
        let (per_source, when_full) = (self.max_per_source, self.when_full);
        Capacity { clients, per_source, rejected: budget.rejected, when_full }
    }

    /// Fails if an option asks for what the model does not have.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let usage = |text: &str, hint| Err(Failure::new(Exit::Usage, text).hint(hint));
        let Design { sharded, prestarted, .. } = self.model.design();
        if self.shards.is_some() && !sharded {
            return usage("only the model sharded has shards", "--model sharded --shards N");
        }
        if self.workers.is_some() && !prestarted {
            return usage("only pool and prefork start workers beforehand", "--model pool");
        }
        if prestarted && self.max_clients.is_some_and(|clients| clients > MAX_WORKERS) {
            let text = format!("a worker for each client would be more than {MAX_WORKERS}");
            return usage(&text, "the model thread starts them as they are needed");
        }
        Ok(())
    }

    /// The length of the accept queue.
    pub(super) fn backlog(&self) -> u32 {
        self.backlog.unwrap_or(self.model.design().backlog)
    }

    /// The number of loops.
    pub(super) fn loops(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        if self.model.design().sharded { self.shards.unwrap_or_else(cores) } else { 1 }
    }
}
