//! The command `show`: lessons about TCP sockets that run on the kernel of this machine.
//!
//! A [`Lesson`] is one file, which is meant to be read: it makes real system calls, and reports
//! each of them to a `Narrator`, with its result and with what the kernel promises. So a lesson is
//! a test of the kernel as well. It runs in a process of its own, where it may change limits, block
//! and be stopped, and in a network of its own where the system allows that.

mod config;
mod ends;
mod narrator;
mod sockets;
mod threads;
mod words;

mod accept;
mod backlog;
mod reuseaddr;
mod reuseport;
mod self_connect;
mod syn_cookies;
mod time_wait;

mod acked;
mod coalescing;
mod delayed_ack;
mod full_pipe;
mod nagle;

mod close_wait;
mod fork;
mod half_close;
mod lost_busy;
mod rst;
mod shut_rd;
mod sigpipe;
mod vanished;

mod edge;
mod herd;
mod interrupted;
mod slow_reader;
mod spin;
mod stale_event;

mod emfile;
mod fd_setsize;
mod ports;

use std::io;
use std::process::{self, Command, Stdio};

pub use config::{Config, Network, Selection};
use narrator::Narrator;

use crate::error::{Exit, Failure};
use crate::subject::{self, EndStatus, THIS_PROGRAM};

/// The exit status of a lesson that did as expected.
const AS_EXPECTED: u8 = 0;

/// A lesson.
#[derive(Debug)]
pub struct Lesson {
    /// Its name.
    pub topic: &'static str,
    /// The question that it answers.
    pub question: &'static str,
    /// A guess at its result, for which the learner is asked.
    prediction: Prediction,
    /// The networks that it can run in.
    place: Place,
    /// Its calls.
    run: fn(&mut Narrator) -> io::Result<()>,
}

/// A question with three answers.
#[derive(Debug)]
struct Prediction {
    question: &'static str,
    answers: [&'static str; 3],
    /// The index of the right answer.
    right: usize,
}

/// The networks that a lesson can run in.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Any: it uses free ports of the loopback interface.
    Anywhere,
    /// One of its own: it changes the network.
    OwnNetwork,
}

/// Lessons about one subject.
#[derive(Debug)]
struct Group {
    name: &'static str,
    lessons: &'static [&'static Lesson],
}

/// The lessons, in the order in which they are listed.
const GROUPS: [Group; 5] = [
    Group {
        name: "Connecting",
        lessons: &[
            &accept::LESSON,
            &backlog::LESSON,
            &syn_cookies::LESSON,
            &self_connect::LESSON,
            &time_wait::LESSON,
            &reuseaddr::LESSON,
            &reuseport::LESSON,
        ],
    },
    Group {
        name: "Bytes",
        lessons: &[
            &coalescing::LESSON,
            &full_pipe::LESSON,
            &acked::LESSON,
            &nagle::LESSON,
            &delayed_ack::LESSON,
        ],
    },
    Group {
        name: "Ending",
        lessons: &[
            &half_close::LESSON,
            &shut_rd::LESSON,
            &close_wait::LESSON,
            &rst::LESSON,
            &lost_busy::LESSON,
            &sigpipe::LESSON,
            &vanished::LESSON,
            &fork::LESSON,
        ],
    },
    Group {
        name: "Many clients",
        lessons: &[
            &slow_reader::LESSON,
            &spin::LESSON,
            &edge::LESSON,
            &stale_event::LESSON,
            &interrupted::LESSON,
            &herd::LESSON,
        ],
    },
    Group { name: "Limits", lessons: &[&emfile::LESSON, &ports::LESSON, &fd_setsize::LESSON] },
];

impl Lesson {
    /// All lessons.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        GROUPS.iter().flat_map(|group| group.lessons).copied()
    }

    fn runs_in(&self, network: Network) -> bool {
        network == Network::Own || self.place == Place::Anywhere
    }
}

/// Runs the command. Returns its exit status.
pub fn run(config: &Config) -> Result<u8, Failure> {
    match (config.selection, config.network) {
        (Selection::List, None) => {
            list(&Narrator::new(config.colour));
            Ok(AS_EXPECTED)
        }
        // Is it allowed? See `network_of_lessons`.
        (Selection::List, Some(network)) => enter(network).map(|()| AS_EXPECTED),
        (Selection::All, _) => run_all(config),
        (Selection::One(lesson), _) => {
            let network = network_of_lessons(config)?;
            if !lesson.runs_in(network) {
                // It would change the network of the machine.
                return Err(Failure::new(Exit::Failed, left_out(&[lesson.topic])));
            }
            if config.network.is_none() {
                return run_in_process(lesson, network, config);
            }
            enter(network)?;
            Ok(run_here(lesson, config))
        }
    }
}

