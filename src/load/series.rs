//! The intervals of a load: a row of figures for each, and the sums of all.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::counts::Counts;
use super::hdr_log::HdrLog;
use super::intervals::{Interval, Intervals, rate};
use super::latencies::Latencies;
use super::recorder::{Recorder, lock};

/// Nanoseconds in a microsecond, the unit in which latencies are reported.
const MICROS: f64 = 1000.0;

/// The replies beyond a percentile that it takes to know it. With fewer it is a matter of chance.
const BEYOND: u64 = 10;

/// The latencies of a part of a load, in microseconds. A percentile is none if fewer than
/// `BEYOND` replies took longer: the 99th needs 1000 replies, the 99.9th 10,000.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the names are enough: p999 is the 99.9th percentile")]
pub struct Percentiles {
    pub min: f64,
    pub mean: f64,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
    pub p999: Option<f64>,
    pub p9999: Option<f64>,
    pub max: f64,
}

impl Percentiles {
    /// The percentiles of a histogram in nanoseconds, unless it is empty.
    #[expect(clippy::cast_precision_loss, reason = "the histogram keeps three digits")]
    pub fn of(latencies: &Histogram<u64>) -> Option<Self> {
        // One reply of `part` is beyond the percentile.
        let at = |part: u64| {
            let quantile = 1.0 - 1.0 / part as f64;
            let micros = latencies.value_at_quantile(quantile) as f64 / MICROS;
            (latencies.len() >= BEYOND * part).then_some(micros)
        };
        (!latencies.is_empty()).then(|| Self {
            min: latencies.min() as f64 / MICROS,
            mean: latencies.mean() / MICROS,
            p50: at(2),
            p90: at(10),
            p99: at(100),
            p999: at(1000),
            p9999: at(10_000),
            max: latencies.max() as f64 / MICROS,
        })
    }
}

/// The figures of one interval. The names are the columns of the CSV file.
///
/// The rows cover a load from its start to its end, intervals without a reply included. The last
/// interval ends with the load, and has also the replies that came after that.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Row {
    /// The end of the interval, in seconds from the start.
    pub time_s: f64,
    /// Right replies in the interval.
    pub answered: u64,
    /// Right replies per second; in the last interval, up to the last of them.
    pub per_second: f64,
    /// Wrong, duplicated, merged, reordered and missing replies since the start.
    pub faults: u64,
    /// The median latency, from the due time if there is one; none if there are too few replies.
    pub p50_us: Option<f64>,
    /// The 90th percentile.
    pub p90_us: Option<f64>,
    /// The 99th percentile.
    pub p99_us: Option<f64>,
    /// The 99.9th percentile.
    pub p999_us: Option<f64>,
    /// The longest latency.
    pub max_us: Option<f64>,
}

/// The intervals of a load so far, and their sums.
pub struct Series {
    /// The figures of each interval, in order of their numbers and without a gap.
    pub rows: Vec<Row>,
    /// The counters of all threads together.
    pub counts: Counts,
    /// The latencies of all threads and intervals.
    pub total: Latencies,
    intervals: Intervals,
    /// The intervals that have no row yet, by their numbers.
    pending: BTreeMap<u32, Interval>,
    /// The faults in the rows.
    faults: u64,
    /// Empty histograms for the recorders. Their memory was used before, so that a thread which
    /// takes them need not wait for new pages.
    spare: Vec<Latencies>,
    /// The log of the intervals, if it was asked for.
    pub(super) hdr: Option<HdrLog>,
}

impl Series {
    /// No interval so far; `hdr` takes the latencies of each.
    pub(super) fn new(hdr: Option<HdrLog>, intervals: Intervals) -> Self {
        Self {
            rows: Vec::new(),
            counts: Counts::default(),
            total: Latencies::new(),
            intervals,
            pending: BTreeMap::new(),
            faults: 0,
            spare: Vec::new(),
            hdr,
        }
    }

    /// Takes the intervals before the current one from the recorders, and adds their rows, but for
    /// one that may be the last of the load: see [`finish`](Self::finish). `end` is the end of the
    /// load, if it is known.
    pub(super) fn collect(
        &mut self,
        recorders: &[Arc<Mutex<Recorder>>],
        now: Instant,
        end: Option<Instant>,
    ) {
        self.take(recorders, Some(now));
        let current = self.intervals.number_at(now);
        let until = if let Some(end) = end {
            current.min(self.last_before(end))
        } else {
            // The load ends with its last reply, and that may be one of those so far.
            let before = self.pending.range(..current).rev();
            let mut numbers = before.filter(|(_, interval)| interval.answered > 0);
            numbers.next().map_or(0, |(number, _)| *number)
        };
        while let Some(interval) = self.pending.first_entry().filter(|next| *next.key() < until) {
            let interval = interval.remove();
            self.add_rows_before(interval.number);
            self.add_whole_row(&interval);
            self.recycle(interval.latencies);
        }
    }

