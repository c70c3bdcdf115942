//! A search for messages that take more of the processor than they are charged for.
//!
//! It keeps the worst messages of different kinds that it has found, and changes them further. The
//! same seed gives the same random numbers; the choice of what is kept depends on time measured.

use std::collections::BTreeMap;
use std::mem;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use socklab::arithmetic::Dialect;
use socklab::buffer::Buffer;
use socklab::random::Random;
use socklab::service::{
    Delimiter, Event, MIN_WORK, Output, Peer, Service, ServiceKind, ServiceSpec,
};

use crate::expression::{Expression, pick};

/// The most that a message may take.
const MOST_TIME: Duration = Duration::from_millis(60);

/// The most that a unit of work may take, in nanoseconds.
const MOST_UNIT: f64 = 4.0;

/// Bytes of a message: the usual limit, and the largest one that the command line takes.
const SIZES: [usize; 2] = [4_096, 32_768];

/// Messages that are kept to be changed further.
const POPULATION: usize = 60;

/// Messages that are shown.
const SHOWN: usize = 10;

/// Characters of a message's piece that are shown.
const SHOWN_CHARACTERS: usize = 160;

/// Times that the worst messages are measured again.
const ROUNDS: usize = 10;

/// The time of one measurement. A message that takes less is served several times.
const MEASUREMENT: Duration = Duration::from_micros(100);

/// The services that are asked.
const NAMES: [&str; 3] = ["calc", "integer", "fourops"];

/// Index in [`NAMES`].
const FOUROPS: usize = 2;

/// One message: a piece that is repeated.
#[derive(Clone)]
struct Message {
    /// An index of [`NAMES`].
    service: usize,
    expression: Expression,
    repetitions: usize,
}

/// A message that was measured.
struct Measured {
    message: Message,
    time: Duration,
    work: u32,
}

impl Measured {
    /// Nanoseconds of a unit of work, of which each message has [`MIN_WORK`] more.
    fn unit(&self) -> f64 {
        self.time.as_secs_f64() * 1e9 / f64::from(self.work.saturating_add(MIN_WORK))
    }

    /// The part of what is allowed that it takes.
    fn score(&self) -> f64 {
        (self.time.as_secs_f64() / MOST_TIME.as_secs_f64()).max(self.unit() / MOST_UNIT)
    }
}

fn services() -> Vec<Box<dyn Service>> {
    let calc = ServiceSpec::from(ServiceKind::Calc);
    let integer = ServiceSpec { dialect: Dialect::Integer, ..calc.clone() };
    let peer = Peer { number: 1, address: Some(([127, 0, 0, 1], 4_242).into()) };
    // In the order of NAMES.
    [calc, integer, ServiceKind::Fourops.into()].map(|spec| spec.build(peer)).into()
}

impl Message {
    fn piece(&self) -> String {
        let mut piece = String::new();
        self.expression.write(&mut piece);
        if self.repetitions > 1 {
            piece.push(',');
        }
        piece
    }

    fn text(&self) -> String {
        self.piece().repeat(self.repetitions)
    }

    /// Of the messages of one kind only the worst is kept.
    fn kind(&self) -> String {
        format!("{} {}", NAMES[self.service], self.expression.kind())
    }

    /// A message of an expression, once or as often as it fits.
    fn of(expression: Expression, random: &mut Random) -> Self {
        if random.below(16) == 0 {
            let expression = Expression::of_two_numbers(random);
            return Self { service: FOUROPS, expression, repetitions: 1 };
        }
        let service = usize::from(random.below(4) == 0);
        let mut message = Self { service, expression, repetitions: 1 };
        message.repeat(random);
        message
    }

    fn repeat(&mut self, random: &mut Random) {
        self.repetitions = match random.below(4) {
            0 | 1 => 1,
            2 => (SIZES[0] / (self.piece().len() + 1)).max(1),
            _ => (SIZES[pick(2, random)] / (self.piece().len() + 1)).max(1),
        };
    }

    fn changed(&self, random: &mut Random) -> Self {
        if self.service == FOUROPS {
            let expression = Expression::of_two_numbers(random);
            return Self { expression, ..self.clone() };
        }
        let mut changed = Self { expression: self.expression.changed(random), ..self.clone() };
        if random.below(3) == 0 || changed.text().len() > SIZES[1] {
            changed.repeat(random);
        }
        changed
    }
}

/// Processor time that this thread has used.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("time is not negative")
}

struct Search {
    random: Random,
    services: Vec<Box<dyn Service>>,
    now: Instant,
    buffer: Buffer,
    /// The worst of each kind.
    worst: BTreeMap<String, Measured>,
    tried: u64,
}

impl Search {
    /// Serves a message once; returns the work charged.
    fn serve(&mut self, service: usize, text: &str) -> u32 {
        self.buffer.clear();
        let mut out = Output::new(&mut self.buffer, Delimiter::Newline);
        self.services[service].step(Event::Message(text.as_bytes()), self.now, &mut out);
        out.work()
    }

    /// The time and the work of a message, by the best of several measurements.
    fn measure(&mut self, service: usize, text: &str, measurements: usize) -> (Duration, u32) {
        let mut best = Duration::MAX;
        let mut work = 0;
        let mut times = 1;
        for _ in 0..measurements {
            let begun = processor_time();
            for _ in 0..times {
                work = self.serve(service, text);
            }
            let taken = processor_time().saturating_sub(begun);
            best = best.min(taken / times);
            let fits = MEASUREMENT.as_nanos() / best.as_nanos().max(1);
            times = u32::try_from(fits).unwrap_or(1).max(1);
        }
        (best, work)
    }

