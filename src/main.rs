//! The command `socklab`: parse, log, run, exit code.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;

use clap::Parser;
use socklab::cli::{Cli, Command, ServeArgs};
use socklab::error::{Exit, Failure};
use socklab::model::Model;
use socklab::service::ServiceKind;
use socklab::{client, load, model};

fn main() -> ExitCode {
    panic::set_hook(Box::new(report_panic));
    let cli = Cli::parse();
    start_log(&cli);
    match panic::catch_unwind(|| run(cli.command)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(Exit::Failed as u8),
        Ok(Err(failure)) => {
            print_error(&failure.to_string());
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) | Command::Server3(args) => {
            serve(args, Model::Loop, ServiceKind::Calc)
        }
        Command::Server1(args) => serve(args, Model::Single, ServiceKind::Calc),
        Command::Server2(args) => serve(args, Model::Thread, ServiceKind::Calc),
        Command::Server4(args) => serve(args, Model::Loop, ServiceKind::Echo),
        Command::Session(args) => model::stdio_session::serve(&args.config()),
        Command::Client(args) => client::run(&args.config()),
        Command::Play(args) => client::play::run(&args.config()),
        Command::Bench(args) => load::run(&args.config().unwrap_or_else(|error| error.exit())),
    }
}

fn serve(args: ServeArgs, model: Model, service: ServiceKind) -> Result<(), Failure> {
    model::serve(&args.config(model, service), announce)
}

/// Prints one line for the user. If stderr is closed, the line is lost.
fn print_error(text: &str) {
    writeln!(io::stderr(), "socklab: {text}").ok();
}

/// Reports a bug in this program in one line. In a thread that serves a client, a panic ends only
/// that client's connection.
fn report_panic(panic: &PanicHookInfo<'_>) {
    print_error(&format!("internal error: {}", panic.to_string().replace('\n', " ")));
}

/// Prints the line that a script waits for before it connects.
fn announce(address: SocketAddr) {
    let mut out = io::stdout().lock();
    // An error means that stdout is closed, so nothing waits for the line.
    writeln!(out, "listening on {address}").and_then(|()| out.flush()).ok();
}

fn start_log(cli: &Cli) {
    let level = match cli.command {
        Command::Client(_) | Command::Play(_) | Command::Bench(_) => "warn",
        _ => "info",
    };
    let default = env_logger::Env::default().default_filter_or(level);
    let mut log = env_logger::Builder::from_env(default);
    if let Some(level) = cli.log_level() {
        log.filter_level(level);
    }
    log.filter_module(model::COUNTERS, log::LevelFilter::Info);
    log.format_target(false).init();
}
