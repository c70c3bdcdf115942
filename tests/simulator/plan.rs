//! What a client is going to do, and the bytes that it must get for it: the model answer, computed
//! without the code that is tested.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use socklab::random::Random;
use socklab::service::{BUSY_TEXT, Busy, Peer, Rules, Service, ServiceKind, ServiceSpec};
use socklab::session::CloseReason;

use crate::dice::Dice;

/// Questions and the calculator's answers, as Python gives them.
const SUMS: [(&str, &str); 14] = [
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
const WRONG: &str = "Wrong answer👎";

/// More than a connection may receive in a turn, in bytes.
pub const HUGE: usize = 2 << 20;

/// How bytes are cut on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Not at all.
    Whole,
    /// Into a few pieces, all there within a few milliseconds.
    Few,
    /// Into many, one right after the other: there are more before the first is served.
    Flood,
    /// Into single bytes, with up to 80 ms between two of them.
    Bytes,
}

#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<u8>, Cut),
    /// One byte of urgent data, which is not part of the stream.
    Urgent,
    /// Nothing before so many bytes of the answer have come.
    Await(usize),
    Pause(Duration),
    /// Closes the sending half.
    Finish,
    /// Closes both halves.
    Leave,
    /// The connection breaks, and the server is told so by this error.
    Break(ErrorKind),
}

/// How a client takes what is sent to it: so many bytes at most, then not for so long.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub bytes: usize,
    pub pause: Duration,
    /// Whether it sometimes stops for much longer.
    pub stalls: bool,
}

#[derive(Debug)]
pub struct Plan {
    pub name: &'static str,
    pub steps: Vec<Step>,
    /// Every byte that the server may send.
    pub answer: Vec<u8>,
    /// After so many bytes of input, so many bytes of the answer are owed.
    pub owed: Vec<(usize, usize)>,
    /// Why the connection ends, if nothing comes between.
    pub ending: CloseReason,
    /// Why the service ends it, if it hears all that it waits for.
    pub last_word: Option<CloseReason>,
    /// None for a client that never reads.
    pub pace: Option<Pace>,
    /// It closes when the server has closed.
    pub closes: bool,
    /// Its service sometimes does not want to read for a while.
    pub naps: bool,
}

impl Plan {
    /// How much of the answer is owed to a client of which so many bytes have come.
    pub fn owed(&self, input: usize) -> usize {
        let known = self.owed.partition_point(|&(end, _)| end <= input);
        known.checked_sub(1).map_or(0, |last| self.owed[last].1)
    }

    /// Whether nothing is left to do for a client of which so much has been received and to which
    /// so much has been sent: all its messages are whole, and answered.
    pub fn is_quiet(&self, input: usize, output: usize) -> bool {
        // One that naps may have said something that is not answered.
        let known = input == 0 || self.owed.contains(&(input, output));
        known && output == self.owed(input) && !self.naps
    }
}

/// Something to say, and what is said to that.
struct Exchange {
    say: Vec<u8>,
    reply: Vec<u8>,
    cut: Cut,
}

/// A client's whole conversation, before something comes between.
struct Talk {
    name: &'static str,
    /// None for a server that is full.
    spec: Option<ServiceSpec>,
    /// Said by the server before anything.
    opening: Vec<u8>,
    exchanges: Vec<Exchange>,
    /// Each reply must be there before the next message.
    in_turns: bool,
    /// Why the server closes at the end, if it does.
    closes: Option<CloseReason>,
    naps: bool,
}

/// What the server is like in this run.
#[derive(Clone, Copy, Debug)]
pub struct House {
    pub lines_only: bool,
    pub max_message: usize,
    pub quiz_seed: u64,
    /// Everybody wants much computed, and each alone has work for a turn.
    pub toils: bool,
}

