//! The tests of a server without clients: what is left over, sleep, stop and start.

use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;

use super::course::ENDS_AFTER_ONE;
use super::grading::{Grading, Step};
use super::report::{Fault, Outcome};
use super::snapshot::activity;
use super::wait_until;
use crate::subject::processes::ProcessState;
use crate::subject::sockets::{State, in_time_wait};
use crate::subject::{self, EndStatus, NotListening, Spec};

/// Visits before what is left over is counted.
const VISITS: usize = 100;

/// Descriptors, processes or zombies more than before that are not yet a leak: a server may clean
/// up at its next client.
const SLACK: usize = 5;

/// Threads more than before that are not yet a leak: a pool may have grown.
const THREAD_SLACK: usize = 50;

/// The time in which an idle server is watched.
const WATCHED: Duration = Duration::from_secs(1);

/// The looks at a server before it is said not to sleep: a virtual machine that has just started
/// compiles, and a garbage collector runs.
const LOOKS: usize = 3;

/// Voluntary switches of an idle second that every runtime may have.
const FEW_SWITCHES: u64 = 5;

/// Voluntary switches of an idle second from which on a server polls. The periodic task of a Java
/// virtual machine makes 20.
const POLLING: u64 = 50;

/// The processor time of an idle second from which on a server is busy.
const BUSY: Duration = Duration::from_millis(200);

/// The error of an occupied port, as languages tell it.
const OCCUPIED: [&str; 3] = ["ddress already in use", "EADDRINUSE", "BindException"];

/// The time of a server for its first failure on an occupied port, beside its usual start.
const FAILURE_PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn nothing_left(grading: &mut Grading<'_>) -> Step<Outcome> {
    if grading.dialogue.end_after_one.is_some() {
        return Ok(Outcome::untested(ENDS_AFTER_ONE));
    }
    grading.check_well()?;
    left_connections(grading);
    let before = Count::of(&grading.subject.processes());
    for _ in 0..VISITS {
        grading.check_well()?;
    }
    let connections = left_connections(grading);
    let grown = |now: Count| {
        now.descriptors > before.descriptors + SLACK
            || now.zombies > before.zombies + SLACK
            || now.processes > before.processes + SLACK
            || now.threads > before.threads + THREAD_SLACK
    };
    let mut now = before;
    wait_until(grading.dialogue.last_patience(), || {
        now = Count::of(&grading.subject.processes());
        !grown(now)
    });
    if connections.len() > SLACK {
        let waiting = connections.iter().filter(|&state| *state == State::CloseWait).count();
        let seen = format!(
            "all clients have left, and {} connections are open on the server's side, {waiting} of \
             them in CLOSE_WAIT",
            connections.len()
        );
        let advice = "CLOSE_WAIT means that the client has closed and the server has not: close \
                      the socket when recv returns 0 (b\"\" in Python), in every process that has \
                      it.";
        let processes = grading.subject.processes();
        let held = processes.iter().map(|it| (it.pid, it.sockets().count()));
        let held = held.filter(|&(_, count)| count > SLACK);
        let evidence = held.map(|(pid, count)| format!("process {pid} has {count} sockets"));
        return Err(Fault::new(seen, advice).topic("close-wait").evidence(evidence));
    }
    if grown(now) {
        let seen = format!("after {VISITS} clients have left: {}", now.difference(before));
        if now.zombies > before.zombies + SLACK {
            let advice =
                "Wait for children that have ended (waitpid after SIGCHLD), or their entries stay.";
            return Err(Fault::new(seen, advice).topic("fork"));
        }
        return Err(Fault::new(seen, "Close and free what belongs to a client when it has left."));
    }
    Ok(Outcome::Holds(None))
}

/// Waits until no connection is left on the server's side, and returns those that are.
fn left_connections(grading: &Grading<'_>) -> Vec<State> {
    wait_until(grading.dialogue.last_patience(), || grading.connections().is_empty());
    grading.connections()
}

