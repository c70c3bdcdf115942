//! `herd`: the number of workers that wake up for one client.

use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::event::epoll;

use super::sockets::{epoll_wait, listen, watch};
use super::threads::{PATIENCE, call_of, start, this_thread, wait_until};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "herd",
    question: "The thundering herd: how many workers wake up for one client?",
    prediction: Prediction {
        question: "4 workers, each with an epoll of its own, watch one listener. One client comes:",
        answers: ["one wakes up", "it depends on their order", "all four wake up"],
        right: 2,
    },
    place: Place::Anywhere,
    run,
};

const WORKERS: usize = 4;

/// Clients that the workers share.
const CLIENTS: usize = 200;

/// The wait for wake-ups that do not come.
const SILENCE: Duration = Duration::from_millis(200);

fn run(narrator: &mut Narrator) -> io::Result<()> {
    narrator.line("workers", "4 threads, each in a blocking accept", "");
    let (woken, calls) = herd(|listener| listener.accept().map(|_| ()), "accept")?;
    waited(narrator, &calls);
    narrator.expect("client", "connect: workers that accepted", 1, woken);
    share(narrator, None)?;

    narrator.line("workers", "4 threads, each in an epoll_wait for the listener", "");
    let (woken, calls) = herd(|listener| wait(listener, epoll::EventFlags::empty()), "epoll")?;
    waited(narrator, &calls);
    narrator.expect("client", "connect: workers that woke up", 4, woken);
    narrator.line("", "one accept will succeed, the other three will fail: EAGAIN", "");
    share(narrator, Some(epoll::EventFlags::empty()))?;

    narrator.line("workers", "the same with EPOLLEXCLUSIVE", "");
    let (woken, calls) = herd(|listener| wait(listener, epoll::EventFlags::EXCLUSIVE), "epoll")?;
    waited(narrator, &calls);
    let some = (1..WORKERS).contains(&woken);
    narrator.check("client", "connect: workers that woke up", woken, some, "at least 1, not all 4");
    share(narrator, Some(epoll::EventFlags::EXCLUSIVE))?;

    narrator.so(
        "accept wakes one worker; epolls that share a listener wake all, threads or processes; \
         with EPOLLEXCLUSIVE one or a few. To wake one is not to share: one worker may get most. \
         SO_REUSEPORT: a queue for each worker (show reuseport).",
    );
    narrator.python("let each worker block in listener.accept(), with no select before it");
    narrator.cure("socklab serve --model sharded    (a listener for each loop)");
    Ok(())
}

/// Prints the call, which has another name on some processors (`epoll_pwait`).
fn waited(narrator: &mut Narrator, calls: &str) {
    let all = calls.starts_with("4 ");
    narrator.check("kernel", "where they waited", calls, all, "all four in the call");
}

/// Waits for the listener with an epoll instance of this thread.
fn wait(listener: &TcpListener, flags: epoll::EventFlags) -> io::Result<()> {
    let events = epoll_wait(&watch(&[listener], flags)?, 10_000)?;
    if events.is_empty() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
}

/// Workers that all wait in a call; then one client connects. Returns how many of them woke up,
/// and the call that they had waited in. The others end with the program.
fn herd(
    wait: fn(&TcpListener) -> io::Result<()>,
    call: &'static str,
) -> io::Result<(usize, String)> {
    let listener = Arc::new(listen(5)?);
    let (wake, wakes) = channel();
    let calls = workers(&listener, call, move |_, listener| {
        if wait(listener).is_ok() {
            let _ = wake.send(());
        }
    })?;
    let _client = TcpStream::connect(listener.local_addr()?)?;
    let mut woken = usize::from(wakes.recv_timeout(PATIENCE).is_ok());
    while wakes.recv_timeout(SILENCE).is_ok() {
        woken += 1;
    }
    Ok((woken, calls))
}

/// Prints how many of many clients, one after the other, each worker accepts.
fn share(narrator: &mut Narrator, flags: Option<epoll::EventFlags>) -> io::Result<()> {
    let listener = Arc::new(listen(5)?);
    listener.set_nonblocking(flags.is_some())?;
    let (report, reports) = channel::<usize>();
    let call = if flags.is_some() { "epoll" } else { "accept" };
    workers(&listener, call, move |worker, listener| {
        let _ = accept_all(listener, flags, || report.send(worker));
    })?;
    for _ in 0..CLIENTS {
        let mut client = TcpStream::connect(listener.local_addr()?)?;
        client.set_read_timeout(Some(PATIENCE))?;
        // The worker that accepts it closes it.
        let _ = client.read(&mut [0])?;
    }
    let mut shares = [0; WORKERS];
    for worker in reports.try_iter() {
        shares[worker] += 1;
    }
    let all = shares.iter().sum::<usize>() == CLIENTS;
    let call = format!("{CLIENTS}, one after the other: the shares");
    narrator.check("clients", call, format!("{shares:?}"), all, "200 in all");
    Ok(())
}

/// Accepts and closes, in a blocking accept or after each event of an epoll instance.
fn accept_all<E>(
    listener: &TcpListener,
    flags: Option<epoll::EventFlags>,
    accepted: impl Fn() -> Result<(), E>,
) -> io::Result<()> {
    let watcher = flags.map(|flags| watch(&[listener], flags)).transpose()?;
    loop {
        if let Some(watcher) = &watcher {
            epoll_wait(watcher, 10_000)?;
        }
        match listener.accept() {
            Ok(_client) if accepted().is_err() => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
}

/// Starts workers, and waits until all of them wait in this call. Returns its name.
fn workers(
    listener: &Arc<TcpListener>,
    call: &str,
    work: impl Fn(usize, &TcpListener) + Clone + Send + 'static,
) -> io::Result<String> {
    let (report, reports) = channel();
    for worker in 0..WORKERS {
        let (listener, report, work) = (Arc::clone(listener), report.clone(), work.clone());
        start(move || {
            let _ = report.send(this_thread());
            work(worker, &listener);
        })?;
    }
    let threads: Vec<i32> = reports.iter().take(WORKERS).collect();
    wait_until(|| threads.iter().all(|&thread| call_of(thread).starts_with(call)));
    let name = call_of(threads[0]);
    let waiting = threads.iter().filter(|&&thread| call_of(thread) == name).count();
    Ok(format!("{waiting} in {name}"))
}