    /// Takes the rest from the recorders, and adds the rows up to `end`, from which on no request
    /// was sent. The last one has also the replies that came after it, until the load had taken
    /// `elapsed`.
    pub(super) fn finish(
        &mut self,
        recorders: &[Arc<Mutex<Recorder>>],
        end: Instant,
        elapsed: Duration,
    ) {
        self.take(recorders, None);
        let last_number = self.last_before(end);
        let mut last: Option<Interval> = None;
        for (number, interval) in mem::take(&mut self.pending) {
            if number < last_number {
                self.add_rows_before(number);
                self.add_whole_row(&interval);
            } else if let Some(last) = &mut last {
                last.add(&interval);
            } else {
                last = Some(interval);
            }
        }
        let start = self.intervals.start();
        if last.is_some() || end > start && self.next_number() <= last_number {
            self.add_rows_before(last_number);
            let begins = self.intervals.before(self.next_number());
            self.add_row(last.as_ref(), end - start, elapsed.saturating_sub(begins));
        }
    }

    /// The number of the last interval that begins before `end`.
    fn last_before(&self, end: Instant) -> u32 {
        self.intervals.number_at(end.checked_sub(Duration::from_nanos(1)).unwrap_or(end))
    }

    /// The number of the interval that gets the next row.
    fn next_number(&self) -> u32 {
        u32::try_from(self.rows.len()).expect("intervals are counted in 32 bits")
    }

    fn take(&mut self, recorders: &[Arc<Mutex<Recorder>>], now: Option<Instant>) {
        self.counts = Counts::default();
        for recorder in recorders {
            let mut spare = Some(self.spare.pop().unwrap_or_else(Latencies::new));
            let taken = {
                let mut recorder = lock(recorder);
                let taken = recorder.take_intervals(now, &mut spare);
                self.counts += recorder.counts;
                taken
            };
            self.spare.extend(spare);
            for interval in taken {
                self.total.add(&interval.latencies);
                if let Some(pending) = self.pending.get_mut(&interval.number) {
                    pending.add(&interval);
                    self.recycle(interval.latencies);
                } else {
                    self.pending.insert(interval.number, interval);
                }
            }
        }
    }

    fn recycle(&mut self, mut latencies: Latencies) {
        latencies.reset();
        self.spare.push(latencies);
    }

    /// Adds the rows of the intervals without a reply before `number`.
    fn add_rows_before(&mut self, number: u32) {
        while self.next_number() < number {
            let end = self.intervals.before(self.next_number() + 1);
            self.add_row(None, end, self.intervals.length());
        }
    }

    fn add_whole_row(&mut self, interval: &Interval) {
        let end = self.intervals.before(interval.number + 1);
        self.add_row(Some(interval), end, self.intervals.length());
    }

