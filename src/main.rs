//! The command `socklab`: parse, log, run, exit code.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use env_logger::WriteStyle;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socklab::background_writer::BackgroundWriter;
use socklab::cli::{Cli, Command};
use socklab::drive::stdio::Stdio;
use socklab::error::{Exit, Failure};
use socklab::explain;
use socklab::{client, compare, escape, grade, lesson, load, model, signal, subject, with};

/// The longest wait at the end for output that nobody reads. It is longer while there is room: on a
/// machine that is overloaded, the thread that writes has had no processor yet.
const FLUSH_PATIENCE: Duration = Duration::from_millis(50);

// A server whose log has no room ends within 0.5 s of a second signal.
const _: () = assert!(model::FORCED_WAITS.as_millis() + FLUSH_PATIENCE.as_millis() < 500);

/// The exit status of a command that has done what it was told.
const SUCCESS: u8 = 0;

/// The log and the messages of this program.
static STDERR: LazyLock<BackgroundWriter> =
    LazyLock::new(|| BackgroundWriter::new("stderr", io::stderr(), || has_room(&io::stderr())));

fn main() -> ExitCode {
    if Stdio::detach_stderr_from_socket().is_err() {
        return ExitCode::from(Exit::Failed as u8);
    }
    panic::set_hook(Box::new(report_panic));
    let code = match Cli::parse_line(env::args_os()) {
        Ok(cli) => {
            start_log(&cli);
            run_guarded(cli.command)
        }
        Err(error) => print_usage(&error),
    };
    STDERR.flush(FLUSH_PATIENCE);
    code
}

fn run_guarded(command: Command) -> ExitCode {
    let run = || {
        // A session has its handlers first.
        if !matches!(command, Command::Session(_)) {
            signal::set_mask(command.is_server())?;
        }
        if command.is_isolated() {
            subject::isolate()?;
        }
        run(command)
    };
    match panic::catch_unwind(run) {
        Ok(Ok(status)) => ExitCode::from(status),
        Err(_) => ExitCode::from(Exit::Failed as u8),
        Ok(Err(failure)) => fail(&failure),
    }
}

/// Prints a usage error, or the help or version text that was asked for.
fn print_usage(error: &clap::Error) -> ExitCode {
    let printed = error.print().and_then(|()| io::stdout().flush());
    if error.use_stderr() {
        return ExitCode::from(Exit::Usage as u8);
    }
    written(printed).map_or_else(|failure| fail(&failure), |()| ExitCode::SUCCESS)
}

fn fail(failure: &Failure) -> ExitCode {
    print_error(&failure.to_string());
    for line in failure.details() {
        print_error(&format!("  {line}"));
    }
    ExitCode::from(failure.exit as u8)
}

/// Runs the command. Returns the exit status of one that has not failed.
fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Serve(args)
        | Command::Server1(args)
        | Command::Server2(args)
        | Command::Server3(args)
        | Command::Server4(args) => model::serve(&args.config(), announce),
        Command::Session(args) => model::stdio_session::serve(&args.config()),
        Command::Client(args) => client::run(&args.config()),
        Command::Play(args) => client::play::run(&args.config()),
        Command::Bench(args) => load::run(&args.config().unwrap_or_else(|error| error.exit())),
        Command::With(args) => return with::run(&args.config()),
        Command::Grade(args) => return grade::run(&args.config()).map(|holds| u8::from(!holds)),
        Command::Show(args) => return lesson::run(&args.config()),
        Command::Compare(args) => {
            let config = args.config().unwrap_or_else(|error| error.exit());
            return compare::run(&config).map(|served| u8::from(!served));
        }
        Command::Supervise(args) => subject::supervisor::supervise(&args.config()),
        Command::Launch(args) => {
            subject::supervisor::launch(&args.config()).map(|never| match never {})
        }
    }
    .map(|()| SUCCESS)
}

/// Writes one line for the user. The text may quote an argument, which may have come from anywhere.
fn print_error(text: &str) {
    let text = escape::for_failure(text.as_bytes());
    STDERR.push(format!("socklab: {text}\n").as_bytes());
}

/// Reports a bug in this program in one line. In a thread that serves a client, a panic ends only
/// that client's connection.
fn report_panic(panic: &PanicHookInfo<'_>) {
    print_error(&format!("internal error: {}", panic.to_string().replace('\n', " ")));
}

/// Writes the one line that a script waits for. The server does not wait for whoever reads it: a
/// thread does, if stdout has no room now.
fn announce(address: SocketAddr) -> Result<(), Failure> {
    let write = move || {
        let mut out = io::stdout().lock();
        writeln!(out, "listening on {address}").and_then(|()| out.flush())
    };
    if has_room(&io::stdout()) {
        return written(write());
    }
    let thread = thread::Builder::new().name("stdout".to_owned()).spawn(write);
    thread.map(drop).map_err(|error| Failure::cannot("start a thread for stdout", &error))
}

/// False if a write to this output would block now.
fn has_room(output: &impl AsFd) -> bool {
    let watched = &mut [PollFd::new(output, PollFlags::OUT)];
    poll(watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
}

/// The failure to write to stdout. None if its reader has left: `socklab --help | head -1`.
fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::cannot("write to standard output", &error))
        }
        _ => Ok(()),
    }
}

fn start_log(cli: &Cli) {
    let level = match cli.command {
        Command::Client(_)
        | Command::Play(_)
        | Command::Bench(_)
        | Command::With(_)
        | Command::Grade(_)
        | Command::Show(_)
        | Command::Compare(_) => "warn",
        _ if cli.command.explains() => "warn",
        _ => "info",
    };
    // An invalid filter makes it write a warning, and panic if stderr takes none.
    let from_env =
        || env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(level));
    let parsed = panic::catch_unwind(from_env).ok();
    // An empty RUST_LOG would let nothing but errors through.
    let is_empty = env::var("RUST_LOG").is_ok_and(|filter| filter.trim().is_empty());
    let mut log = parsed.filter(|_| !is_empty).unwrap_or_else(|| {
        let mut log = env_logger::Builder::new();
        log.parse_filters(level);
        log
    });
    if let Some(level) = cli.log_level() {
        log.filter_level(level);
    }
    log.filter_module(model::COUNTERS, log::LevelFilter::Info);
    // It logs every key.
    log.filter_module("rustyline", log::LevelFilter::Warn);
    if cli.verbose > 0
        || matches!(cli.command, Command::Client(_) | Command::Play(_) | Command::Session(_))
    {
        log.format_timestamp_millis();
    }
    // Not by -v or RUST_LOG.
    log.filter_module(explain::TARGET, log::LevelFilter::Off);
    if cli.command.explains() {
        LazyLock::force(&explain::STARTED_AT);
        log.filter_module(explain::TARGET, log::LevelFilter::Debug);
        log.format(|out, record| writeln!(out, "{}", explain::line(record)));
    }
    let color = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
    log.write_style(if color { WriteStyle::Always } else { WriteStyle::Never });
    log.target(env_logger::Target::Pipe(Box::new(&*STDERR)));
    log.format_target(false).init();
}
