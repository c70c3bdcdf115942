//! Comparisons by a runner whose servers are formulas.

use std::time::Duration;

use super::report::Report;
use super::rounds::{Cell, Outcome, Rounds, Runner, Sample, places, run};
use super::statistics::{Comparison, Verdict, compare};
use super::{Config, Contender, DEFAULT_SLICE, Point, Server, plot, table};
use crate::error::Failure;
use crate::load::{Pattern, WorkloadSpec};
use crate::random::Random;

/// The time of a request, in nanoseconds.
const REQUEST: f64 = 5000.0;

/// Servers that take a given time for each request.
struct Formula {
    random: Random,
    /// The time that each contender takes more than the baseline, in nanoseconds.
    handicaps: Vec<f64>,
    /// The part by which every measurement is slower than the one before.
    drift: f64,
    /// The noise of a measurement, as a part of it.
    noise: f64,
    measured: u32,
    /// The contender that fails, and the measurement in which it does.
    fails: Option<(usize, u32)>,
    /// The measurement after which a signal comes.
    signal_after: Option<u32>,
    /// Measurements that run beside other work.
    disturbed: Vec<u32>,
}

impl Formula {
    fn new(seed: u64, handicaps: &[f64]) -> Self {
        Self {
            random: Random::new(seed),
            handicaps: handicaps.to_vec(),
            drift: 0.0,
            noise: 0.05,
            measured: 0,
            fails: None,
            signal_after: None,
            disturbed: Vec::new(),
        }
    }

    /// A number from -1 to 1, more often near 0; now and then far outside, as on a real machine.
    fn noise(&mut self) -> f64 {
        let mut uniform = || f64::from(self.random.below(2001)) / 1000.0 - 1.0;
        let triangle = f64::midpoint(uniform(), uniform());
        if self.random.below(20) == 0 { triangle - 4.0 } else { triangle }
    }

    fn run(&mut self, rounds: usize, seed: u64) -> Rounds {
        let cells = vec![vec![Cell::default(); places(self.handicaps.len())]];
        run(self, cells, rounds, &mut Random::new(seed)).unwrap()
    }
}

impl Runner for Formula {
    fn measure(&mut self, contender: usize, _: usize) -> Result<Outcome, Failure> {
        self.measured += 1;
        if self.signal_after.is_some_and(|after| self.measured > after) {
            return Ok(Outcome::Interrupted);
        }
        if self.fails.is_some_and(|(who, when)| contender == who && self.measured >= when) {
            return Ok(Outcome::Fault("wrong".to_owned()));
        }
        let time = REQUEST + self.handicaps[contender];
        let slower = 1.0 + self.drift * f64::from(self.measured);
        let noise = 1.0 + self.noise * self.noise();
        let other_work = if self.disturbed.contains(&self.measured) { 0.5 } else { 0.01 };
        let rate = 1e9 / (time * slower) * noise;
        Ok(Outcome::Measured(Sample { rate, other_work, ..Sample::default() }))
    }
}

fn rates(rounds: &Rounds, place: usize) -> Vec<f64> {
    rounds.cells[0][place].samples.iter().map(|sample| sample.rate).collect()
}

/// The comparisons of all places with the baseline.
fn judge(rounds: &Rounds) -> Vec<Comparison> {
    let count = rounds.cells[0].len() - 1;
    let baseline = rates(rounds, 0);
    let judge = |place| compare(&rates(rounds, place), &baseline, 0.05, count).unwrap();
    (1..=count).map(judge).collect()
}

fn differs(comparison: &Comparison) -> bool {
    matches!(comparison.verdict, Verdict::Higher | Verdict::Lower)
}