/// The resources of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    processes: usize,
    zombies: usize,
    threads: usize,
    descriptors: usize,
}

impl Count {
    fn of(processes: &[ProcessState]) -> Self {
        let (zombies, live): (Vec<_>, Vec<_>) = processes.iter().partition(|it| it.zombie);
        Self {
            processes: live.len(),
            zombies: zombies.len(),
            threads: live.iter().map(|it| it.threads.len()).sum(),
            descriptors: live.iter().map(|it| it.descriptors.len()).sum(),
        }
    }

    fn difference(self, before: Self) -> String {
        let parts = [
            (self.processes, before.processes, "processes"),
            (self.zombies, before.zombies, "zombies"),
            (self.threads, before.threads, "threads"),
            (self.descriptors, before.descriptors, "descriptors"),
        ];
        let grown = parts.iter().filter(|(now, before, _)| now > before);
        let text = grown.map(|(now, before, name)| format!("{} more {name} ({now})", now - before));
        text.collect::<Vec<_>>().join(", ")
    }
}

pub(super) fn asleep(grading: &mut Grading<'_>) -> Step<Outcome> {
    // A server may poll only while it has a client.
    let mut client = grading.connect()?;
    if !grading.dialogue.one_answer {
        grading.ask(&mut client)?;
    }
    let (mut switches, mut worked) = (0, Duration::ZERO);
    for _ in 0..LOOKS {
        (switches, worked) = activity(&grading.subject, WATCHED);
        if worked < BUSY && switches < POLLING {
            break;
        }
    }
    client.close();
    let advice = "Wait for work in the kernel (accept, recv, select, poll, epoll_wait without a \
                  timeout): a loop that looks again and again takes the processor from others.";
    if worked >= BUSY {
        let percent = worked.as_millis() * 100 / WATCHED.as_millis();
        let seen = format!("with one silent client it took {percent} % of a processor");
        return Err(Fault::new(seen, advice).topic("spin").evidence(grading.doing()));
    }
    if switches >= POLLING {
        let seen = format!("with one silent client it woke {switches} times in a second");
        return Err(Fault::new(seen, advice).topic("spin").evidence(grading.doing()));
    }
    let seen = format!("{switches} wake-ups in a second with a silent client");
    Ok(Outcome::Holds((switches > FEW_SWITCHES).then_some(seen)))
}

pub(super) fn stops(grading: &mut Grading<'_>) -> Step<Outcome> {
    grading.check_well()?;
    grading.next_subject()?;
    let grace = grading.config().server.grace;
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        grading.subject.signal_group(signal);
        if grading.subject.first_has_ended() {
            // It has forked and left.
            grading.subject.signal_all(signal);
        }
        if let Some(end) = grading.subject.wait(grace) {
            let seen = match end {
                EndStatus::Signal(number) if number == signal.as_raw() => format!("{name} ends it"),
                _ => format!("{name} ends it: {end}"),
            };
            return Ok(Outcome::Holds(Some(seen)));
        }
    }
    let left = grading.subject.processes();
    let seen = format!("after SIGTERM and SIGINT, processes of it live on: {}", left.len());
    let advice = "Leave these signals alone, or end soon after them, with all children.";
    Err(Fault::new(seen, advice).evidence(grading.doing()))
}

