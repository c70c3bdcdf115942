//! The inspection of a server: clients come and go, and /proc shows what changes.

use std::net::SocketAddr;
use std::time::Duration;

use super::client::Client;
use super::design::{CLIENTS, Class, Design, SELECTS, View, WATCHED};
use super::exchange::Answer;
use super::grading::{Grading, Step};
use super::report::{Fault, Outcome};
use super::snapshot::{Snapshot, activity, at_rest, set_up};
use super::{Expect, wait_until};
use crate::choice::Choice;
use crate::subject::processes::{Call, ProcessState, Target, ThreadState};
use crate::subject::sockets::State;

/// Clients of the second inspection, of a server whose threads stay: more than any test has at the
/// same time. A pool serves fewer.
const MORE_CLIENTS: usize = 201;

/// Inspects a subject that has not served anybody.
fn inspect(grading: &mut Grading<'_>) -> Step<Design> {
    let before = set_up(&grading.subject);
    let (clients, served) = connect_some(grading, CLIENTS)?;
    let rejected = clients.iter().filter(|it| it.end().is_some()).count();
    let during = at_rest(&grading.subject);
    let (switches, worked) = activity(&grading.subject, WATCHED);
    let view = View {
        before: &before,
        during: &during,
        clients: &addresses(&clients),
        served,
        rejected,
        switches,
        worked,
    };
    let mut design = view.design();
    clients.into_iter().for_each(Client::close);
    if design.class == Class::ThreadPerClient {
        let count = during.threads().count();
        let shrunk = || Snapshot::of(&grading.subject).threads().count() < count;
        if !wait_until(grading.dialogue.patience(), shrunk) {
            // They stay: a pool that grows on demand.
            let (clients, served) = connect_some(grading, MORE_CLIENTS)?;
            if served < MORE_CLIENTS {
                design.class = Class::Pool(served);
                design.served = served;
                design.clients = MORE_CLIENTS;
                design.evidence =
                    format!("{MORE_CLIENTS} clients, {served} served; its threads stay");
            }
            clients.into_iter().for_each(Client::close);
        }
    }
    Ok(design)
}

/// Connects clients, each with a question, as long as they can connect. Returns them and the number
/// of those that were served.
fn connect_some(grading: &mut Grading<'_>, count: usize) -> Step<(Vec<Client>, usize)> {
    let mut clients = vec![grading.connect()?];
    while clients.len() < count {
        // One that is not accepted soon fills the accept queue.
        grading.wait_accepted(&clients[clients.len() - 1]);
        // With a short accept queue the next one cannot even connect.
        match grading.connect_quickly() {
            Some(client) => clients.push(client),
            None => break,
        }
    }
    grading.wait_accepted(&clients[clients.len() - 1]);
    if grading.dialogue.one_answer {
        // An answer would end the connection: accepted is as good as served.
        let accepted = || Snapshot::of(&grading.subject).accepted(&addresses(&clients)).len();
        wait_until(grading.dialogue.patience(), || accepted() >= count);
        let served = accepted();
        return Ok((clients, served));
    }
    let mut questions = Vec::new();
    for client in &mut clients {
        let question = grading.put(client);
        questions.push(question);
    }
    let (mut served, mut patience) = (0, grading.dialogue.patience());
    for (client, question) in clients.iter_mut().zip(&questions) {
        // A wrong answer is one. A word to a client that is rejected is none.
        served += usize::from(match grading.answer_within(client, question, patience) {
            Answer::Right(reply) => {
                grading.dialogue.shape.note_right(&reply);
                true
            }
            Answer::Other(_) => client.end().is_none(),
            Answer::Nothing => {
                if client.end().is_none() {
                    // All have asked: the others have waited as long.
                    patience = Duration::ZERO;
                }
                // Its answer may have gone to another client.
                client.end().is_none() && grading.has_read(client)
            }
        });
    }
    Ok((clients, served))
}

fn addresses(clients: &[Client]) -> Vec<SocketAddr> {
    clients.iter().map(|client| client.address).collect()
}

pub(super) fn who_serves(grading: &mut Grading<'_>) -> Step<Outcome> {
    let design = match grading.design.take() {
        Some(design) => design,
        None => inspect(grading)?,
    };
    if !grading.dialogue.known && (design.served == 0 || design.rejects) {
        // Nobody can tell what a server waits for that has turned its clients away.
        let reason = "its clients got no right answer and were not served";
        grading.design = Some(design);
        return Ok(Outcome::untested(reason));
    }
    let (class, expected) = (design.class, grading.config().expect);
    let seen = format!("{}: {class}", design.evidence);
    grading.design = Some(design);
    if class.is(expected) {
        return Ok(Outcome::Holds(Some(seen)));
    }
    let wanted = expected.description();
    let hint = match (class, expected) {
        (Class::Iterative, Expect::Thread) => {
            " Do not wait for the thread of a client before the next accept: no join, and in Java \
             start(), not run()."
        }
        _ => "",
    };
    let advice =
        format!("The design that is expected here is another: {}.{hint}", wanted.to_lowercase());
    Err(Fault::new(seen, advice))
}

impl Grading<'_> {
    /// Finds out how the server is built.
    pub(super) fn inspect(&mut self) {
        let inspected = self.renew().and_then(|()| inspect(self));
        self.design = inspected.ok();
    }

    /// The clients that the design serves at the same time, as far as that was seen.
    pub(super) fn capacity(&self) -> usize {
        match &self.design {
            Some(design) if design.served < design.clients => design.served.max(1),
            Some(Design { class: Class::Pool(workers) | Class::Prefork(workers), .. }) => {
                (*workers).max(1)
            }
            Some(Design { class: Class::Iterative, .. }) => 1,
            _ => usize::MAX,
        }
    }

    /// Waits until a server with a limit on clients has closed the connections of earlier ones.
    pub(super) fn wait_for_room(&self) {
        if self.design.as_ref().is_some_and(|it| it.rejects) {
            let most = self.capacity();
            wait_until(self.dialogue.patience(), || self.connections().len() < most);
        }
    }

    /// True if nobody expects the server to serve several clients at once.
    pub(super) fn expects_one_at_a_time(&self) -> bool {
        matches!(self.config().expect, Expect::Any | Expect::Single)
    }

    /// The calls in which the threads of the server wait, a line each, with the client if any.
    pub(super) fn doing(&self) -> Vec<String> {
        let now = Snapshot::of(&self.subject);
        let line = |(process, thread): (&ProcessState, &ThreadState)| {
            let Call::Waiting { name, arguments } = thread.call else {
                return format!("thread {} runs", thread.tid);
            };
            let descriptor = Some(arguments[0]).filter(|_| !SELECTS.contains(&name));
            let descriptor = descriptor.and_then(|number| process.descriptor(number));
            let client = descriptor.and_then(|descriptor| match descriptor.target {
                Target::Socket(inode) => now.sockets.iter().find(|it| it.inode == inode),
                _ => None,
            });
            let number = arguments[0];
            let on = client.map(|it| match it.state {
                State::Listen => format!(" on descriptor {number}, which listens"),
                _ => format!(" on descriptor {number} (client {})", it.remote),
            });
            format!("thread {} waits in {name}{}", thread.tid, on.unwrap_or_default())
        };
        now.threads().map(line).take(CLIENTS).collect()
    }
}