/// A plan for the client with this number, and the service that it meets.
pub fn draw(dice: &mut Dice, house: House, peer: Peer) -> (Plan, Box<dyn Service>) {
    let kinds = if house.lines_only { 7 } else { 11 };
    let talk = match dice.below(kinds) {
        _ if house.toils => much_to_compute(dice),
        0 => lines(dice, 8, 300),
        1 if dice.chance(200) => long_batch(dice),
        1 => lines(dice, 60, 300),
        2 => echo(dice),
        3 => quiz(dice, house.quiz_seed, peer, "\n"),
        4 => hello(),
        5 => busy(),
        6 => too_long(dice, house.max_message),
        7 => bare(dice),
        8 => padded(dice),
        9 => java(dice),
        _ => quiz(dice, house.quiz_seed, peer, ""),
    };
    let service = match &talk.spec {
        Some(spec) => spec.build(peer),
        None => Box::new(Busy),
    };
    (perform(dice, talk), service)
}

fn calc() -> ServiceSpec {
    ServiceKind::Calc.into()
}

fn talk(name: &'static str, spec: ServiceSpec, exchanges: Vec<Exchange>) -> Talk {
    let (spec, opening) = (Some(spec), Vec::new());
    Talk { name, spec, opening, exchanges, in_turns: false, closes: None, naps: false }
}

fn sum(dice: &mut Dice) -> (String, String) {
    if dice.chance(30) {
        let zeros = dice.below(4000);
        return (format!("10 ** {zeros}"), format!("1{}", "0".repeat(zeros)));
    }
    let (question, answer) = SUMS[dice.below(SUMS.len())];
    (question.to_owned(), answer.to_owned())
}

fn lines(dice: &mut Dice, most: usize, telnet: u32) -> Talk {
    let mut exchanges = Vec::new();
    for n in 0..=dice.below(most) {
        let (question, answer) = sum(dice);
        let end = if dice.chance(telnet) { "\r\n" } else { "\n" };
        // The first line must not look like a message without an end.
        let cut = if n == 0 { dice.cut(2) } else { dice.cut(3) };
        exchanges.push(Exchange { say: join(&question, end), reply: join(&answer, end), cut });
    }
    talk("lines", calc(), exchanges)
}

/// More than one turn, one buffer and one outbox take.
fn long_batch(dice: &mut Dice) -> Talk {
    let least = if dice.chance(300) { 3500 } else { 0 };
    let mut exchanges = Vec::new();
    for _ in 0..20 + dice.below(80) {
        let count = dice.below(200);
        let (say, reply) = (b"1 + 2\n".repeat(count), b"3\n".repeat(count));
        exchanges.push(Exchange { say, reply, cut: dice.cut(2) });
        let zeros = least + dice.below(4000 - least);
        let (say, reply) = (format!("10 ** {zeros}"), format!("1{}", "0".repeat(zeros)));
        exchanges.push(Exchange {
            say: join(&say, "\n"),
            reply: join(&reply, "\n"),
            cut: Cut::Few,
        });
    }
    talk("a long batch", calc(), exchanges)
}

/// Each message is a little more than a slice of work.
fn much_to_compute(dice: &mut Dice) -> Talk {
    let mut exchanges = Vec::new();
    for _ in 0..=dice.below(6) {
        let power = 12_000 + dice.below(1000);
        let (say, reply) = (format!("2**{power} % 7"), ["1", "2", "4"][power % 3]);
        exchanges.push(Exchange { say: join(&say, "\n"), reply: join(reply, "\n"), cut: Cut::Few });
    }
    talk("much to compute", calc(), exchanges)
}

fn echo(dice: &mut Dice) -> Talk {
    let most = if dice.chance(50) { 100_000 } else { 300 };
    let exchange = |dice: &mut Dice| {
        let flood = dice.chance(300);
        let bytes = dice.bytes(if flood { 2000 } else { most });
        let cut = match bytes.len() {
            _ if flood => Cut::Flood,
            ..40 => dice.cut(3),
            _ => dice.cut(2),
        };
        Exchange { say: bytes.clone(), reply: bytes, cut }
    };
    let count = dice.below(6);
    let exchanges = (0..=count).map(|_| exchange(dice)).collect();
    talk("echo", ServiceKind::Echo.into(), exchanges)
}

fn hello() -> Talk {
    let exchange = Exchange { say: b"hi\n".to_vec(), reply: join(GREETING, "\n"), cut: Cut::Few };
    let spec = ServiceSpec { greeting: Arc::from(GREETING), ..ServiceKind::Hello.into() };
    Talk { closes: Some(CloseReason::Served), ..talk("hello", spec, vec![exchange]) }
}