pub(super) fn restart(grading: &mut Grading<'_>) -> Step<Outcome> {
    // One that takes another port at each start is known by that.
    grading.renew()?;
    let own = grading.own_port();
    let keeps_port = own.is_none_or(|own| own == grading.subject.address().port());
    let mut client = grading.connect()?;
    if !grading.dialogue.one_answer {
        grading.ask(&mut client)?;
    }
    // A connection in the accept queue would be reset, and leave no TIME_WAIT.
    grading.wait_accepted(&client);
    let (address, ours) = (grading.subject.address(), client.address);
    // The server closes first, because it ends: so its side has TIME_WAIT.
    grading.subject.stop_now();
    let (_, closed) = client.receive_all(grading.dialogue.patience());
    client.half_close();
    drop(client);
    let listed = || in_time_wait().iter().any(|it| it.remote == ours);
    let waits = wait_until(grading.dialogue.patience(), listed);
    grading.subject = grading.start_again(Some(address.port())).map_err(|fault| {
        let advice = "The end of the old server has left its connection in TIME_WAIT on the \
                      server's port, for 60 s. Set SO_REUSEADDR before bind, in Python's \
                      socketserver by allow_reuse_address = True.";
        let state = waits.then(|| format!("{address} to {ours} is in TIME_WAIT"));
        fault.advice(advice).topic("time-wait").evidence(state)
    })?;
    let port = grading.subject.address().port();
    if keeps_port && port != address.port() {
        let seen =
            format!("started again at once, it listens on port {port}, not {}", address.port());
        let advice = "Check the result of bind: it failed, because a connection of the old server \
                      is in TIME_WAIT on the port, and listen has taken a free port instead. Set \
                      SO_REUSEADDR before bind.";
        return Err(Fault::new(seen, advice).topic("time-wait"));
    }
    let seen = match (waits, closed) {
        (true, _) => "it listened again at once, over a connection in TIME_WAIT",
        (false, true) => "it listened again at once",
        (false, false) => "it listened again at once; its client was not closed",
    };
    grading.check_well()?;
    Ok(Outcome::Holds(Some(seen.to_owned())))
}

/// The fault of a server that takes another port than the one that was occupied.
fn elsewhere(port: u16, instead: &str) -> Fault {
    let seen = format!("port {port} was occupied, and it listens on {instead} instead");
    let advice = "Clients look for the server on the port that it was given: report the error of \
                  bind, and end.";
    Fault::new(seen, advice)
}

pub(super) fn port_occupied(grading: &mut Grading<'_>) -> Step<Outcome> {
    let address = grading.subject.address();
    let own = grading.own_port();
    if own.is_some_and(|own| own != address.port()) {
        return Ok(Outcome::skipped("it takes another port each time, its own choice"));
    }
    if own.is_some() {
        grading.subject.stop_now();
    }
    let occupied = TcpListener::bind((address.ip(), own.unwrap_or(0)));
    let Ok(occupied) = occupied else {
        return Ok(Outcome::skipped("its own port cannot be occupied for the test"));
    };
    let port = occupied.local_addr().map_or(0, |address| address.port());
    let server = &grading.config().server;
    let patience = grading.subject.startup() * 3 + FAILURE_PATIENCE;
    let spec = Spec { patience, ..server.clone() };
    let started = subject::try_start(&spec, port);
    drop(occupied);
    let outcome = match started {
        Err(NotListening::Ended(end, lines)) => {
            let tells = |line: &&String| OCCUPIED.iter().any(|it| line.contains(it));
            let line = lines.iter().find(tells).or(lines.last());
            let said = line.map(|line| format!(", saying \"{line}\"")).unwrap_or_default();
            Ok(Outcome::Holds(Some(format!("it ended with {end}{said}"))))
        }
        Err(NotListening::Elsewhere(ports, lines)) => {
            Err(elsewhere(port, &format!("the ports {ports:?}")).evidence(lines))
        }
        Ok(subject) if subject.address().port() != port => {
            Err(elsewhere(port, &format!("port {}", subject.address().port())))
        }
        Err(NotListening::Silent(_, lines)) => Err(Fault::new(
            format!("port {port} was occupied, and it neither listens nor ends"),
            "Check the result of bind and listen: report the error, and end.",
        )
        .evidence(lines)),
        Err(NotListening::System(failure)) => Ok(Outcome::Skipped(failure.to_string())),
        Ok(_) => Err(Fault::new(
            format!("port {port} was occupied by another listener, and it listens there as well"),
            "Leave SO_REUSEPORT alone: with it, two servers share a port, and each gets some of \
             the clients.",
        )
        .topic("reuseaddr")),
    };
    if own.is_some() {
        grading.renew()?;
    }
    outcome
}
