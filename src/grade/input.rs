//! The tests of what clients send: wrong questions, pieces of questions, several at once.

use super::client::{Client, MAX_REPLY, quoted};
use super::course::{ASKS_ITSELF, ONE_ANSWER, no_harm};
use super::exchange::Answer;
use super::grading::{Grading, Step};
use super::numbers::sums;
use super::report::{Fault, Outcome};
use super::{Service, quiz};

/// The length of the long line, in bytes.
const LONG_LINE: usize = 100_000;

/// Questions that are sent together: more than fit into 1,024 bytes.
const MANY: usize = 200;

/// The most lines of a reply to one line.
const MOST_LINES: usize = 20;

/// The reason why a test of newlines does not concern a server.
pub(super) const NO_NEWLINES: &str = "a message to it has no newline at the end";

/// The reason why a test of wrong questions does not concern a server.
const NO_QUESTIONS: &str = "no text is wrong for this service";

pub(super) fn wrong_input(grading: &mut Grading<'_>) -> Step<Outcome> {
    if grading.is_quiz() {
        return quiz::wrong_word(grading);
    }
    answers_error(grading, "hello")
}

pub(super) fn divide_by_zero(grading: &mut Grading<'_>) -> Step<Outcome> {
    if grading.is_quiz() {
        return Ok(Outcome::skipped(ASKS_ITSELF));
    }
    let text = if grading.dialogue.writing.blanks { "7 / 0" } else { "7/0" };
    answers_error(grading, text)
}

/// The answer to a wrong question tells an error, and the server goes on.
fn answers_error(grading: &mut Grading<'_>, text: &str) -> Step<Outcome> {
    if grading.config().service != Service::Calc {
        return Ok(Outcome::skipped(NO_QUESTIONS));
    }
    let mut client = grading.connect()?;
    client.send(&grading.dialogue.wrap(text.as_bytes()));
    let patience = grading.dialogue.patience();
    let ends = grading.dialogue.shape.ends_in_newline() && grading.dialogue.pause.is_none();
    let whole = |reply: &[u8]| ends && reply.ends_with(b"\n");
    let mut reply = client.receive(patience, whole);
    if reply.is_empty() {
        reply = client.receive(grading.dialogue.last_patience(), whole);
    }
    let (evidence, end) = (client.evidence(), grading.end_evidence());
    let endless = client.receive(grading.dialogue.gap(), |_| false).len() >= MAX_REPLY;
    let fault = |seen: String, advice: &str| {
        let fault = Fault::new(format!("asked \"{text}\", {seen}"), advice);
        Err(fault.evidence(evidence.clone()).evidence(end.clone()))
    };
    if !end.is_empty() {
        return fault(
            "and the server ended".to_owned(),
            "Check every input before you compute with it: no text of a client may end the server.",
        );
    }
    if reply.is_empty() {
        let seen = if client.end().is_some() { "the connection ended" } else { "silence" };
        return fault(
            format!("no answer came: {seen}"),
            "Answer every question, also a wrong one: a client that hears nothing waits for ever.",
        );
    }
    if !grading.dialogue.shape.is_error(&reply) {
        let seen = match reply.trim_ascii() {
            [] => "got an empty answer".to_owned(),
            _ => format!("got {}, as if it were a value", quoted(&reply)),
        };
        let advice =
            "Tell the client that there is no value; what was in the variable before is none.";
        return fault(seen, advice);
    }
    if endless {
        return fault(
            format!("got {} again and again, without an end", quoted(&reply)),
            "Answer a wrong question once, and receive the next: a loop that sends must receive.",
        );
    }
    client.close();
    grading.check_well()?;
    Ok(Outcome::Holds(Some(format!("\"{text}\" is answered {}", quoted(reply.trim_ascii())))))
}

