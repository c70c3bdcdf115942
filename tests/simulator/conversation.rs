//! Conversations of a client with a service. The replies that the client must receive are computed
//! without the code under test.

use std::sync::Arc;

use socklab::random::Random;
use socklab::service::{BUSY_TEXT, Busy, Peer, Rules, Service, ServiceKind, ServiceSpec};
use socklab::session::CloseReason;

use crate::bombs;
use crate::plan::Split;
use crate::records::Writing;
use crate::rng::Rng;

/// Expressions and their results in Python.
const EXPRESSIONS: [(&str, &str); 14] = [
    ("1 + 2", "3"),
    ("30 / 10", "3.0"),
    ("7 // 2", "3"),
    ("-7 % 3", "2"),
    ("2 ** 10", "1024"),
    ("0.1 + 0.2", "0.30000000000000004"),
    ("(1 + 2) * 3", "9"),
    ("1 == 1", "True"),
    ("max(1, 2, 3)", "3"),
    ("hex(255)", "0xff"),
    ("1 / 0", "ZeroDivisionError: division by zero"),
    ("2 ** 64", "18446744073709551616"),
    ("5", "5"),
    ("1e100", "1e+100"),
];

const GREETING: &str = "Hello from the server!";
const REFUSAL: &str = "I hope you make a wise choice next time!";
const RIGHT: &str = "⭐ Correct answer ⭐";
const NOT_RECORDED: &str = " (your result could not be saved)";
const WRONG: &str = "Wrong answer👎";

/// A message and its reply.
pub struct Exchange {
    pub message: Vec<u8>,
    pub reply: Vec<u8>,
    pub split: Split,
}

/// A whole conversation, before any fault.
pub struct Conversation {
    pub name: &'static str,
    /// `None` for the service of a full server.
    spec: Option<ServiceSpec>,
    /// Sent by the server first.
    pub opening: Vec<u8>,
    pub exchanges: Vec<Exchange>,
    /// The client awaits each reply before its next message.
    pub in_turns: bool,
    /// Close reason of the service, if it closes at the end.
    pub closes: Option<CloseReason>,
    pub service_sleeps: bool,
    /// None of its messages is heavy.
    pub light: bool,
    /// The fate of the record, if it is a game.
    pub writing: Writing,
}

/// Settings of the server in this run.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each can be so or not, whatever the others are")]
pub struct Setup {
    pub lines_only: bool,
    pub max_message: usize,
    pub quiz_seed: u64,
    /// Every message of every client takes more work than a slice.
    pub heavy: bool,
    /// All clients but the first are bombers.
    pub bombed: bool,
    /// The server has a thread beside the loop that computes heavy messages.
    pub computes_beside: bool,
    /// The server's limits are shorter than many a halt, and no client reads slowly.
    pub hasty: bool,
}

impl Conversation {
    /// The service for this conversation.
    pub fn service(&self, peer: Peer) -> Box<dyn Service> {
        match &self.spec {
            Some(spec) => spec.build(peer),
            None => Box::new(Busy::full()),
        }
    }
}

/// Draws a conversation for this client.
pub fn draw(rng: &mut Rng, setup: Setup, peer: Peer) -> Conversation {
    let kinds = if setup.lines_only { 7 } else { 11 };
    match rng.below(kinds) {
        _ if setup.bombed && peer.number == 1 => light_batches(rng),
        _ if setup.bombed => bombs(rng),
        _ if setup.heavy => much_to_compute(rng),
        0 => lines(rng, 8, 300),
        1 if rng.chance(200) => long_batch(rng),
        1 => lines(rng, 60, 300),
        2 => echo(rng),
        3 => quiz(rng, setup.quiz_seed, peer, "\n"),
        4 => hello(),
        5 => busy(),
        6 => too_long(rng, setup.max_message),
        7 => bare(rng),
        8 => padded(rng),
        9 => java(rng),
        _ => quiz(rng, setup.quiz_seed, peer, ""),
    }
}

fn calc() -> ServiceSpec {
    ServiceKind::Calc.into()
}

/// A conversation in which the client sends first and the service does not close.
fn conversation(name: &'static str, spec: ServiceSpec, exchanges: Vec<Exchange>) -> Conversation {
    let (spec, opening) = (Some(spec), Vec::new());
    Conversation {
        name,
        spec,
        opening,
        exchanges,
        in_turns: false,
        closes: None,
        service_sleeps: false,
        light: false,
        writing: Writing::NONE,
    }
}

/// An expression and its result.
fn expression(rng: &mut Rng) -> (String, String) {
    if rng.chance(30) {
        let zeros = rng.below(4000);
        return (format!("10 ** {zeros}"), format!("1{}", "0".repeat(zeros)));
    }
    let (question, answer) = EXPRESSIONS[rng.below(EXPRESSIONS.len())];
    (question.to_owned(), answer.to_owned())
}

