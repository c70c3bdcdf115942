//! The test of many clients: at the same time, as far as the server has room for them.

use super::client::Client;
use super::course::ENDS_AFTER_ONE;
use super::exchange::Answer;
use super::grading::{Grading, Step};
use super::report::{Fault, Outcome};
use super::wait_until;

/// Clients of the test.
const MANY: usize = 200;

pub(super) fn many_clients(grading: &mut Grading<'_>) -> Step<Outcome> {
    if grading.dialogue.end_after_one.is_some() {
        return Ok(Outcome::untested(ENDS_AFTER_ONE));
    }
    let mut at_once = grading.capacity().min(MANY);
    let (mut served, mut most) = (0, 0);
    let mut waiting = None;
    let mut rejects = false;
    while served < MANY {
        let nth = |fault: Fault, n: usize| Fault {
            seen: format!("client {} of {MANY}: {}", served + n + 1, fault.seen),
            ..fault
        };
        if rejects {
            // There is room again once the server has seen the others leave.
            wait_until(grading.dialogue.patience(), || grading.connections().is_empty());
        }
        let has_waited = waiting.is_some();
        let first = match waiting.take() {
            Some(client) => client,
            None => grading.connect().map_err(|fault| nth(fault, 0))?,
        };
        let (mut clients, next) = fill(grading, first, at_once.min(MANY - served));
        waiting = next;
        if waiting.is_some() {
            at_once = clients.len();
        }
        // All ask at once: a server that takes its time for an answer takes it once.
        let questions: Vec<_> = clients.iter_mut().map(|client| grading.put(client)).collect();
        if grading.is_quiz() {
            for client in &mut clients {
                grading.give_name(client);
            }
        }
        let mut rejected = 0;
        let alone = clients.len() == 1 && !has_waited;
        for (n, (client, question)) in clients.iter_mut().zip(&questions).enumerate() {
            let answer = grading.receive_answer(client, question);
            match answer {
                // A limit on clients, of which it is told.
                Answer::Other(_) if client.end().is_some() && !alone => rejected += 1,
                // Wrong answers have tests of their own.
                Answer::Other(_) if client.end().is_none() => {}
                answer => {
                    let right = grading.expect_right(client, question, &answer);
                    right.map_err(|fault| nth(fault, n))?;
                }
            }
        }
        let count = clients.len() - rejected;
        if rejected > 0 {
            (rejects, at_once) = (true, count.max(1));
        }
        most = most.max(count);
        served += count;
        clients.into_iter().for_each(Client::close);
    }
    let how = match most {
        MANY => "at the same time".to_owned(),
        1 => "one after another".to_owned(),
        n => format!("at most {n} at the same time"),
    };
    Ok(Outcome::Holds(Some(format!("{MANY} clients were served, {how}"))))
}

/// Connects up to `count` clients, as many as the server accepts. Returns them, and the one that
/// waits in the accept queue if there was no room for it: a limit on clients is no fault.
fn fill(grading: &mut Grading<'_>, first: Client, count: usize) -> (Vec<Client>, Option<Client>) {
    let mut clients = vec![first];
    while clients.len() < count {
        let Some(client) = grading.connect_quickly() else { break };
        // One after another: the accept queue may be short.
        if !grading.wait_accepted(&client) {
            return (clients, Some(client));
        }
        clients.push(client);
    }
    (clients, None)
}
