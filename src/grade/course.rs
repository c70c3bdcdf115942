//! The tests of a course: right answers, one client after another, several at once.

use super::client::{Client, End, quoted};
use super::exchange::Answer;
use super::grading::{Grading, Step};
use super::question::Question;
use super::report::{Fault, Outcome};
use crate::number;

/// Clients that are served at the same time, if the design has room for them.
const SEVERAL: usize = 3;

/// Questions of a client beside another that is silent.
const BUSY_QUESTIONS: usize = 5;

/// Rounds of questions in which clients take turns.
const ROUNDS: usize = 3;

/// The reason why a test of certain questions does not concern a server.
pub(super) const ASKS_ITSELF: &str = "it asks the questions itself: see whole-game";

/// The reason why a test of several answers on one connection does not concern a server.
pub(super) const ONE_ANSWER: &str = "it closes after one answer";

/// The reason why clients one after another cannot be tested.
pub(super) const ENDS_AFTER_ONE: &str = "it ends with its first client: see second-after-first";

pub(super) fn four_operators(grading: &mut Grading<'_>) -> Step<Outcome> {
    if grading.is_quiz() {
        return Ok(Outcome::skipped(ASKS_ITSELF));
    }
    let mut client = grading.connect()?;
    for operator in ['+', '-', '*', '/'] {
        let question = grading.questions.with(operator);
        let answer = grading.answer(&mut client, &question);
        let right = grading.expect_right(&client, &question, &answer);
        right.map_err(|fault| {
            fault.advice(match answer {
                Answer::Nothing if comes_at_the_end(grading, &mut client, &question) => {
                    "The answer came when the client had closed its sending half: until then it \
                     was in a buffer of the program. Flush the output after each answer."
                        .to_owned()
                }
                Answer::Nothing => "Answer each question on the connection it came from.".into(),
                _ => format!("{}. Both operands are whole numbers.", question.sum_text()),
            })
        })?;
        client = next_question(grading, client)?;
    }
    client.close();
    Ok(Outcome::Holds(None))
}

/// True if the right answer comes after all, at the end of input.
fn comes_at_the_end(grading: &Grading<'_>, client: &mut Client, question: &Question) -> bool {
    if client.is_closed_by_server() {
        return false;
    }
    client.half_close();
    let reply = grading.receive_answers(client, std::slice::from_ref(question));
    grading.dialogue.shape.is_right(question, &reply)
}

/// The outcome of a test of several clients for a server that serves one at a time: its design, or
/// its fault.
pub(super) fn one_at_a_time(grading: &Grading<'_>) -> Outcome {
    if grading.expects_one_at_a_time() {
        Outcome::skipped("it serves one client at a time, by its design")
    } else {
        Outcome::untested("it serves one client at a time: see who-serves")
    }
}

/// The outcome of a test whose clients have done no harm. A server that ends with each client has
/// not shown that.
pub(super) fn no_harm(grading: &Grading<'_>) -> Outcome {
    match grading.dialogue.end_after_one {
        None => Outcome::Holds(None),
        Some(_) => Outcome::untested(ENDS_AFTER_ONE),
    }
}

/// The client for the next question: a new one, if the server closes after each answer.
fn next_question(grading: &mut Grading<'_>, client: Client) -> Step<Client> {
    if grading.dialogue.one_answer {
        client.close();
        grading.connect()
    } else {
        Ok(client)
    }
}

pub(super) fn second_after_first(grading: &mut Grading<'_>) -> Step<Outcome> {
    let advice = "When a client has left (recv returns 0), close its socket and accept the next.";
    if let Some(end) = grading.dialogue.end_after_one {
        let seen = format!("the server ended when its first client had left: {end}");
        let said = grading.dialogue.output_at_end.clone();
        return Err(Fault::new(seen, advice).evidence(said).remedy(&[end.to_string()]));
    }
    if let Some(count) = grading.dialogue.most_clients {
        let seen = format!("the server ended by itself after {}", number::counted(count, "client"));
        let fault = Fault::new(seen, "Accept clients in a loop that has no end.");
        return Err(fault.evidence(grading.dialogue.output_at_end.clone()));
    }
    for _ in 0..2 {
        let mut client = grading.connect()?;
        grading.ask(&mut client)?;
        client.close();
    }
    grading.check_well().map_err(|fault| fault.advice(advice))?;
    Ok(Outcome::Holds(None))
}

