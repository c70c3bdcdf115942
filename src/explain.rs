//! The lines of `serve --explain`: one for each system call on a client, as it is made, and one
//! for each decision behind it that no call shows.
//!
//! They are log records of the target [`TARGET`], so they take the log's way to stderr, which never
//! blocks, and cost nothing where the log does not let them through. Each begins with its place
//! (the turn of a loop, a thread, a process) and the time since the start of the server.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::Duration;
use std::{env, process, thread};

use rustix::time::{ClockId, clock_gettime};

/// The log target of these lines. Their level is debug.
pub const TARGET: &str = "explain";

/// The environment variable in which a server that explains tells its children when it started, in
/// nanoseconds of `CLOCK_MONOTONIC`.
pub const START: &str = "SOCKLAB_EXPLAIN_START";

/// The most bytes of data in a line.
pub const SHOWN: usize = 48;

/// The widths of the columns of the place and of the time, in characters.
const WIDTHS: (usize, usize) = (10, 11);

/// The start of the server, on the clock of [`START`].
pub static STARTED_AT: LazyLock<Duration> = LazyLock::new(|| {
    let inherited = env::var(START).ok().and_then(|nanos| nanos.parse().ok());
    inherited.map_or_else(now, Duration::from_nanos)
});

thread_local! {
    /// The number of this thread's loop, if there are several, and its turn. The turns count from
    /// 1; 0 if this thread has no loop.
    static PLACE: Cell<(usize, u64)> = const { Cell::new((0, 0)) };
}

/// True if system calls are explained.
pub fn is_enabled() -> bool {
    log::log_enabled!(target: TARGET, log::Level::Debug)
}

/// True if the server that has started this process explains its system calls.
pub fn is_inherited() -> bool {
    env::var_os(START).is_some()
}

/// Tells what the lines are about, and what is left out.
pub fn begin(has_workers: bool) {
    log::debug!(target: TARGET, "a turn of the loop: wait, serve clients with an event, accept");
    if has_workers {
        log::debug!(target: TARGET, "a client's thread or process (pid) waits in its own calls");
        log::debug!(target: TARGET, "not told: the calls that start threads and processes");
    }
}

/// Gives the loop of this thread a number: it is not the only one.
pub fn number_loop(number: usize) {
    PLACE.with(|place| place.set((number, place.get().1)));
}

/// Begins a turn of this thread's loop.
pub fn begin_turn() {
    PLACE.with(|place| {
        let (number, turn) = place.get();
        place.set((number, turn + 1));
    });
}

/// The words for the limit of a wait.
pub fn limit(wait: Option<Duration>) -> String {
    let Some(wait) = wait else { return String::new() };
    let millis = wait.as_micros().div_ceil(1000);
    let tenths = millis.div_ceil(100);
    match (tenths / 10, tenths % 10) {
        _ if millis < 1000 => format!(", for at most {millis} ms"),
        (seconds, 0) => format!(", for at most {seconds} s"),
        (seconds, tenths) => format!(", for at most {seconds}.{tenths} s"),
    }
}

/// The line of a log record. Records of other targets have their level in front of the text.
pub fn line(record: &log::Record<'_>) -> String {
    let level = if record.target() == TARGET { None } else { Some(record.level()) };
    let level = level.map(|level| format!("{level}: ")).unwrap_or_default();
    let micros = now().saturating_sub(*STARTED_AT).as_micros();
    let time = format!("+{}.{:03}", micros / 1000, micros % 1000);
    let (place_width, time_width) = WIDTHS;
    format!("{:<place_width$}{time:>time_width$} ms  {level}{}", place(), record.args())
}

/// The part of the program that runs in this thread.
fn place() -> String {
    match PLACE.get() {
        (0, 0) => {}
        (0, turn) => return format!("turn {turn}"),
        (number, turn) => return format!("loop {number:<3} turn {turn:<5}"),
    }
    let thread = thread::current();
    match thread.name() {
        Some("main") if is_inherited() => format!("pid {}", process::id()),
        Some("main") => "start".to_owned(),
        // The model thread names a thread after the client that it serves.
        Some(name) => name.replacen("client", "thread", 1),
        None => String::new(),
    }
}

/// The time of a clock that children share.
fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::try_from(time).unwrap_or_default()
}

/// Lines in tests, which have no log.
#[cfg(test)]
pub(crate) mod capture {
    use std::cell::RefCell;

    use super::TARGET;

    thread_local! {
        static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
    }

    struct Capture;

    impl log::Log for Capture {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            LINES.with_borrow(Option::is_some)
        }

        fn log(&self, record: &log::Record<'_>) {
            LINES.with_borrow_mut(|lines| match lines {
                Some(lines) if record.target() == TARGET => lines.push(record.args().to_string()),
                _ => {}
            });
        }

        fn flush(&self) {}
    }

    /// The lines that `run` writes in this thread, without their places and times.
    pub(crate) fn lines(run: impl FnOnce()) -> Vec<String> {
        // Another test may have set it already.
        log::set_logger(&Capture).ok();
        log::set_max_level(log::LevelFilter::Debug);
        LINES.set(Some(Vec::new()));
        run();
        LINES.take().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_its_place_and_the_time() {
        let line = |target| {
            let mut record = log::Record::builder();
            record.target(target).level(log::Level::Info);
            line(&record.args(format_args!("text")).build())
        };
        let in_thread = |name: &str, body: fn()| {
            let named = thread::Builder::new().name(name.to_owned());
            let text = move || {
                body();
                [line(TARGET), line("socklab")].map(|line| {
                    let (place, rest) = line.split_once('+').unwrap();
                    let (time, text) = rest.split_once(" ms  ").unwrap();
                    let (_, decimals) = time.split_once('.').unwrap();
                    assert_eq!(decimals.len(), 3, "{line}");
                    format!("{}: {text}", place.trim_end())
                })
            };
            named.spawn(text).unwrap().join().unwrap()
        };
        assert_eq!(in_thread("main", || {}), ["start: text", "start: INFO: text"]);
        assert_eq!(in_thread("main", begin_turn)[0], "turn 1: text");
        assert_eq!(in_thread("client 3", || {})[0], "thread 3: text");
        assert_eq!(in_thread("worker 2", || {})[0], "worker 2: text");
        let second = || {
            number_loop(2);
            begin_turn();
            begin_turn();
        };
        assert_eq!(in_thread("loop 2", second)[0], "loop 2   turn 2: text");
    }
}
