//! The rounds of a comparison: who is measured when, and what is measured again.

use crate::compare::order;
use crate::error::Failure;
use crate::random::Random;

/// The part of the processors that other work may take from a measurement.
const MAX_OTHER_WORK: f64 = 0.1;

/// The most times that a measurement beside other work is repeated.
const REPEATS: usize = 2;

/// The measurement of a contender in one round.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// Right replies a second.
    pub(super) rate: f64,
    /// The median latency, in microseconds.
    pub(super) p50_us: f64,
    /// The 99th percentile.
    pub(super) p99_us: f64,
    /// Processor time of the server for each reply, in microseconds.
    pub(super) cpu_us: Option<f64>,
    /// Peak resident memory, in bytes.
    pub(super) memory: Option<u64>,
    /// Threads of the server.
    pub(super) threads: Option<u64>,
    /// Processes of the server.
    pub(super) processes: Option<u64>,
    /// Context switches of the server for each reply.
    pub(super) switches: Option<f64>,
    /// Replies that were checked.
    pub(super) checked: u64,
    /// The part of the time in which the threads of the load were busy.
    pub(super) load_busy: f64,
    /// The part of the processors that other work took.
    pub(super) other_work: f64,
}

/// The outcome of one measurement.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It was measured.
    Measured(Sample),
    /// It did not serve: the first fault.
    Fault(String),
    /// A signal came.
    Interrupted,
}

/// The means to measure contenders: real servers, or formulas in a test.
pub(super) trait Runner {
    /// Measures a contender at a point.
    fn measure(&mut self, contender: usize, point: usize) -> Result<Outcome, Failure>;

    /// Called after each round, with the number of rounds so far.
    fn round_ended(&mut self, _rounds: usize) {}
}

/// The measurements of a place in the table: a contender, or the control, at one point.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    /// One for each round.
    pub(super) samples: Vec<Sample>,
    /// The first fault, after which it was not measured again.
    pub(super) fault: Option<String>,
    /// The reason why it is not measured at all.
    pub(super) left_out: Option<String>,
}

/// The measurements of a comparison.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds {
    /// The whole rounds that were measured.
    pub(super) count: usize,
    /// True if a signal ended it before the last round.
    pub(super) interrupted: bool,
    /// The cells by point and place.
    pub(super) cells: Vec<Vec<Cell>>,
    /// Measurements that were repeated, because they ran beside other work.
    pub(super) repeated: usize,
    /// Those of them that still did at the last time.
    pub(super) disturbed: usize,
}

/// The places of the table: the baseline, its control, and the other contenders.
pub(super) fn places(contenders: usize) -> usize {
    contenders + 1
}

/// The contender at a place: the control is the baseline again.
pub(super) fn contender_at(place: usize) -> usize {
    place.saturating_sub(1)
}

/// The number of cells that are compared with a baseline.
pub(super) fn comparisons(cells: &[Vec<Cell>]) -> usize {
    let others = cells.iter().flat_map(|cells| cells.iter().skip(1));
    others.filter(|cell| cell.left_out.is_none()).count()
}

/// Measures every place at every point in each of `rounds` rounds. `cells` has those that are left
/// out.
pub(super) fn run(
    runner: &mut impl Runner,
    cells: Vec<Vec<Cell>>,
    rounds: usize,
    random: &mut Random,
) -> Result<Rounds, Failure> {
    let places = cells.first().map_or(0, Vec::len);
    let mut orders: Vec<_> =
        (0..cells.len()).map(|_| order::draw(places, rounds, random).into_iter()).collect();
    let mut all = Rounds { cells, ..Rounds::default() };
    for round in 0..rounds {
        for point in order::shuffled(all.cells.len(), random) {
            let order = orders[point].next().expect("there is one for each round");
            if !run_point(runner, &mut all, point, &order)? {
                all.interrupted = true;
                // Whole rounds only.
                for cell in all.cells.iter_mut().flatten() {
                    cell.samples.truncate(round);
                }
                return Ok(all);
            }
        }
        all.count = round + 1;
        runner.round_ended(all.count);
    }
    Ok(all)
}

/// Measures every place at a point. Returns false if a signal came.
fn run_point(
    runner: &mut impl Runner,
    all: &mut Rounds,
    point: usize,
    order: &[usize],
) -> Result<bool, Failure> {
    let mut again = Vec::new();
    for &place in order {
        let cell = &mut all.cells[point][place];
        if cell.fault.is_some() || cell.left_out.is_some() {
            continue;
        }
        match runner.measure(contender_at(place), point)? {
            Outcome::Measured(sample) => {
                if sample.other_work > MAX_OTHER_WORK {
                    again.push(place);
                }
                cell.samples.push(sample);
            }
            Outcome::Fault(text) => cell.fault = Some(text),
            Outcome::Interrupted => return Ok(false),
        }
    }
    all.repeated += again.len();
    for _ in 0..REPEATS {
        let mut still = Vec::new();
        for place in again {
            let cell = &mut all.cells[point][place];
            match runner.measure(contender_at(place), point)? {
                Outcome::Measured(sample) => {
                    let kept = cell.samples.last_mut().expect("it was measured in this round");
                    if sample.other_work < kept.other_work {
                        *kept = sample;
                    }
                    if kept.other_work > MAX_OTHER_WORK {
                        still.push(place);
                    }
                }
                Outcome::Fault(text) => cell.fault = Some(text),
                Outcome::Interrupted => return Ok(false),
            }
        }
        again = still;
    }
    all.disturbed += again.len();
    Ok(true)
}