pub(super) fn newline(grading: &mut Grading<'_>) -> Step<Outcome> {
    let frame = grading.dialogue.writing.frame;
    if frame.has_newline() {
        return Ok(Outcome::Holds(None));
    }
    if frame.is_known() {
        return Ok(Outcome::skipped(NO_NEWLINES));
    }
    let mut client = grading.connect_ready()?;
    let question = grading.draw(&client);
    let text = question.text(grading.dialogue.writing.blanks) + "\n";
    client.send(text.as_bytes());
    let answer = grading.receive_answer(&mut client, &question);
    let advice = "nc, telnet and most clients send a newline behind a message: cut it off.";
    let seen = match grading.ended() {
        Some(end) => Some(format!("the server ended: {end}")),
        None => (answer == Answer::Nothing).then(|| "no answer came".to_owned()),
    };
    if let Some(seen) = seen {
        let seen = format!("asked {}, and {seen}", quoted(text.as_bytes()));
        return Err(Fault::new(seen, advice).evidence(client.evidence()));
    }
    client.close();
    grading.check_well()?;
    Ok(Outcome::Holds(None))
}

/// Sends a question in at most so many pieces. The server has read each before the next is sent.
fn ask_in_pieces(grading: &mut Grading<'_>, most: usize, advice: &str) -> Step<Outcome> {
    if !grading.dialogue.writing.frame.is_known() {
        return Ok(Outcome::skipped(NO_NEWLINES));
    }
    let mut client = grading.connect()?;
    if !grading.dialogue.one_answer {
        // A server may take a silence for the end of a message, until it has seen a newline.
        grading.ask(&mut client)?;
    }
    let usual = if grading.is_quiz() { sums_of_a_reply(grading, &mut client)? } else { 0 };
    let question = grading.draw(&client);
    let bytes = grading.dialogue.write(&question);
    for piece in bytes.chunks(bytes.len().div_ceil(most)) {
        client.send(piece);
        grading.wait_read(&client);
    }
    let answer = grading.receive_answer(&mut client, &question);
    grading
        .expect_right(&client, &question, &answer)
        .map_err(|fault| fault.advice(advice).topic("coalescing"))?;
    // A quiz would go on to a second question after a piece of an answer.
    if let (Answer::Right(mut reply), true) = (answer, grading.is_quiz()) {
        reply.extend(client.receive(grading.dialogue.gap(), |_| false));
        if sums(&reply).len() > usual {
            let seen = format!("one answer, {}, was taken for two", quoted(&bytes));
            let fault = Fault::new(seen, advice).topic("coalescing");
            return Err(fault.evidence(client.evidence()));
        }
    }
    client.close();
    Ok(Outcome::Holds(None))
}

/// The number of sums in the reply to a right answer: the next question, and perhaps the last
/// again.
fn sums_of_a_reply(grading: &mut Grading<'_>, client: &mut Client) -> Step<usize> {
    let question = grading.draw(client);
    let answer = grading.answer(client, &question);
    grading.expect_right(client, &question, &answer)?;
    Ok(if let Answer::Right(reply) = answer { sums(&reply).len() } else { 0 })
}

pub(super) fn two_pieces(grading: &mut Grading<'_>) -> Step<Outcome> {
    let advice = "One recv can bring half a message: keep it, and go on receiving until the \
                  newline has come.";
    ask_in_pieces(grading, 2, advice)
}

pub(super) fn byte_by_byte(grading: &mut Grading<'_>) -> Step<Outcome> {
    let advice = "TCP is a stream of bytes and keeps no boundaries: collect them until the newline \
                  has come.";
    ask_in_pieces(grading, usize::MAX, advice)
}

