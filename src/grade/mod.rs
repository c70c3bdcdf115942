//! The command `grade`: starts somebody's server, judges it by its behaviour and by the way it is
//! built, and says what its author must change.
//!
//! ```text
//!  run ──▶ Grading: the subject, the dialogue with it, its design, questions
//!            │
//!            ├─ learning ──▶ dialogue: how it speaks, found out by exchanges
//!            ├─ inspection ──▶ design: how it is built, from /proc, by the change per client
//!            ├─ course, many, input, ending, idle, quiz: tests, each with a subject that is well
//!            └─ report ──▶ format: text, TAP, JSON, JUnit
//! ```
//!
//! A server is judged by its faults, not by its habits: whether it wants newlines, greets first,
//! puts words around its numbers or closes after each answer is found out, and said.

mod also;
mod client;
mod course;
mod design;
mod dialogue;
mod ending;
mod exchange;
mod format;
mod grading;
mod idle;
mod input;
mod inspection;
mod learning;
mod list;
mod many;
mod numbers;
mod question;
mod quiz;
mod report;
mod snapshot;
mod text;
mod writing;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use grading::{Grading, Step};

use crate::choice::{Choice, choices};
use crate::error::{Exit, Failure};
use crate::subject::Spec;

pub use format::Format;
pub use list::Test;
pub use report::{Counts, Fault, Outcome, Point, Report};

/// The default limit on the time of a grading.
pub const TIME_LIMIT: Duration = Duration::from_secs(120);

choices! {
    /// The service that the server is to offer.
    pub enum Service {
        /// A calculator: the four operators on two numbers.
        Calc = "calc",
        /// Every text comes back.
        Echo = "echo",
        /// A greeting for every message.
        Hello = "hello",
        /// A quiz: after a yes and a name, sums with + - * % for the client, and a score.
        Quiz = "quiz",
    }
}

choices! {
    /// The design that the server is to have.
    pub enum Expect {
        /// Any design.
        Any = "any",
        /// One client at a time.
        Single = "single",
        /// A thread for each client.
        Thread = "thread",
        /// A fixed number of threads.
        Pool = "pool",
        /// A process for each client.
        Process = "process",
        /// Processes that were started beforehand.
        Prefork = "prefork",
        /// A readiness loop, on select, poll or epoll.
        Loop = "loop",
    }
}

/// The configuration of a grading.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server.
    pub server: Spec,
    /// Its service.
    pub service: Service,
    /// Its design.
    pub expect: Expect,
    /// The tests; all, if it is empty.
    pub only: Vec<Test>,
    /// Programs with tests of a teacher's own, which print TAP.
    pub also: Vec<PathBuf>,
    /// The format of the report.
    pub format: Format,
    /// The seed of the questions.
    pub seed: u64,
    /// The time after which no more is tested.
    pub time_limit: Duration,
}

/// Grades a server and prints the report. Returns true if everything was tested and holds.
pub fn run(config: &Config) -> Result<bool, Failure> {
    let (report, failure) = match grade(config) {
        Ok(report) => (report, None),
        // Whoever reads the reports of sixty servers needs one of each.
        Err(failure) if config.format != Format::Text && failure.exit == Exit::NotListening => {
            (Report::not_listening(config, &failure), Some(failure))
        }
        Err(failure) => return Err(failure),
    };
    let mut text = Vec::new();
    let cannot = |error| Failure::cannot("write the report", &error);
    format::write(&report, config.format, &mut text).map_err(cannot)?;
    let mut out = io::stdout().lock();
    match out.write_all(&text).and_then(|()| out.flush()) {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(cannot(error)),
        _ => {}
    }
    let counts = report.counts();
    failure.map_or(Ok(counts.holds == counts.concerned()), Err)
}

fn grade(config: &Config) -> Result<Report, Failure> {
    let mut grading = Grading::start(config)?;
    grading.learn();
    grading.inspect();
    let mut points = Vec::new();
    for &test in Test::ALL {
        let default = !test.is_of_quiz() || config.service == Service::Quiz;
        if config.only.contains(&test) || config.only.is_empty() && default {
            let outcome = grading.run(test, code_of(test));
            log::debug!("{}: {outcome:?}", test.name());
            let (name, property) = (test.name().to_owned(), test.description().to_owned());
            points.push(Point { name, property, outcome });
        }
    }
    for script in &config.also {
        points.extend(grading.run_also(script));
    }
    Ok(grading.report(points))
}

/// The code of a test.
fn code_of(test: Test) -> fn(&mut Grading<'_>) -> Step<Outcome> {
    match test {
        Test::FourOperators => course::four_operators,
        Test::WholeGame => quiz::whole_game,
        Test::Verdicts => quiz::verdicts,
        Test::Refusal => quiz::refusal,
        Test::OwnGames => quiz::own_games,
        Test::SecondAfterFirst => course::second_after_first,
        Test::SecondWhileFirst => course::second_while_first,
        Test::SeveralAtOnce => course::several_at_once,
        Test::OneLeaves => course::one_leaves,
        Test::OwnAnswers => course::own_answers,
        Test::WhoServes => inspection::who_serves,
        Test::WrongInput => input::wrong_input,
        Test::DivideByZero => input::divide_by_zero,
        Test::Newline => input::newline,
        Test::TwoPieces => input::two_pieces,
        Test::ByteByByte => input::byte_by_byte,
        Test::TwoInOne => input::two_in_one,
        Test::LongLine => input::long_line,
        Test::OddBytes => input::odd_bytes,
        Test::HalfClose => ending::half_close,
        Test::NoNewline => ending::no_newline,
        Test::Reset => ending::reset,
        Test::UnreadAnswer => ending::unread_answer,
        Test::SlowReader => ending::slow_reader,
        Test::SilentClient => course::silent_client,
        Test::Greeting => course::greeting,
        Test::ManyClients => many::many_clients,
        Test::NothingLeft => idle::nothing_left,
        Test::Asleep => idle::asleep,
        Test::Stops => idle::stops,
        Test::Restart => idle::restart,
        Test::PortOccupied => idle::port_occupied,
    }
}

/// The clock of a grading.
#[expect(clippy::disallowed_methods, reason = "the edge of a command reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Lets the server run for this time.
#[expect(clippy::disallowed_methods, reason = "/proc has no events to wait for")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Waits until `condition` holds, for at most `patience`.
fn wait_until(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    /// The time between two looks.
    const LOOK_INTERVAL: Duration = Duration::from_millis(2);
    let until = now() + patience;
    loop {
        if condition() {
            return true;
        }
        if now() >= until {
            return false;
        }
        pause(LOOK_INTERVAL);
    }
}