/// The last lines of the list: how to run a lesson, and how to read it.
const KEY: [&str; 10] = [
    "Run one: socklab show TOPIC. First guess, then see: --predict. All: --all.",
    "",
    "Each line of a lesson says who acts, what the call is, and its result, all of which has",
    "happened in that run; some lines without a result explain. A client and a server stand",
    "for two programs; the kernel is the operating system, which serves both of them here.",
    "The result of send is a number of bytes. Results in capitals are errors, such as EPIPE,",
    "packets, such as FIN, or the states of an end of a connection, such as CLOSE-WAIT: the",
    "last lines of a lesson explain them, and say which exceptions Python raises. Its lines",
    "of Python use the modules os, sys, errno, select and subprocess, and the bare names of",
    "socket, signal and selectors (from socket import *).",
];

fn list(narrator: &Narrator) {
    for group in GROUPS {
        narrator.heading(group.name);
        for lesson in group.lessons {
            narrator.plain(&format!("  {:<13} {}", lesson.topic, lesson.question));
        }
    }
    narrator.plain("");
    for line in KEY {
        narrator.plain(line);
    }
}

fn run_all(config: &Config) -> Result<u8, Failure> {
    let network = network_of_lessons(config)?;
    let narrator = Narrator::new(config.colour);
    let (mut shown, mut wrong, mut without) = (0, Vec::new(), Vec::new());
    for lesson in Lesson::all() {
        if !lesson.runs_in(network) {
            without.push(lesson.topic);
            continue;
        }
        let status = run_in_process(lesson, network, config)?;
        narrator.plain("");
        shown += 1;
        wrong.extend((status != AS_EXPECTED).then_some(lesson.topic));
    }
    narrator.heading(&format!("{shown} of {} lessons have run.", Lesson::all().count()));
    if !without.is_empty() {
        narrator.plain(&left_out(&without));
    }
    if wrong.is_empty() {
        return Ok(AS_EXPECTED);
    }
    Err(Failure::new(Exit::Failed, format!("not as expected: {}", wrong.join(", "))))
}

/// The remark on lessons that this system does not allow.
fn left_out(topics: &[&str]) -> String {
    let topics = topics.join(", ");
    format!("left out, for want of root or user namespaces, and the program ip: {topics}")
}

/// The network of lessons on this system: their own, if it is allowed.
fn network_of_lessons(config: &Config) -> Result<Network, Failure> {
    if let Some(network) = config.network {
        return Ok(network);
    }
    let mut probe = this_program(None, Network::Own, config);
    let status =
        probe.stdout(Stdio::null()).stderr(Stdio::null()).status().map_err(cannot_start)?;
    Ok(if status.success() { Network::Own } else { Network::Shared })
}

/// Runs a lesson in a process. Returns its exit status.
fn run_in_process(lesson: &Lesson, network: Network, config: &Config) -> Result<u8, Failure> {
    let status = this_program(Some(lesson), network, config).status().map_err(cannot_start)?;
    Ok(EndStatus::from(status).shell_status())
}

fn this_program(lesson: Option<&Lesson>, network: Network, config: &Config) -> Command {
    let mut command = Command::new(THIS_PROGRAM);
    command.args((config.child_args)(lesson, network, config));
    command
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that map_err wants")]
fn cannot_start(error: io::Error) -> Failure {
    Failure::cannot("start a lesson", &error)
}

/// Moves this process into the network of its lesson.
fn enter(network: Network) -> Result<(), Failure> {
    match network {
        Network::Own => subject::isolate(),
        Network::Shared => Ok(()),
    }
}

/// Runs a lesson in this process. Returns its exit status.
fn run_here(lesson: &Lesson, config: &Config) -> u8 {
    let mut narrator = Narrator::new(config.colour);
    narrator.heading(&format!("{}: {}", lesson.topic, lesson.question));
    let guess = config.predict.then(|| narrator.ask(&lesson.prediction)).flatten();
    let limited = threads::limit_time(|| {
        let narrator = Narrator::new(false);
        narrator.plain("This kernel did otherwise: a call that was to return has not.");
        process::exit(Exit::Failed as i32);
    });
    if let Err(error) = limited.and_then(|()| (lesson.run)(&mut narrator)) {
        narrator.cannot_go_on(&error);
    }
    if let Some(guess) = guess {
        narrator.compare(guess, &lesson.prediction);
    }
    if narrator.conclude() { AS_EXPECTED } else { Exit::Failed as u8 }
}