fn lines(rng: &mut Rng, most: usize, telnet: u32) -> Conversation {
    let mut exchanges = Vec::new();
    for n in 0..=rng.below(most) {
        let (question, answer) = expression(rng);
        let end = if rng.chance(telnet) { "\r\n" } else { "\n" };
        // The first line must not look like a message without a newline.
        let split = if n == 0 { rng.split(2) } else { rng.split(3) };
        exchanges.push(Exchange {
            message: join(&question, end),
            reply: join(&answer, end),
            split,
        });
    }
    conversation("lines", calc(), exchanges)
}

/// More than a turn, a buffer and the outbox hold.
fn long_batch(rng: &mut Rng) -> Conversation {
    let least = if rng.chance(300) { 3500 } else { 0 };
    let mut exchanges = Vec::new();
    for _ in 0..20 + rng.below(80) {
        let count = rng.below(200);
        let (message, reply) = (b"1 + 2\n".repeat(count), b"3\n".repeat(count));
        exchanges.push(Exchange { message, reply, split: rng.split(2) });
        let zeros = least + rng.below(4000 - least);
        let (message, reply) = (format!("10 ** {zeros}"), format!("1{}", "0".repeat(zeros)));
        exchanges.push(Exchange {
            message: join(&message, "\n"),
            reply: join(&reply, "\n"),
            split: Split::Few,
        });
    }
    conversation("a long batch", calc(), exchanges)
}

/// Light messages, by themselves or in batches of up to four slices.
fn light_batches(rng: &mut Rng) -> Conversation {
    let mut exchanges = Vec::new();
    for _ in 0..=rng.below(40) {
        let count = if rng.chance(700) { 1 } else { 1 + rng.below(4 * bombs::LIGHT_PER_SLICE) };
        let (message, reply) = (b"5\n".repeat(count), b"5\n".repeat(count));
        exchanges.push(Exchange { message, reply, split: rng.split(2) });
    }
    let batches = conversation("light batches", calc(), exchanges);
    Conversation { in_turns: true, light: true, ..batches }
}

/// Messages that take as much work as a message may.
fn bombs(rng: &mut Rng) -> Conversation {
    let mut exchanges = Vec::new();
    for _ in 0..=rng.below(100) {
        let message = join(&bombs::message(), "\n");
        exchanges.push(Exchange { message, reply: join(bombs::REPLY, "\n"), split: rng.split(2) });
    }
    Conversation { in_turns: true, ..conversation("bombs", calc(), exchanges) }
}

/// Messages of a little more work than a slice.
fn much_to_compute(rng: &mut Rng) -> Conversation {
    let mut exchanges = Vec::new();
    for _ in 0..=rng.below(6) {
        let power = 12_000 + rng.below(1000);
        let (message, reply) = (format!("2**{power} % 7"), ["1", "2", "4"][power % 3]);
        exchanges.push(Exchange {
            message: join(&message, "\n"),
            reply: join(reply, "\n"),
            split: Split::Few,
        });
    }
    conversation("much to compute", calc(), exchanges)
}

fn echo(rng: &mut Rng) -> Conversation {
    let most = if rng.chance(50) { 100_000 } else { 300 };
    let exchange = |rng: &mut Rng| {
        let flood = rng.chance(300);
        let bytes = rng.bytes(if flood { 2000 } else { most });
        let split = match bytes.len() {
            _ if flood => Split::Burst,
            ..40 => rng.split(3),
            _ => rng.split(2),
        };
        Exchange { message: bytes.clone(), reply: bytes, split }
    };
    let count = rng.below(6);
    let exchanges = (0..=count).map(|_| exchange(rng)).collect();
    let echo = conversation("echo", ServiceKind::Echo.into(), exchanges);
    Conversation { light: true, ..echo }
}

fn hello() -> Conversation {
    let exchange =
        Exchange { message: b"hi\n".to_vec(), reply: join(GREETING, "\n"), split: Split::Few };
    let spec = ServiceSpec { greeting: Arc::from(GREETING), ..ServiceKind::Hello.into() };
    Conversation {
        closes: Some(CloseReason::Served),
        ..conversation("hello", spec, vec![exchange])
    }
}

/// The server sends its only message first.
fn busy() -> Conversation {
    Conversation {
        name: "busy",
        spec: None,
        opening: BUSY_TEXT.into(),
        exchanges: Vec::new(),
        in_turns: false,
        closes: Some(CloseReason::Served),
        service_sleeps: false,
        light: false,
        writing: Writing::NONE,
    }
}