/// The server speaks first, and for the last time.
fn busy() -> Talk {
    Talk {
        name: "busy",
        spec: None,
        opening: BUSY_TEXT.into(),
        exchanges: Vec::new(),
        in_turns: false,
        closes: Some(CloseReason::Served),
        naps: false,
    }
}

fn too_long(dice: &mut Dice, limit: usize) -> Talk {
    let mut lines = lines(dice, 2, 0);
    let mut say = vec![b'('; limit + 2 + dice.below(2 * limit)];
    if dice.chance(500) {
        say.push(b'\n');
    }
    let reply = format!("ValueError: message too long (limit {limit} bytes)\n").into_bytes();
    lines.exchanges.push(Exchange { say, reply, cut: dice.cut(2) });
    Talk { name: "too long", closes: Some(CloseReason::TooLong), ..lines }
}

/// Messages that only silence ends.
fn bare(dice: &mut Dice) -> Talk {
    let mut exchanges = Vec::new();
    for _ in 0..=dice.below(4) {
        let (question, answer) = sum(dice);
        let cut = dice.cut(2);
        exchanges.push(Exchange { say: question.into(), reply: answer.into(), cut });
    }
    Talk { in_turns: true, ..talk("bare messages", calc(), exchanges) }
}

/// Messages in a buffer of C, with whatever stood in it before.
fn padded(dice: &mut Dice) -> Talk {
    let mut exchanges = Vec::new();
    for _ in 0..=dice.below(4) {
        let (question, answer) = sum(dice);
        let (end, cut) = if dice.chance(500) { ("\0", dice.cut(2)) } else { ("\n\0", Cut::Whole) };
        let mut say = join(&question, end);
        say.extend(dice.bytes(60));
        exchanges.push(Exchange { say, reply: join(&answer, end), cut });
    }
    Talk { in_turns: true, ..talk("padded messages", calc(), exchanges) }
}

/// Java's writeUTF.
fn java(dice: &mut Dice) -> Talk {
    let counted = |text: &str| {
        let length = u16::try_from(text.len()).unwrap();
        [&length.to_be_bytes(), text.as_bytes()].concat()
    };
    let mut exchanges = Vec::new();
    for _ in 0..=dice.below(6) {
        let (question, answer) = sum(dice);
        // A NUL by itself would look like an empty message.
        let cut = dice.cut(2);
        exchanges.push(Exchange { say: counted(&question), reply: counted(&answer), cut });
    }
    talk("counted messages", calc(), exchanges)
}

/// A game of three questions, or the refusal of one.
fn quiz(dice: &mut Dice, seed: u64, peer: Peer, end: &str) -> Talk {
    const QUESTIONS: u32 = 3;
    let rules = Rules { seed, questions: QUESTIONS };
    let spec = ServiceSpec { rules, ..ServiceKind::Quiz.into() };
    let mut exchanges = Vec::new();
    let mut say = |text: &str, reply: Vec<u8>, cut| {
        exchanges.push(Exchange { say: join(text, end), reply, cut });
    };
    if dice.chance(100) {
        say("no", join(REFUSAL, end), Cut::Whole);
    } else {
        let mut random = Random::new(seed + peer.number - 1);
        let mut question = draw_question(&mut random);
        say("yes", Vec::new(), Cut::Whole);
        say("Bob", join(&question.0, end), Cut::Whole);
        let mut quarters = 0_i32;
        for n in 1..=QUESTIONS {
            let right = dice.chance(600);
            let text = if right { question.1.to_string() } else { "no idea".to_owned() };
            quarters += if right { 4 } else { -1 };
            let mut reply = join(if right { RIGHT } else { WRONG }, end);
            if n < QUESTIONS {
                question = draw_question(&mut random);
                reply.extend(join(&question.0, end));
            } else {
                reply.extend(join(&total(quarters), end));
                reply.extend(join(farewell(quarters), end));
            }
            say(&text, reply, dice.cut(2));
        }
    }
    let talk = talk("quiz", spec, exchanges);
    Talk { in_turns: end.is_empty(), naps: true, closes: Some(CloseReason::Served), ..talk }
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

fn farewell(quarters: i32) -> &'static str {
    match quarters {
        12 => "Bravo!",
        7 => "You did great!",
        _ => "Better luck next time!",
    }
}

