//! The outcome of a comparison.
//!
//! The names in the JSON are those of [`Report`] and of the types in it. Within one `version`
//! ([`VERSION`]) names may be added, but none is removed or changes its meaning.

use std::time::Duration;

use serde::Serialize;

use super::rounds::{Cell, Rounds, Sample, comparisons, contender_at};
use super::statistics::{self, Comparison, Interval, MISS, Verdict, fewest_rounds, median};
use super::{Config, Point, Server};
use crate::load::report::LOAD_BOUND;

/// The version of the JSON.
pub(super) const VERSION: u32 = 1;

/// The outcome of a comparison.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) version: u32,
    /// The workload in a few words.
    pub(super) service: String,
    pub(super) pipeline: usize,
    pub(super) reconnect: bool,
    /// Cores that were used; true if servers and load had their own.
    pub(super) cores: usize,
    pub(super) cores_divided: bool,
    pub(super) contenders: usize,
    /// Whole rounds.
    pub(super) rounds: usize,
    pub(super) interrupted: bool,
    /// The fewest rounds for a verdict.
    pub(super) fewest_rounds: usize,
    pub(super) slice_s: f64,
    pub(super) took_s: f64,
    pub(super) margin: f64,
    pub(super) seed: u64,
    /// Measurements that were repeated because they ran beside other work, and those that did to
    /// the last.
    pub(super) repeated: usize,
    pub(super) disturbed: usize,
    /// The name of the baseline.
    pub(super) baseline: String,
    /// Contenders that were not started by this program.
    pub(super) running: Vec<String>,
    pub(super) points: Vec<PointReport>,
}

/// The outcome at one point.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PointReport {
    #[serde(flatten)]
    pub(super) point: Point,
    /// The baseline, its control, and the others, the best first.
    pub(super) rows: Vec<Row>,
}

/// A figure that a ratio is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Metric {
    /// Replies a second.
    Rate,
    /// Processor time for each reply, where the load was the limit.
    Cpu,
}

/// The outcome of one contender at one point. Figures are medians of the rounds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// The number of the contender, from 0 on.
    pub(super) contender: usize,
    pub(super) control: bool,
    /// The first fault, or the reason why it was not measured.
    pub(super) fault: Option<String>,
    pub(super) left_out: Option<String>,
    pub(super) replies_per_second: Option<f64>,
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
    pub(super) cpu_us_per_reply: Option<f64>,
    pub(super) peak_memory_bytes: Option<f64>,
    pub(super) threads: Option<f64>,
    pub(super) processes: Option<f64>,
    pub(super) switches_per_reply: Option<f64>,
    /// Replies that were checked.
    pub(super) checked: u64,
    /// True if the load was busy all the time.
    pub(super) load_bound: bool,
    pub(super) compared_by: Metric,
    /// The ratio to the baseline, with the interval that holds together with all others.
    pub(super) ratio: Option<Interval>,
    pub(super) verdict: Option<Verdict>,
    pub(super) rounds_needed: Option<u64>,
    /// Intervals of the figures by themselves, at 95 % each, for the picture.
    pub(super) rate_interval: Option<Interval>,
    pub(super) cpu_interval: Option<Interval>,
    pub(super) p99_interval: Option<Interval>,
}

/// The name of a place in the table.
pub(super) fn name_at(config: &Config, place: usize) -> String {
    let name = &config.contenders[contender_at(place)].name;
    if place == 1 { format!("{name} again") } else { name.clone() }
}

impl Report {
    pub(super) fn new(
        config: &Config,
        service: String,
        (cores, cores_divided): (usize, bool),
        rounds: &Rounds,
        took: Duration,
    ) -> Self {
        let contenders = config.contenders.len();
        let comparisons = comparisons(&rounds.cells);
        let running =
            config.contenders.iter().filter(|it| matches!(it.server, Server::Running(..)));
        let point = |(point, cells): (&Point, &Vec<Cell>)| {
            let row = |place| row(config, cells, place, comparisons);
            let mut rows: Vec<_> = (0..cells.len()).map(row).collect();
            rows[2..].sort_by(|a, b| rank(b).total_cmp(&rank(a)));
            PointReport { point: *point, rows }
        };
        Self {
            version: VERSION,
            service,
            pipeline: config.pattern.pipeline,
            reconnect: config.pattern.reconnect,
            cores,
            cores_divided,
            contenders,
            rounds: rounds.count,
            interrupted: rounds.interrupted,
            fewest_rounds: fewest_rounds(comparisons),
            slice_s: config.slice.as_secs_f64(),
            took_s: took.as_secs_f64(),
            margin: config.margin,
            seed: config.seed,
            repeated: rounds.repeated,
            disturbed: rounds.disturbed,
            baseline: name_at(config, 0),
            running: running.map(|it| it.name.clone()).collect(),
            points: config.points.iter().zip(&rounds.cells).map(point).collect(),
        }
    }