pub(super) fn two_in_one(grading: &mut Grading<'_>) -> Step<Outcome> {
    if !grading.dialogue.writing.frame.is_known() {
        return Ok(Outcome::skipped(NO_NEWLINES));
    }
    if grading.dialogue.one_answer {
        return Ok(Outcome::skipped(ONE_ANSWER));
    }
    let mut client = grading.connect_ready()?;
    let questions = [grading.draw(&client), grading.draw(&client)];
    let bytes = questions.each_ref().map(|question| grading.dialogue.write(question)).concat();
    client.send(&bytes);
    let reply = grading.receive_answers(&mut client, &questions);
    if grading.dialogue.shape.has_answers(&reply, &questions) {
        client.close();
        return many_in_one(grading);
    }
    let got = match reply.trim_ascii() {
        [] => "nothing".to_owned(),
        reply => format!("only {}", quoted(reply)),
    };
    let asked = if grading.is_quiz() { "sent" } else { "asked" };
    let seen = format!("{asked} {} in one packet, got {got}", quoted(&bytes));
    let advice = "One recv can bring more than one message: keep what is behind the newline for \
                  the next round.";
    Err(Fault::new(seen, advice).topic("coalescing").evidence(client.evidence()))
}

/// The same with more questions than a receive may bring.
fn many_in_one(grading: &mut Grading<'_>) -> Step<Outcome> {
    let Some(count) = grading.answers_to(MANY).filter(|&count| count < MANY) else {
        return Ok(Outcome::Holds(None));
    };
    let seen = format!("asked {MANY} questions in one packet, got {count} answers");
    let advice = "One recv may bring a part of what has arrived: go on until all of it is received \
                  (with an edge-triggered epoll until EAGAIN), and keep the piece of a question at \
                  the end for the next round.";
    let fault = Fault::new(seen, advice);
    let edge = grading.design.as_ref().is_some_and(|it| it.evidence.contains("edge-triggered"));
    Err(if edge { fault.topic("edge") } else { fault.topic("coalescing") })
}

pub(super) fn long_line(grading: &mut Grading<'_>) -> Step<Outcome> {
    let line = "1+".repeat(LONG_LINE / 2) + "1";
    if line.len() > grading.dialogue.writing.frame.longest() {
        return Ok(Outcome::skipped("two bytes can tell no such length"));
    }
    let bytes = grading.dialogue.wrap(line.as_bytes());
    // One that answers each receive has failed two-in-one.
    let lines_of = |reply: &[u8]| memchr::memchr_iter(b'\n', reply).count();
    let may_count = grading.dialogue.shape.has_newline()
        && lines_of(&grading.wrong_input().reply) <= MOST_LINES
        && grading.answers_to(MANY) == Some(MANY);
    grading.revive()?;
    let (outcome, reply) = survives(grading, &bytes, "after a line of 100,000 bytes, ")?;
    let lines = lines_of(&reply);
    if may_count && lines > MOST_LINES {
        let seen = format!("a line of 100,000 bytes got {lines} replies");
        let advice = "A line may be longer than a buffer: read on to its newline, and reply once; \
                      or say that it is too long, and close.";
        return Err(Fault::new(seen, advice).evidence([format!("got {}", quoted(&reply))]));
    }
    Ok(outcome)
}

pub(super) fn odd_bytes(grading: &mut Grading<'_>) -> Step<Outcome> {
    let mut outcome = Outcome::Holds(None);
    for bytes in [&b"\0"[..], b"\xff\xfe", "ä + ö".as_bytes()] {
        let bytes = grading.dialogue.wrap(bytes);
        grading.revive()?;
        let (next, _) =
            survives(grading, &bytes, &format!("after the bytes {}, ", quoted(&bytes)))?;
        if matches!(outcome, Outcome::Holds(_)) {
            outcome = next;
        }
    }
    Ok(outcome)
}

/// Whatever the server makes of `bytes`, it serves the next client. Returns its reply as well.
fn survives(grading: &mut Grading<'_>, bytes: &[u8], after: &str) -> Step<(Outcome, Vec<u8>)> {
    let mut client = grading.connect_ready()?;
    let patience = grading.dialogue.patience();
    client.send_some(bytes, patience);
    let reply = client.receive(patience, |_| false);
    client.close();
    let outcome = match grading.check_well_after(after) {
        Err(_) if grading.ended().is_some() && grading.wrong_input_ends() => {
            Outcome::untested("any wrong text ends this server: see wrong-input")
        }
        result => result.map(|()| no_harm(grading))?,
    };
    Ok((outcome, reply))
}