fn join(text: &str, end: &str) -> Vec<u8> {
    [text, end].concat().into_bytes()
}

/// Makes steps of a conversation: all of it or its beginning, in turns or at once, to one of many
/// ends.
fn perform(dice: &mut Dice, talk: Talk) -> Plan {
    let (mut steps, mut owed) = (Vec::new(), Vec::new());
    let pace = pace(dice).or_else(|| talk.in_turns.then_some(Pace::EAGER));
    let count =
        if dice.chance(700) { talk.exchanges.len() } else { dice.below(talk.exchanges.len() + 1) };
    let whole = count == talk.exchanges.len();
    let in_turns = talk.in_turns || pace.is_some() && dice.chance(300);
    let (mut input, mut answer) = (0, talk.opening);
    if !answer.is_empty() {
        owed.push((0, answer.len()));
    }
    for Exchange { say, reply, cut } in talk.exchanges.into_iter().take(count) {
        if dice.chance(50) {
            steps.push(Step::Pause(dice.within(Duration::from_secs(1))));
        }
        if dice.chance(20) {
            steps.push(Step::Urgent);
        }
        let silent = reply.is_empty();
        input += say.len();
        answer.extend(reply);
        owed.push((input, answer.len()));
        steps.push(Step::Send(say, cut));
        if talk.in_turns && silent {
            steps.push(Step::Pause(Duration::from_millis(60)));
        } else if in_turns {
            steps.push(Step::Await(answer.len()));
        }
    }
    let last_word = talk.closes.filter(|_| whole);
    let ending = finish(dice, &mut steps, pace.map(|_| answer.len()), last_word);
    let closes = dice.chance(900);
    Plan {
        name: talk.name,
        steps,
        answer,
        owed,
        ending,
        last_word: talk.closes,
        pace,
        closes,
        naps: talk.naps,
    }
}

/// The last steps, and the ending that they lead to.
fn finish(
    dice: &mut Dice,
    steps: &mut Vec<Step>,
    answer: Option<usize>,
    closes: Option<CloseReason>,
) -> CloseReason {
    if dice.chance(150) {
        let at = dice.below(steps.len() + 1);
        steps.truncate(at);
        if dice.chance(500) {
            steps.push(Step::Pause(dice.within(Duration::from_millis(5))));
        }
        let lost = dice.chance(200);
        steps.push(Step::Break(if lost {
            ErrorKind::TimedOut
        } else {
            ErrorKind::ConnectionReset
        }));
        return if lost { CloseReason::Lost } else { CloseReason::PeerReset };
    }
    if let Some(ending) = closes {
        if dice.chance(300) {
            // Nothing that could be the end of too long a message.
            let most = if dice.chance(30) { HUGE } else { 3000 };
            let more = vec![b'x'; 1 + dice.below(most)];
            steps.push(Step::Send(more, dice.cut(2)));
        }
        return ending;
    }
    match (dice.below(10), answer) {
        (0, _) => return CloseReason::Idle,
        (1..4, Some(all)) => steps.extend([Step::Await(all), Step::Leave]),
        _ => steps.push(Step::Finish),
    }
    CloseReason::PeerClosed
}

impl Pace {
    const EAGER: Self = Self { bytes: 1 << 20, pause: Duration::ZERO, stalls: false };

    pub fn is_eager(self) -> bool {
        self.pause.is_zero()
    }
}

fn pace(dice: &mut Dice) -> Option<Pace> {
    match dice.below(10) {
        0 => None,
        // Fast enough to be through with a full socket before it counts as idle.
        1..4 => Some(Pace {
            bytes: 30 + dice.below(5000),
            pause: dice.within(Duration::from_millis(3)),
            stalls: false,
        }),
        4 => Some(Pace {
            bytes: 1000 + dice.below(5000),
            pause: dice.within(Duration::from_millis(3)),
            stalls: true,
        }),
        _ => Some(Pace::EAGER),
    }
}
