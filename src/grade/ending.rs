//! The tests of how connections end, and of clients that do not read.

use std::time::Duration;

use super::client::{Client, End, quoted};
use super::course::{ONE_ANSWER, no_harm, one_at_a_time};
use super::grading::{Grading, Step};
use super::input::NO_NEWLINES;
use super::question::Question;
use super::report::{Fault, Outcome};
use super::wait_until;
use crate::number;

/// The receive buffer of the client that does not read, in bytes.
const SMALL_BUFFER: usize = 4096;

/// The most bytes of questions that the client sends without reading.
const UNREAD_QUESTIONS: usize = 16 << 20;

/// The bytes of one send of that client.
const BURST: usize = 64 * 1024;

/// The longest time in which its answers are read late: there may be a million.
const LATE_READING: Duration = Duration::from_secs(20);

/// Questions of a client that leaves without reading the answers.
const UNREAD: usize = 2000;

/// The times of a patience for which the server takes nothing before it is said to be blocked.
const STUCK: u32 = 3;

/// The least resets of the test.
const RESETS: usize = 4;

/// Workers of a pool each of which a reset may end.
const MOST_WORKERS: usize = 16;

/// Clients that leave without reading.
const LEAVING: usize = 8;

pub(super) fn half_close(grading: &mut Grading<'_>) -> Step<Outcome> {
    // The end of input arrives with the question, or after its answer.
    for together in [true, false] {
        let mut client = grading.connect_ready()?;
        let question = grading.put(&mut client);
        if !together {
            let answer = grading.receive_answer(&mut client, &question);
            grading.expect_right(&client, &question, &answer)?;
            if client.is_closed_by_server() {
                // It has no end of input to answer, and our FIN would leave its port in TIME_WAIT.
                continue;
            }
        }
        client.half_close();
        let reply = if together {
            grading.receive_answers(&mut client, std::slice::from_ref(&question))
        } else {
            client.receive_all(grading.dialogue.patience()).0
        };
        let fault = |seen: String, advice: &str| {
            Err(Fault::new(seen, advice).topic("half-close").evidence(client.evidence()))
        };
        if together && !grading.dialogue.shape.has_answers(&reply, std::slice::from_ref(&question))
        {
            let seen = match client.end() {
                Some(End::Reset) => "the connection was reset",
                _ => "no answer came",
            };
            return fault(
                format!("the client closed its sending half behind its {}: {seen}", grading.noun()),
                "The end of input is no end of output: answer what has come before it, then close.",
            );
        }
        if !together && !reply.is_empty() && is_answer(grading, &question, &reply) {
            return fault(
                format!("the end of input was answered {}, like a message", quoted(&reply)),
                "When recv returns 0 (b\"\" in Python), there is no message: close the connection.",
            );
        }
        client.close();
    }
    grading.check_well_after("after a half-close, ")?;
    Ok(Outcome::Holds(None))
}

/// True if a reply to the end of input is that to a message: a value, or the error that a wrong
/// question gets. A goodbye, or a prompt that comes late, is none.
fn is_answer(grading: &mut Grading<'_>, question: &Question, reply: &[u8]) -> bool {
    let shape = &grading.dialogue.shape;
    shape.is_right(question, reply)
        || !shape.is_error(reply)
        || grading.wrong_input().reply == reply
}

pub(super) fn no_newline(grading: &mut Grading<'_>) -> Step<Outcome> {
    if !grading.dialogue.writing.frame.has_newline() {
        return Ok(Outcome::skipped(NO_NEWLINES));
    }
    let mut client = grading.connect_ready()?;
    let question = grading.draw(&client);
    client.send(question.text(grading.dialogue.writing.blanks).as_bytes());
    client.half_close();
    let questions = [question];
    let reply = grading.receive_answers(&mut client, &questions);
    if !grading.dialogue.shape.has_answers(&reply, &questions) {
        let noun = grading.noun();
        let seen = format!("a last {noun} without a newline got no reply at the end of input");
        let advice =
            "What is left at the end of input is a message: `printf 1+1 | nc -N` sends one.";
        return Err(Fault::new(seen, advice).evidence(client.evidence()));
    }
    client.close();
    Ok(Outcome::Holds(None))
}