#[test]
fn equal_servers_are_told_apart_in_at_most_one_of_twenty_comparisons() {
    for handicaps in [&[0.0][..], &[0.0, 0.0, 0.0]] {
        let wrong = (0..200).filter(|&seed| {
            // Nothing counts as the same, so that every false difference is seen.
            let rounds = Formula::new(seed, handicaps).run(12, seed);
            let baseline = rates(&rounds, 0);
            (1..=handicaps.len()).any(|place| {
                let values = rates(&rounds, place);
                differs(&compare(&values, &baseline, 0.0, handicaps.len()).unwrap())
            })
        });
        let wrong = wrong.count();
        assert!(wrong <= 10, "{wrong} of 200 with {} comparisons", handicaps.len());
    }
}

#[test]
fn a_planted_handicap_is_found_with_its_ratio() {
    for handicap in [1000.0, 2500.0, -1000.0] {
        let ratio = REQUEST / (REQUEST + handicap);
        let (mut found, mut held) = (0, 0);
        for seed in 0..100 {
            let comparison = judge(&Formula::new(seed, &[0.0, handicap]).run(12, seed))[1];
            let expected = if handicap > 0.0 { Verdict::Lower } else { Verdict::Higher };
            found += u32::from(comparison.verdict == expected);
            let interval = comparison.ratio.low..=comparison.ratio.high;
            held += u32::from(interval.contains(&ratio));
        }
        assert!(found >= 95, "{handicap}: {found}");
        assert!(held >= 95, "{handicap}: {held}");
    }
}

#[test]
fn a_machine_that_slows_down_favours_none() {
    let mut wrong = 0;
    for seed in 0..200 {
        // At the end everything takes 2.2 times as long as at the beginning.
        let mut machine = Formula { drift: 0.025, noise: 0.02, ..Formula::new(seed, &[0.0; 3]) };
        let comparisons = judge(&machine.run(12, seed));
        wrong += u32::from(comparisons.iter().any(differs));
    }
    assert!(wrong <= 10, "{wrong} of 200");
}

#[test]
fn a_contender_that_fails_stays_and_is_not_measured_again() {
    let mut machine = Formula { fails: Some((1, 10)), ..Formula::new(1, &[0.0, 0.0]) };
    let rounds = machine.run(12, 1);
    let cells = &rounds.cells[0];
    assert_eq!(cells[2].fault.as_deref(), Some("wrong"));
    assert!(cells[2].samples.len() < 12);
    assert_eq!([cells[0].samples.len(), cells[1].samples.len()], [12, 12]);
}

#[test]
fn a_signal_leaves_whole_rounds() {
    let mut machine = Formula { signal_after: Some(23), ..Formula::new(1, &[0.0, 0.0, 0.0]) };
    let rounds = machine.run(12, 1);
    assert!(rounds.interrupted);
    assert_eq!(rounds.count, 5);
    assert!(rounds.cells[0].iter().all(|cell| cell.samples.len() == 5));
}

#[test]
fn a_slice_beside_other_work_is_run_again() {
    // The second and its first repetition; the tenth and both of its repetitions.
    let disturbed = vec![2, 4, 10, 12, 13];
    let mut machine = Formula { disturbed, ..Formula::new(1, &[0.0, 0.0]) };
    let rounds = machine.run(6, 1);
    assert_eq!((rounds.repeated, rounds.disturbed), (2, 1));
    assert_eq!(machine.measured, 6 * 3 + 4);
    let samples = || rounds.cells[0].iter().flat_map(|cell| &cell.samples);
    assert_eq!(samples().count(), 6 * 3);
    assert_eq!(samples().filter(|sample| sample.other_work > 0.1).count(), 1);
}

/// A comparison of contenders with these names at one point.
fn config(names: &[&str]) -> Config {
    let contender = |name: &&str| Contender {
        name: (*name).to_owned(),
        server: Server::Running("127.0.0.1".to_owned(), 1),
        most_clients: None,
    };
    Config {
        contenders: names.iter().map(contender).collect(),
        pattern: Pattern {
            connections: 50,
            pipeline: 1,
            threads: 1,
            reconnect: false,
            timeout: Duration::from_secs(5),
            workload: WorkloadSpec::Echo(16),
            bare: false,
        },
        points: vec![Point { connections: 50, idle: 0 }],
        rounds: 12,
        slice: DEFAULT_SLICE,
        margin: 0.05,
        seed: 1,
        json: false,
        csv: None,
        plot: None,
    }
}