    fn try_message(&mut self, message: Message) {
        let text = message.text();
        if text.len() > SIZES[1] {
            return;
        }
        self.tried += 1;
        let service = message.service;
        let (time, work) = self.measure(service, &text, 2);
        let mut measured = Measured { message, time, work };
        let least = if self.worst.len() < POPULATION { 0.0 } else { self.least_score() };
        if measured.score() <= least {
            return;
        }
        // What looks bad may have been interrupted.
        (measured.time, measured.work) = self.measure(service, &text, 7);
        if measured.score() <= least {
            return;
        }
        let measured = self.simplified(measured);
        let kind = measured.message.kind();
        let known = self.worst.get(&kind).map_or(least, Measured::score);
        if measured.score() > known {
            self.worst.insert(kind, measured);
            self.drop_least();
        }
    }

    /// The message without what does not make it bad.
    fn simplified(&mut self, mut measured: Measured) -> Measured {
        let enough = measured.score() * 0.95;
        'simpler: loop {
            let Measured { message, .. } = &measured;
            let simpler = message.expression.simpler().into_iter();
            let simpler: Vec<_> =
                simpler.map(|expression| Message { expression, ..message.clone() }).collect();
            for message in simpler {
                let (time, work) = self.measure(message.service, &message.text(), 3);
                let simpler = Measured { message, time, work };
                if simpler.score() >= enough {
                    measured = simpler;
                    continue 'simpler;
                }
            }
            return measured;
        }
    }

    fn least_score(&self) -> f64 {
        self.worst.values().map(Measured::score).fold(f64::MAX, f64::min)
    }

    fn drop_least(&mut self) {
        let by_score = |a: &(&String, &Measured), b: &(&String, &Measured)| {
            a.1.score().total_cmp(&b.1.score())
        };
        if self.worst.len() > POPULATION
            && let Some(kind) = self.worst.iter().min_by(by_score).map(|(kind, _)| kind.clone())
        {
            self.worst.remove(&kind);
        }
    }

    /// The worst messages, measured again at a few different times: a program that shares the
    /// processor's caches makes all that it runs beside seem slow.
    fn confirmed(mut self) -> Vec<Measured> {
        let by_score = |a: &Measured, b: &Measured| b.score().total_cmp(&a.score());
        let mut worst: Vec<_> = mem::take(&mut self.worst).into_values().collect();
        worst.sort_by(by_score);
        worst.truncate(2 * SHOWN);
        for _ in 0..ROUNDS {
            for measured in &mut worst {
                let Measured { message, time, .. } = measured;
                let (again, _) = self.measure(message.service, &message.text(), 3);
                *time = again.min(*time);
            }
        }
        worst.sort_by(by_score);
        worst
    }

    /// The next message: each form in turn with other operands, or a change of a bad one.
    fn next(&mut self) -> Message {
        let random = &mut self.random;
        let place = usize::try_from(self.tried).unwrap_or_default();
        if self.worst.len() < POPULATION || random.below(4) == 0 {
            let depth = random.below(3);
            let expression = Expression::of_form(place, depth, random);
            return Message::of(expression, random);
        }
        let chosen = pick(self.worst.len(), random);
        let parent = self.worst.values().nth(chosen).expect("an index below the length");
        parent.message.changed(random)
    }
}

/// The start and the end of a long text.
fn shortened(text: &str) -> String {
    let characters: Vec<_> = text.chars().collect();
    if characters.len() <= SHOWN_CHARACTERS {
        return text.to_owned();
    }
    let part = |range: &[char]| range.iter().collect::<String>();
    let start = part(&characters[..SHOWN_CHARACTERS / 2]);
    let end = part(&characters[characters.len() - SHOWN_CHARACTERS / 2..]);
    format!("{start}...{end} ({} characters)", characters.len())
}

/// Searches for a time; prints the worst messages. Returns true if all keep to the limits.
#[expect(clippy::disallowed_methods, reason = "the search ends by the clock")]
pub(crate) fn run(time: Duration, seed: u64) -> bool {
    let begun = Instant::now();
    let mut search = Search {
        random: Random::new(seed),
        services: services(),
        now: begun,
        buffer: Buffer::default(),
        worst: BTreeMap::new(),
        tried: 0,
    };
    while begun.elapsed() < time {
        let message = search.next();
        search.try_message(message);
    }
    let tried = search.tried;
    let worst = search.confirmed();
    println!("{tried} messages tried with seed {seed}; the worst of different kinds:");
    println!("     ms  ns/unit      units  service  message");
    for measured in worst.iter().take(SHOWN) {
        let Measured { message, time, work } = measured;
        let service = NAMES[message.service];
        let (milliseconds, unit) = (time.as_secs_f64() * 1e3, measured.unit());
        let (count, piece) = (message.repetitions, shortened(&message.piece()));
        println!("{milliseconds:7.3} {unit:8.2} {work:10}  {service:7}  {count} x {piece}");
    }
    worst.iter().all(|measured| measured.score() <= 1.0)
}