pub(super) fn reset(grading: &mut Grading<'_>) -> Step<Outcome> {
    grading.wrong_input_ends();
    grading.revive()?;
    // Each may end another worker of a pool.
    let workers = Some(grading.capacity()).filter(|&it| it != usize::MAX);
    for n in 0..RESETS.max(workers.unwrap_or(0).min(MOST_WORKERS) + 1) {
        let mut client = grading.connect_ready()?;
        let question = grading.draw(&client);
        let mut bytes = grading.dialogue.write(&question);
        // A server that takes a piece for a question, and ends at a wrong one, gets a whole one.
        if !grading.wrong_input_ends() {
            bytes.truncate(bytes.len() / 2);
        }
        client.send(&bytes);
        // The reset comes before the server has read the piece, or after.
        if n % 2 == 1 {
            grading.wait_read(&client);
        }
        client.reset();
        grading.check_well_after("after a client's reset, ")?;
    }
    Ok(no_harm(grading))
}

pub(super) fn unread_answer(grading: &mut Grading<'_>) -> Step<Outcome> {
    let mut client = grading.connect_ready()?;
    let question = grading.put(&mut client);
    grading.wait_read(&client);
    drop(client);
    grading.check_well_after("after a client that left without reading its answer, ")?;
    // Answers to a client that is gone: the second send is EPIPE, and SIGPIPE ends a server that
    // does not ignore it. The client may leave before the first answer or after the last one.
    for round in 0..LEAVING {
        let mut client = grading.connect_ready()?;
        let address = client.address;
        let questions = grading.dialogue.write(&question).repeat(UNREAD);
        client.send_some(&questions, grading.dialogue.patience());
        if round % 2 == 0 {
            // A reset behind the end of input makes the server's next send EPIPE at once.
            client.half_close();
        }
        drop(client);
        let closed = || grading.server_side(address).is_none_or(|socket| socket.inode == 0);
        wait_until(grading.dialogue.patience(), closed);
        grading.check_well_after("after a client that left without reading its answers, ")?;
    }
    Ok(no_harm(grading))
}

pub(super) fn slow_reader(grading: &mut Grading<'_>) -> Step<Outcome> {
    if grading.capacity() == 1 {
        return Ok(one_at_a_time(grading));
    }
    if grading.dialogue.one_answer {
        return Ok(Outcome::skipped(ONE_ANSWER));
    }
    if grading.is_quiz() {
        return Ok(Outcome::skipped("what a player gets in a game fits into any buffer"));
    }
    let patience = grading.dialogue.patience();
    let mut slow = grading.connect_with(Some(SMALL_BUFFER))?;
    let question = grading.questions.draw();
    let bytes = grading.dialogue.write(&question);
    let burst = bytes.repeat(BURST / 8);
    let mut sent = 0;
    // Until the server takes nothing more: it waits, or it is blocked in send.
    while sent < UNREAD_QUESTIONS {
        // No question is cut in the middle.
        match slow.send_some(&burst[sent % burst.len()..], patience * STUCK) {
            0 => break,
            more => sent += more,
        }
    }
    let blocked = grading.server_side(slow.address);
    let other = grading.connect().and_then(|mut client| {
        grading.ask(&mut client)?;
        client.close();
        Ok(())
    });
    if let Err(fault) = other {
        let unsent = blocked.map_or(0, |socket| socket.unsent);
        let seen = format!("while one client did not read, another was not served: {}", fault.seen);
        let advice = if unsent == 0 {
            "Its many questions keep the server busy: answer a few, then look at the other clients."
        } else {
            "A send to a client that does not read must not stop the others: make its socket \
             non-blocking, keep what was not sent, and wait for it to be writable."
        };
        let evidence = [grading.doing(), vec![format!("{unsent} bytes are sent and not read")]];
        return Err(Fault::new(seen, advice).topic("slow-reader").evidence(evidence.concat()));
    }
    // Without a slow reader it leaves none out.
    if grading.answers_to(BURST / 8) == Some(BURST / 8) {
        read_late(grading, &mut slow, &question, sent / bytes.len())?;
    }
    slow.reset();
    // What the server makes of the reset is no matter of this test.
    grading.renew()?;
    Ok(Outcome::Holds(None))
}

/// Reads the answers to so many questions after all. A server may end the connection of a client
/// that does not read, but not leave out answers.
fn read_late(
    grading: &mut Grading<'_>,
    slow: &mut Client,
    question: &Question,
    asked: usize,
) -> Step<()> {
    let Some(value) = question.value_text() else { return Ok(()) };
    let count = grading.count_answers(slow, &value, asked, LATE_READING);
    let is_open = slow.end().is_none();
    let Some(count) = count.filter(|&count| count < asked && is_open) else { return Ok(()) };
    let seen = format!(
        "a client that read late got {} of its {} answers",
        number::grouped(count as u64),
        number::grouped(asked as u64)
    );
    let advice = "send may take a part of the bytes, or fail with EAGAIN: keep the rest, and send \
                  it when the socket is writable.";
    Err(Fault::new(seen, advice).topic("slow-reader").evidence(grading.doing()))
}