    /// The report as JSON, indented.
    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and strings can always be serialized")
    }

    /// The contenders in the order of the command line, as they are named.
    pub(super) fn names(&self) -> Vec<&str> {
        let rows = self.points.first().map_or(&[][..], |point| &point.rows);
        let name = |n| rows.iter().find(|row| row.contender == n && !row.control);
        (0..self.contenders).filter_map(|n| Some(name(n)?.name.as_str())).collect()
    }
}

/// The value by which rows are sorted: the better, the greater.
fn rank(row: &Row) -> f64 {
    match (row.ratio, row.compared_by) {
        (None, _) => f64::NEG_INFINITY,
        (Some(ratio), Metric::Rate) => ratio.median,
        (Some(ratio), Metric::Cpu) => 1.0 / ratio.median,
    }
}

fn row(config: &Config, cells: &[Cell], place: usize, comparisons: usize) -> Row {
    let cell = &cells[place];
    let ranked = cell.fault.is_none() && !cell.samples.is_empty();
    let values = |pick: fn(&Sample) -> Option<f64>| {
        let values: Option<Vec<f64>> = cell.samples.iter().map(pick).collect();
        values.filter(|_| ranked).unwrap_or_default()
    };
    let rate = values(|sample| Some(sample.rate));
    let cpu = values(|sample| sample.cpu_us);
    let p99 = values(|sample| Some(sample.p99_us));
    let (compared_by, comparison) = compare(config, cells, place, comparisons);
    Row {
        name: name_at(config, place),
        contender: contender_at(place),
        control: place == 1,
        fault: cell.fault.clone(),
        left_out: cell.left_out.clone(),
        replies_per_second: median(&rate),
        p50_us: median(&values(|sample| Some(sample.p50_us))),
        p99_us: median(&p99),
        cpu_us_per_reply: median(&cpu),
        peak_memory_bytes: median(&values(|sample| number(sample.memory))),
        threads: median(&values(|sample| number(sample.threads))),
        processes: median(&values(|sample| number(sample.processes))),
        switches_per_reply: median(&values(|sample| sample.switches)),
        checked: cell.samples.iter().map(|sample| sample.checked).sum(),
        load_bound: ranked && is_load_bound(cell),
        compared_by,
        ratio: comparison.map(|it| it.ratio),
        verdict: comparison.map(|it| it.verdict),
        rounds_needed: comparison.and_then(|it| it.rounds_needed),
        rate_interval: statistics::interval(&rate, MISS),
        cpu_interval: statistics::interval(&cpu, MISS),
        p99_interval: statistics::interval(&p99, MISS),
    }
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn number(n: Option<u64>) -> Option<f64> {
    n.map(|n| n as f64)
}

fn is_load_bound(cell: &Cell) -> bool {
    let busy: Vec<_> = cell.samples.iter().map(|sample| sample.load_busy).collect();
    median(&busy).is_some_and(|busy| busy > LOAD_BOUND)
}

/// Compares a place with the baseline: by rate, unless the load was the limit of either.
fn compare(
    config: &Config,
    cells: &[Cell],
    place: usize,
    comparisons: usize,
) -> (Metric, Option<Comparison>) {
    let both = [&cells[place], &cells[0]];
    let metric = if both.into_iter().any(is_load_bound) { Metric::Cpu } else { Metric::Rate };
    if place == 0 || both.iter().any(|cell| cell.fault.is_some()) {
        return (metric, None);
    }
    let values = both.map(|cell| {
        let pick = |sample: &Sample| match metric {
            Metric::Rate => Some(sample.rate),
            Metric::Cpu => sample.cpu_us,
        };
        cell.samples.iter().map(|sample| pick(sample).filter(|&value| value > 0.0)).collect()
    });
    let [Some(values), Some(baseline)] = values else { return (metric, None) };
    let (values, baseline): (Vec<f64>, Vec<f64>) = (values, baseline);
    (metric, statistics::compare(&values, &baseline, config.margin, comparisons))
}