pub(super) fn second_while_first(grading: &mut Grading<'_>) -> Step<Outcome> {
    if grading.dialogue.end_after_one.is_some() {
        return Ok(Outcome::untested(ENDS_AFTER_ONE));
    }
    let mut first = grading.connect()?;
    if !grading.dialogue.one_answer {
        grading.ask(&mut first)?;
    }
    let patience = grading.dialogue.patience();
    let second = grading.connect().ok().map(|mut client| {
        let question = grading.put(&mut client);
        let answer = grading.answer_within(&mut client, &question, patience);
        (client, question, answer)
    });
    let advice = "What happens to one client must not touch another's connection.";
    grading.ask(&mut first).map_err(|fault| fault.advice(advice))?;
    first.close();
    let seen = match second {
        None => "the second could not connect until the first had left",
        Some((client, _, Answer::Right(_))) => {
            client.close();
            "the second was served beside the first"
        }
        Some((mut client, question, Answer::Nothing)) if client.end().is_none() => {
            // It has asked already; the answer must come now.
            let answer = grading.receive_answer(&mut client, &question);
            let advice = "A client that waited in the accept queue must be served when the one \
                          before it has left.";
            let right = grading.expect_right(&client, &question, &answer);
            right.map_err(|fault| fault.advice(advice))?;
            client.close();
            "the second waited until the first had left, and was served then"
        }
        Some((client, _, Answer::Nothing)) => match client.end() {
            Some(End::Reset) => "the second was reset",
            _ => "the second was closed without a word",
        },
        Some((client, _, Answer::Other(text))) if client.end().is_some() => {
            client.close();
            let text = quoted(&text);
            return Ok(Outcome::Holds(Some(format!("the second was told {text} and closed"))));
        }
        Some((client, question, answer)) => {
            grading.expect_right(&client, &question, &answer)?;
            "the second was served"
        }
    };
    Ok(Outcome::Holds(Some(seen.to_owned())))
}

/// Clients that are connected at the same time.
fn connect_all(grading: &mut Grading<'_>, count: usize) -> Step<Vec<Client>> {
    (0..count).map(|_| grading.connect()).collect()
}

pub(super) fn several_at_once(grading: &mut Grading<'_>) -> Step<Outcome> {
    let capacity = grading.capacity();
    if capacity == 1 && grading.expects_one_at_a_time() {
        return Ok(one_at_a_time(grading));
    }
    let count = capacity.clamp(2, SEVERAL);
    let mut clients = connect_all(grading, count)?;
    // The last one first: nobody waits for the others to leave.
    for (n, client) in clients.iter_mut().enumerate().rev() {
        grading.ask(client).map_err(|fault| {
            let advice = format!(
                "{count} clients are connected, and each must be answered while all of them stay: \
                 by a thread or a process for each, or by one loop that waits for all of them."
            );
            let seen = format!("client {} of {count}: {}", n + 1, fault.seen);
            Fault { seen, ..fault }.advice(advice).evidence(grading.doing())
        })?;
    }
    clients.into_iter().for_each(Client::close);
    Ok(Outcome::Holds(Some(format!("{count} clients, the last one served first"))))
}

