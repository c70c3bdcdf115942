//! The intervals of a load: a row of figures for each, and the sums of all.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError};
use serde::Serialize;

use super::counts::Counts;
use super::recorder::{Latencies, Recorder, lock};

/// Nanoseconds in a microsecond, the unit in which latencies are reported.
const MICROS: f64 = 1000.0;

/// The latencies of a part of a load, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the names are enough: p999 is the 99.9th percentile")]
pub struct Percentiles {
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub p9999: f64,
    pub max: f64,
}

impl Percentiles {
    /// The percentiles of a histogram in nanoseconds, unless it is empty.
    #[expect(clippy::cast_precision_loss, reason = "the histogram keeps three digits")]
    pub fn of(latencies: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| latencies.value_at_quantile(quantile) as f64 / MICROS;
        (!latencies.is_empty()).then(|| Self {
            min: latencies.min() as f64 / MICROS,
            mean: latencies.mean() / MICROS,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: latencies.max() as f64 / MICROS,
        })
    }
}

/// The figures of one interval. The names are the columns of the CSV file.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Row {
    /// The end of the interval, in seconds from the start.
    pub time_s: f64,
    /// Right replies in the interval.
    pub answered: u64,
    /// Right replies per second.
    pub per_second: f64,
    /// Wrong, duplicated, merged, reordered and missing replies since the start.
    pub faults: u64,
    /// The median latency, from the due time if there is one; none without a reply.
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
    /// The figures of each interval, in order.
    pub rows: Vec<Row>,
    /// The counters of all threads together.
    pub counts: Counts,
    /// The latencies of all threads and intervals.
    pub total: Latencies,
    /// The latencies of the last interval.
    interval: Latencies,
    /// Empty histograms, which a recorder gets in exchange for its own.
    spare: Latencies,
    hdr: Option<HdrLog>,
    /// The length of every interval but the last.
    interval_length: Duration,
    /// The end of the last interval, counted from the start of the load.
    end: Duration,
}

impl Series {
    /// No interval so far; `hdr` takes the latencies of each.
    pub(super) fn new(hdr: Option<HdrLog>, interval_length: Duration) -> Self {
        Self {
            interval_length,
            rows: Vec::new(),
            counts: Counts::default(),
            total: Latencies::new(),
            interval: Latencies::new(),
            spare: Latencies::new(),
            hdr,
            end: Duration::ZERO,
        }
    }

    /// Ends an interval, `passed` after the start of the load, with what the recorders have got in
    /// it.
    #[expect(clippy::cast_precision_loss, reason = "a rate needs few digits")]
    pub(super) fn close_interval(
        &mut self,
        recorders: &[Arc<Mutex<Recorder>>],
        passed: Duration,
    ) -> io::Result<()> {
        let before = self.counts.answered;
        self.counts = Counts::default();
        self.interval.reset();
        for recorder in recorders {
            {
                let mut recorder = lock(recorder);
                self.counts += recorder.counts;
                // A swap, because the thread waits for this lock.
                std::mem::swap(&mut recorder.latencies, &mut self.spare);
            }
            self.interval.add(&self.spare);
            self.spare.reset();
        }
        self.total.add(&self.interval);
        let length = passed.saturating_sub(self.end);
        let answered = self.counts.answered - before;
        // A load ends a moment after its last whole interval; the rest has nothing in it.
        if length.is_zero() || answered == 0 && length < self.interval_length {
            return Ok(());
        }
        let waited = self.interval.waited();
        let percentiles = Percentiles::of(waited);
        let of = |pick: fn(Percentiles) -> f64| percentiles.map(pick);
        self.rows.push(Row {
            time_s: passed.as_secs_f64(),
            answered,
            per_second: answered as f64 / length.as_secs_f64(),
            faults: self.counts.faults(),
            p50_us: of(|all| all.p50),
            p90_us: of(|all| all.p90),
            p99_us: of(|all| all.p99),
            p999_us: of(|all| all.p999),
            max_us: of(|all| all.max),
        });
        if let Some(hdr) = &mut self.hdr {
            hdr.write(waited, self.end, length)?;
        }
        self.end = passed;
        Ok(())
    }
}

/// Writes the intervals as CSV, with a header.
pub(super) fn write_csv(rows: &[Row], path: &Path) -> io::Result<()> {
    let mut table = csv::Writer::from_path(path)?;
    for row in rows {
        table.serialize(row)?;
    }
    table.flush()
}

/// A log of HDR histograms, one for each interval, in the format of the tools
/// `HistogramLogProcessor` and `HistogramLogAnalyzer`.
pub struct HdrLog {
    file: BufWriter<File>,
    serializer: V2DeflateSerializer,
}

impl HdrLog {
    /// Creates the file and writes its header; `about` describes the load.
    pub(super) fn create(path: &Path, about: &str, start: SystemTime) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        let mut serializer = V2DeflateSerializer::new();
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment(about)
            .add_comment("latencies in nanoseconds")
            .with_start_time(start)
            .with_base_time(start)
            .begin_log_with(&mut file, &mut serializer)?;
        writeln!(
            file,
            "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\
             \"Interval_Compressed_Histogram\""
        )?;
        Ok(Self { file, serializer })
    }

    fn write(&mut self, all: &Histogram<u64>, from: Duration, length: Duration) -> io::Result<()> {
        let mut line = Vec::new();
        IntervalLogWriterBuilder::new()
            .begin_log_with(&mut line, &mut self.serializer)?
            .write_histogram(all, from, length, None)
            .map_err(|error| match error {
                IntervalLogWriterError::IoError(error) => error,
                error @ IntervalLogWriterError::SerializeError(_) => {
                    io::Error::other(error.to_string())
                }
            })?;
        self.file.write_all(&line)?;
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_only_its_own_latencies() {
        let recorder = Arc::new(Mutex::new(Recorder::new(Arc::default(), None)));
        let mut series = Series::new(None, Duration::from_secs(1));
        for (n, micros) in [900u32, 20].into_iter().enumerate() {
            {
                let mut recorder = lock(&recorder);
                recorder.latencies.from_sending.record(u64::from(micros) * 1000).unwrap();
                recorder.counts.answered += 1;
            }
            let passed = Duration::from_secs(n as u64 + 1);
            series.close_interval(&[Arc::clone(&recorder)], passed).unwrap();
            let row = series.rows[n];
            assert_eq!((row.answered, row.per_second.round()), (1, 1.0));
            let [p50, max] = [row.p50_us, row.max_us].map(|time| time.unwrap().round());
            assert_eq!((p50, max), (f64::from(micros), f64::from(micros)));
        }
        assert_eq!(series.total.from_sending.max() / 10_000, 90);
        assert_eq!((series.counts.answered, series.total.from_sending.len()), (2, 2));
    }
}
