//! The measurements of a comparison as CSV: a row for each contender in each round.

use std::io::{self, Write};

use serde::Serialize;

use super::Config;
use super::report::name_at;
use super::rounds::Rounds;

/// A row. The names are the columns of the file.
#[derive(Serialize)]
struct Row<'a> {
    round: usize,
    connections: usize,
    idle: usize,
    name: &'a str,
    replies_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us_per_reply: Option<f64>,
    peak_memory_bytes: Option<u64>,
    threads: Option<u64>,
    processes: Option<u64>,
    switches_per_reply: Option<f64>,
    load_busy: f64,
    other_work: f64,
}

pub(super) fn write(config: &Config, rounds: &Rounds, file: &mut impl Write) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(file);
    for (point, cells) in config.points.iter().zip(&rounds.cells) {
        for (place, cell) in cells.iter().enumerate() {
            let name = name_at(config, place);
            for (round, sample) in cell.samples.iter().enumerate() {
                table.serialize(Row {
                    round: round + 1,
                    connections: point.connections,
                    idle: point.idle,
                    name: &name,
                    replies_per_second: sample.rate,
                    p50_us: sample.p50_us,
                    p99_us: sample.p99_us,
                    cpu_us_per_reply: sample.cpu_us,
                    peak_memory_bytes: sample.memory,
                    threads: sample.threads,
                    processes: sample.processes,
                    switches_per_reply: sample.switches,
                    load_busy: sample.load_busy,
                    other_work: sample.other_work,
                })?;
            }
        }
    }
    table.flush()
}
