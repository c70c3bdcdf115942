//! The command `compare`: which of these servers is faster on this machine, and whether the
//! difference is real.
//!
//! ```text
//!  run ──▶ rounds: each contender once, in an order drawn anew, the baseline twice
//!            │         └─▶ bench: a fresh process, a warm-up, a measured slice of time
//!            ├─ statistics: ratios to the baseline within a round, exact intervals, verdicts
//!            └─ report ──▶ table, JSON, CSV, plot
//! ```
//!
//! The first contender is the baseline. It runs a second time in each round, as the control: a
//! difference between the two is one that this machine makes by itself.

mod bench;
mod contender;
mod csv;
mod machine;
mod order;
mod plot;
mod report;
mod rounds;
mod statistics;
mod svg;
mod table;

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use bench::Bench;
pub use contender::{Contender, ContenderSpec, Server};
use report::Report;
use rounds::{Cell, Rounds};

use crate::error::{Exit, Failure};
use crate::load::figures::counted;
use crate::load::{OutputFile, Pattern, WindowedLoad, all_written, print_report};
use crate::random::Random;

/// The default number of rounds.
pub const DEFAULT_ROUNDS: usize = 12;

/// The most rounds.
pub const MAX_ROUNDS: usize = 1000;

/// The default length of a slice.
pub const DEFAULT_SLICE: Duration = Duration::from_millis(300);

/// The configuration of a comparison.
#[derive(Clone, Debug)]
pub struct Config {
    /// The contenders; the first one is the baseline.
    pub contenders: Vec<Contender>,
    /// The load; its connections are those of the points.
    pub pattern: Pattern,
    /// The points at which all are measured.
    pub points: Vec<Point>,
    /// The number of rounds.
    pub rounds: usize,
    /// The measured time of each contender in a round.
    pub slice: Duration,
    /// Ratios within this of 1 are the same: 0.05 is 5 %.
    pub margin: f64,
    /// The seed of the orders.
    pub seed: u64,
    /// True if the report is printed as JSON.
    pub json: bool,
    /// A file for the measurements, as CSV.
    pub csv: Option<PathBuf>,
    /// A file for the picture, as SVG.
    pub plot: Option<PathBuf>,
}

/// The connections at one point of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Point {
    /// The connections with requests on them.
    pub connections: usize,
    /// The connections beside them that send nothing.
    pub idle: usize,
}

/// Compares the contenders and prints the report. Returns true if all of them served.
pub fn run(config: &Config) -> Result<bool, Failure> {
    let cells = cells(config);
    check(config, &cells)?;
    let connections = config.points.iter().map(|point| point.connections + point.idle).max();
    let load = WindowedLoad::prepare(config.pattern.clone(), connections.unwrap_or_default())?;
    let csv = OutputFile::create(config.csv.as_ref())?;
    let plot = OutputFile::create(config.plot.as_ref())?;
    let began = now();
    let mut bench = Bench::new(config, load)?;
    let mut random = Random::new(config.seed);
    let rounds = rounds::run(&mut bench, cells, config.rounds, &mut random)?;
    let report = report_of(config, &bench, &rounds, now() - began);
    let table = |file: &mut BufWriter<_>| csv::write(config, &rounds, file);
    let picture = |file: &mut BufWriter<_>| file.write_all(plot::draw(&report).as_bytes());
    all_written([
        print_report(&if config.json { report.json() + "\n" } else { table::text(&report) }),
        csv.map_or(Ok(()), |target| target.write(table)),
        plot.map_or(Ok(()), |target| target.write(picture)),
    ])?;
    Ok(rounds.cells.iter().flatten().all(|cell| cell.fault.is_none()))
}

/// Refuses a baseline that cannot be measured, and a number of rounds that cannot bring a verdict.
fn check(config: &Config, cells: &[Vec<Cell>]) -> Result<(), Failure> {
    if let Some(reason) = cells.iter().find_map(|cells| cells[0].left_out.as_ref()) {
        let text = format!("the baseline {reason}");
        return Err(Failure::new(Exit::Usage, text).hint("the first contender is the baseline"));
    }
    let comparisons = rounds::comparisons(cells);
    let fewest = statistics::fewest_rounds(comparisons);
    if config.rounds >= fewest {
        return Ok(());
    }
    let text = format!(
        "{} rounds cannot tell anything: even the range of all their ratios misses the true one \
         too often; {} at 95 % together need at least {fewest} rounds",
        config.rounds,
        counted(comparisons as u64, "comparison"),
    );
    Err(Failure::new(Exit::Usage, text))
}

/// The cells of a comparison before it begins.
fn cells(config: &Config) -> Vec<Vec<Cell>> {
    let places = rounds::places(config.contenders.len());
    let cell = |point: &Point, place| {
        let most = config.contenders[rounds::contender_at(place)].most_clients;
        let clients = point.connections + point.idle;
        let most = most.filter(|&most| clients > most);
        let reason = |most| match most {
            1 => format!("serves one client at a time, not {clients}"),
            most => format!("serves {most} clients at a time, not {clients}"),
        };
        Cell { left_out: most.map(reason), ..Cell::default() }
    };
    let row = |point| (0..places).map(|place| cell(point, place)).collect();
    config.points.iter().map(row).collect()
}

fn report_of(config: &Config, bench: &Bench<'_>, rounds: &Rounds, took: Duration) -> Report {
    Report::new(config, bench.description(), bench.cores(), rounds, took)
}

/// The clock of a comparison.
#[expect(clippy::disallowed_methods, reason = "the edge of a command reads the clock")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