    /// Adds the row of an interval that has lasted for `length`.
    fn add_row(&mut self, interval: Option<&Interval>, end: Duration, length: Duration) {
        let begins = self.intervals.before(self.next_number());
        let answered = interval.map_or(0, |interval| interval.answered);
        self.faults += interval.map_or(0, |interval| interval.faults);
        let waited = interval.map(|interval| interval.latencies.waited());
        let percentiles = waited.and_then(Percentiles::of);
        let of = |pick: fn(Percentiles) -> Option<f64>| percentiles.and_then(pick);
        self.rows.push(Row {
            time_s: end.as_secs_f64(),
            answered,
            per_second: rate(answered, length),
            faults: self.faults,
            p50_us: of(|all| all.p50),
            p90_us: of(|all| all.p90),
            p99_us: of(|all| all.p99),
            p999_us: of(|all| all.p999),
            max_us: percentiles.map(|all| all.max),
        });
        if let Some(hdr) = &mut self.hdr {
            match waited {
                Some(waited) => hdr.add(waited, begins, length),
                None => hdr.add(Latencies::new().waited(), begins, length),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A load in virtual time, with intervals of a second.
    struct Load {
        start: Instant,
        recorders: Vec<Arc<Mutex<Recorder>>>,
        series: Series,
    }

    impl Load {
        fn new(threads: usize) -> Self {
            #[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
            let start = Instant::now();
            let intervals = Intervals::new(start, SECOND);
            let recorder = || Arc::new(Mutex::new(Recorder::new(Arc::default(), None, intervals)));
            let recorders = (0..threads).map(|_| recorder()).collect();
            Self { start, recorders, series: Series::new(None, intervals) }
        }

        /// A reply of thread `n` that came `at` seconds after the start and took so many
        /// microseconds.
        fn reply(&self, n: usize, at: f64, micros: u32) {
            let mut recorder = lock(&self.recorders[n]);
            recorder.advance_to(self.start + Duration::from_secs_f64(at));
            recorder.latencies.from_sending.record(u64::from(micros) * 1000).unwrap();
            recorder.counts.answered += 1;
        }

        fn collect(&mut self, at: f64, end: Option<f64>) {
            let time = |at| self.start + Duration::from_secs_f64(at);
            self.series.collect(&self.recorders, time(at), end.map(time));
        }

        /// Ends the load. Returns the times and replies of the rows.
        fn finish(mut self, end: f64, elapsed: f64) -> Vec<(f64, u64)> {
            let [end, elapsed] = [end, elapsed].map(Duration::from_secs_f64);
            self.series.finish(&self.recorders, self.start + end, elapsed);
            self.series.rows.iter().map(|row| (row.time_s, row.answered)).collect()
        }
    }

    #[test]
    fn an_interval_has_only_its_own_latencies() {
        let mut load = Load::new(2);
        load.reply(0, 0.5, 900);
        load.reply(1, 1.5, 20);
        // Collected late, each is still in its own.
        load.collect(2.5, Some(3.0));
        for (row, micros) in load.series.rows.iter().zip([900.0, 20.0]) {
            assert_eq!((row.answered, row.per_second.round()), (1, 1.0));
            assert_eq!((row.p50_us, row.max_us.unwrap().round()), (None, micros));
        }
        assert_eq!(load.series.total.from_sending.max() / 10_000, 90);
        assert_eq!((load.series.counts.answered, load.series.total.from_sending.len()), (2, 2));
        assert_eq!(load.finish(3.0, 3.0), [(1.0, 1), (2.0, 1), (3.0, 0)]);
    }

    #[test]
    fn a_load_of_a_given_time_has_a_row_for_each_interval() {
        let mut load = Load::new(1);
        load.reply(0, 2.5, 1);
        for n in 0..10 {
            load.collect(f64::from(n), Some(5.0));
        }
        assert_eq!(load.finish(5.0, 5.0), [(1.0, 0), (2.0, 0), (3.0, 1), (4.0, 0), (5.0, 0)]);
    }

    #[test]
    fn replies_after_the_end_are_in_the_last_row() {
        let mut load = Load::new(2);
        load.reply(0, 0.5, 1);
        load.reply(1, 1.7, 1);
        load.reply(0, 3.5, 1);
        load.collect(4.0, Some(1.5));
        let series = &load.series;
        assert_eq!(series.rows.len(), 1);
        assert_eq!(load.finish(1.5, 3.5), [(1.0, 1), (1.5, 2)]);
    }

    #[test]
    fn a_load_of_a_number_of_requests_has_no_row_after_the_last_reply() {
        let mut load = Load::new(1);
        load.reply(0, 1.25, 1);
        {
            let mut recorder = lock(&load.recorders[0]);
            recorder.advance_to(load.start + 5 * SECOND);
            recorder.counts.missing += 1;
        }
        for n in 0..10 {
            load.collect(f64::from(n), None);
        }
        assert_eq!(load.finish(1.25, 1.25), [(1.0, 0), (1.25, 1)]);
        assert_eq!(Load::new(1).finish(0.0, 0.0), []);
        assert_eq!(Load::new(1).finish(0.25, 0.25), [(0.25, 0)]);
    }

    #[test]
    fn faults_are_counted_from_the_start() {
        let mut load = Load::new(1);
        load.reply(0, 0.5, 1);
        lock(&load.recorders[0]).counts.wrong += 3;
        load.reply(0, 2.5, 1);
        lock(&load.recorders[0]).counts.missing += 1;
        load.collect(9.0, None);
        load.series.finish(&load.recorders, load.start + 3 * SECOND, 3 * SECOND);
        let faults: Vec<_> = load.series.rows.iter().map(|row| row.faults).collect();
        assert_eq!(faults, [3, 3, 4]);
    }

    #[test]
    fn a_percentile_needs_ten_replies_beyond_it() {
        let known = |replies: u64| {
            let mut latencies = Latencies::new().from_sending;
            latencies.record_n(1000, replies).unwrap();
            let all = Percentiles::of(&latencies).unwrap();
            let known = [all.p50, all.p90, all.p99, all.p999, all.p9999];
            known.iter().filter(|percentile| percentile.is_some()).count()
        };
        let replies = [19, 20, 99, 100, 999, 1000, 9999, 10_000, 99_999, 100_000];
        assert_eq!(replies.map(known), [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]);
    }
}