fn report(names: &[&str], cells: Vec<Cell>) -> Report {
    let rounds = Rounds { count: 12, cells: vec![cells], ..Rounds::default() };
    let took = Duration::from_secs(41);
    Report::new(&config(names), "echo of 16 bytes".to_owned(), (2, true), &rounds, took)
}

/// A cell of twelve equal rounds.
fn cell(rate: f64, cpu_us: f64, load_busy: f64) -> Cell {
    let sample = Sample {
        rate,
        cpu_us: Some(cpu_us),
        load_busy,
        checked: 1000,
        p50_us: 250.0,
        p99_us: 400.0,
        ..Sample::default()
    };
    Cell { samples: vec![sample; 12], ..Cell::default() }
}

#[test]
fn the_table_has_a_verdict_for_each_and_the_fault_of_those_that_failed() {
    let fault = Cell { fault: Some("faulty replies: 1 of 9".to_owned()), ..Cell::default() };
    let reason = "serves one client at a time, not 50".to_owned();
    let left_out = Cell { left_out: Some(reason), ..Cell::default() };
    let loop_cell = || cell(187_456.0, 2.6, 0.6);
    let cells = vec![loop_cell(), loop_cell(), cell(131_870.0, 5.1, 0.5), fault, left_out];
    let report = report(&["loop", "thread", "py", "single"], cells);
    assert_eq!(
        table::text(&report),
        "\
echo of 16 bytes, 50 connections
12 rounds, 4 contenders and a control, 0.30 s each, order drawn anew in every round: 41 s

                 replies/s  to loop      interval  CPU/reply     p50     p99  memory  verdict
loop (baseline)   ~187,000     1.00                  2.60 us  250 us  400 us       -
loop again        ~187,000     1.00  1.00 .. 1.00    2.60 us  250 us  400 us       -  same within \
         5 %: what this machine can tell today is 0.0 %
thread            ~132,000     0.70  0.70 .. 0.70    5.10 us  250 us  400 us       -  slower
py                       -        -                        -       -       -       -  faulty \
         replies: 1 of 9
single                   -        -                        -       -       -       -  serves one \
         client at a time, not 50

Running already, and not started anew for each slice: loop, thread, py, single.
36,000 replies of those without a fault checked, all right. All intervals hold together in 95 of \
         100 such comparisons.
The same orders again: --seed 1
"
    );
    let picture = plot::draw(&report);
    assert!(picture.contains(">thread</text>") && !picture.contains(">py</text>"), "{picture}");
    assert!(picture.contains("ratio to loop of replies a second (more is better)<"), "{picture}");
}

#[test]
fn of_servers_that_all_failed_no_reply_is_called_right() {
    let failed = |reason: &str| Cell { fault: Some(reason.to_owned()), ..Cell::default() };
    let cells = vec![failed("it ended"), failed("it ended"), failed("it is silent")];
    let text = table::text(&report(&["loop", "thread"], cells));
    assert!(text.contains("it is silent") && !text.contains("all right"), "{text}");
}

#[test]
fn where_the_load_is_the_limit_only_cpu_time_is_compared() {
    let cells = vec![cell(100.0, 2.0, 0.99), cell(100.0, 2.0, 0.99), cell(100.0, 4.0, 0.5)];
    let report = report(&["loop", "thread"], cells);
    let text = table::text(&report);
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("loop (baseline)").contains("load-bound"), "{text}");
    assert!(line("loop again").contains("same CPU a reply within 5 %"), "{text}");
    let thread = line("thread ");
    assert!(thread.contains("2.00*") && thread.ends_with("more CPU a reply"), "{text}");
    assert!(text.contains("\n* the load was the limit for one of the two, so"), "{text}");
    let picture = plot::draw(&report);
    assert!(picture.contains("ratio to loop of CPU a reply (less is better)<"), "{picture}");
}