fn too_long(rng: &mut Rng, limit: usize) -> Conversation {
    let mut lines = lines(rng, 2, 0);
    let mut message = vec![b'('; limit + 2 + rng.below(2 * limit)];
    if rng.chance(500) {
        message.push(b'\n');
    }
    let reply = format!("ValueError: message too long (limit {limit} bytes)\n").into_bytes();
    lines.exchanges.push(Exchange { message, reply, split: rng.split(2) });
    Conversation { name: "too long", closes: Some(CloseReason::TooLong), ..lines }
}

/// Messages that a gap ends.
fn bare(rng: &mut Rng) -> Conversation {
    let mut exchanges = Vec::new();
    for _ in 0..=rng.below(4) {
        let (question, answer) = expression(rng);
        let split = rng.split(2);
        exchanges.push(Exchange { message: question.into(), reply: answer.into(), split });
    }
    Conversation { in_turns: true, ..conversation("bare messages", calc(), exchanges) }
}

/// Messages in a fixed buffer, with stale bytes behind the terminator.
fn padded(rng: &mut Rng) -> Conversation {
    let mut exchanges = Vec::new();
    for _ in 0..=rng.below(4) {
        let (question, answer) = expression(rng);
        let (end, split) =
            if rng.chance(500) { ("\0", rng.split(2)) } else { ("\n\0", Split::Whole) };
        let mut message = join(&question, end);
        message.extend(rng.bytes(60));
        exchanges.push(Exchange { message, reply: join(&answer, end), split });
    }
    Conversation { in_turns: true, ..conversation("padded messages", calc(), exchanges) }
}

/// Messages with their length, as Java's `writeUTF` sends them.
fn java(rng: &mut Rng) -> Conversation {
    let counted = |text: &str| {
        let length = u16::try_from(text.len()).unwrap();
        [&length.to_be_bytes(), text.as_bytes()].concat()
    };
    let mut exchanges = Vec::new();
    for _ in 0..=rng.below(6) {
        let (question, answer) = expression(rng);
        // A packet with only the first NUL would look like an empty message.
        let split = rng.split(2);
        exchanges.push(Exchange { message: counted(&question), reply: counted(&answer), split });
    }
    conversation("counted messages", calc(), exchanges)
}

/// A game of three questions, or a refusal.
fn quiz(rng: &mut Rng, seed: u64, peer: Peer, end: &str) -> Conversation {
    const QUESTIONS: u32 = 3;
    let rules = Rules { seed, questions: QUESTIONS };
    let spec = ServiceSpec { rules, ..ServiceKind::Quiz.into() };
    let writing = Writing::draw(rng);
    let mut exchanges = Vec::new();
    let mut exchange = |text: &str, reply: Vec<u8>, split| {
        exchanges.push(Exchange { message: join(text, end), reply, split });
    };
    if rng.chance(100) {
        exchange("no", join(REFUSAL, end), Split::Whole);
    } else {
        let mut random = Random::new(seed + peer.number - 1);
        let mut question = draw_question(&mut random);
        exchange("yes", Vec::new(), Split::Whole);
        exchange("Bob", join(&question.0, end), Split::Whole);
        let mut quarters = 0_i32;
        for n in 1..=QUESTIONS {
            let right = rng.chance(600);
            let text = if right { question.1.to_string() } else { "no idea".to_owned() };
            quarters += if right { 4 } else { -1 };
            let mut reply = join(if right { RIGHT } else { WRONG }, end);
            if n < QUESTIONS {
                question = draw_question(&mut random);
                reply.extend(join(&question.0, end));
            } else {
                reply.extend(join(&total(quarters), end));
                let excuse = if writing.is_in_time() { "" } else { NOT_RECORDED };
                reply.extend(join(&[closing_line(quarters), excuse].concat(), end));
            }
            exchange(&text, reply, rng.split(2));
        }
    }
    let conversation = conversation("quiz", spec, exchanges);
    Conversation {
        light: true,
        in_turns: end.is_empty(),
        service_sleeps: true,
        writing,
        closes: Some(CloseReason::Served),
        ..conversation
    }
}

fn draw_question(random: &mut Random) -> (String, i64) {
    let (left, right) = (i64::from(random.below(10)), i64::from(1 + random.below(9)));
    let (sign, value) = match random.below(4) {
        0 => ('+', left + right),
        1 => ('-', left - right),
        2 => ('*', left * right),
        _ => ('%', left % right),
    };
    (format!(" -> {left}{sign}{right}  "), value)
}

/// Three right answers make 12 quarters.
fn total(quarters: i32) -> String {
    if quarters == 12 { "3".to_owned() } else { format!("{:?}", f64::from(quarters) / 4.0) }
}

fn closing_line(quarters: i32) -> &'static str {
    match quarters {
        12 => "Bravo!",
        7 => "You did great!",
        _ => "Better luck next time!",
    }
}

fn join(text: &str, end: &str) -> Vec<u8> {
    [text, end].concat().into_bytes()
}