pub(super) fn one_leaves(grading: &mut Grading<'_>) -> Step<Outcome> {
    let count = grading.capacity().min(SEVERAL);
    if count == 1 {
        return Ok(one_at_a_time(grading));
    }
    let mut clients = connect_all(grading, count)?;
    if !grading.dialogue.one_answer {
        for client in &mut clients {
            grading.ask(client)?;
        }
    }
    clients.remove(0).close();
    let advice = "Only the connection of the client that left must be closed.";
    for client in &mut clients {
        grading.ask(client).map_err(|fault| fault.advice(advice))?;
    }
    clients.into_iter().for_each(Client::close);
    Ok(Outcome::Holds(None))
}

pub(super) fn own_answers(grading: &mut Grading<'_>) -> Step<Outcome> {
    let count = grading.capacity().min(SEVERAL);
    let rounds = if grading.dialogue.one_answer { 1 } else { ROUNDS };
    let advice = "Each connection needs variables of its own for what was received and what is to \
                  be sent.";
    let mut clients = connect_all(grading, count)?;
    for _ in 0..rounds {
        let questions: Vec<_> = clients.iter_mut().map(|client| grading.put(client)).collect();
        for n in (0..count).rev() {
            let (client, question) = (&mut clients[n], &questions[n]);
            let answer = grading.receive_answer(client, question);
            let right = grading.expect_right(client, question, &answer);
            right.map_err(|fault| {
                // They may have got what was another's.
                fault.advice(advice).evidence(of_others(grading, &mut clients, n))
            })?;
        }
    }
    clients.into_iter().for_each(Client::close);
    Ok(Outcome::Holds(None))
}

/// The replies that other clients have received, a line each.
fn of_others(grading: &Grading<'_>, clients: &mut [Client], own: usize) -> Vec<String> {
    let others = clients.iter_mut().enumerate().filter(|(n, _)| *n != own);
    let line = |(n, client): (usize, &mut Client)| {
        let text = client.receive(grading.dialogue.gap(), |_| false);
        (!text.is_empty()).then(|| format!("client {} got {}", n + 1, quoted(&text)))
    };
    others.filter_map(line).collect()
}

pub(super) fn silent_client(grading: &mut Grading<'_>) -> Step<Outcome> {
    if grading.capacity() == 1 {
        return Ok(one_at_a_time(grading));
    }
    let frames = grading.dialogue.writing.frame.is_known() && !grading.wrong_input_ends();
    grading.revive()?;
    let silent = grading.connect()?;
    // It is accepted first, so that a server that waits for its first byte does so now.
    grading.wait_accepted(&silent);
    // One stops within a line: to wait for its end is to wait for this client.
    let mut stopped = None;
    if frames {
        let client = stopped.insert(grading.connect()?);
        let question = grading.draw(client);
        let bytes = grading.dialogue.write(&question);
        client.send(&bytes[..bytes.len() / 2]);
        grading.wait_read(client);
    }
    let mut busy = grading.connect()?;
    for _ in 0..BUSY_QUESTIONS {
        grading.ask(&mut busy).map_err(|fault| {
            let advice = "Do not wait in recv for one client while others are connected.";
            fault.advice(advice).evidence(grading.doing())
        })?;
        busy = next_question(grading, busy)?;
    }
    busy.close();
    silent.close();
    stopped.into_iter().for_each(Client::close);
    Ok(Outcome::Holds(None))
}

pub(super) fn greeting(grading: &mut Grading<'_>) -> Step<Outcome> {
    if grading.dialogue.greeting.is_none() {
        return Ok(Outcome::skipped("it does not greet"));
    }
    for _ in 0..SEVERAL {
        let address = grading.subject.address();
        let patience = grading.dialogue.patience();
        let fault = |seen: &str| Fault::new(seen, "Send the greeting right after accept.");
        let mut client =
            Client::connect(address, patience).map_err(|_| fault("a client could not connect"))?;
        if client.receive(patience, |text| text.ends_with(b"\n")).is_empty() {
            return Err(fault("a later client got no greeting").evidence(client.evidence()));
        }
        client.close();
    }
    Ok(Outcome::Holds(None))
}
