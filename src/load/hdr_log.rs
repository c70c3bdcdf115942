//! The log of a load's latencies, for the tools of `HdrHistogram`.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;

/// A log of HDR histograms, one for each interval, in the format of the tools
/// `HistogramLogProcessor` and `HistogramLogAnalyzer`. It is kept in memory: an interval takes some
/// hundred bytes.
pub struct HdrLog {
    text: Vec<u8>,
    serializer: V2DeflateSerializer,
}

impl HdrLog {
    /// A log without an interval; `about` describes the load.
    pub(super) fn new(about: &str, start: SystemTime) -> Self {
        let mut log = Self { text: Vec::new(), serializer: V2DeflateSerializer::new() };
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment(about)
            .add_comment("latencies in nanoseconds")
            .with_start_time(start)
            .with_base_time(start)
            .begin_log_with(&mut log.text, &mut log.serializer)
            .expect("writing to memory cannot fail");
        log.text.extend_from_slice(
            b"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\
              \"Interval_Compressed_Histogram\"\n",
        );
        log
    }

    /// Adds an interval that began `from` after the start.
    pub(super) fn add(&mut self, all: &Histogram<u64>, from: Duration, length: Duration) {
        IntervalLogWriterBuilder::new()
            .begin_log_with(&mut self.text, &mut self.serializer)
            .expect("writing to memory cannot fail")
            .write_histogram(all, from, length, None)
            .expect("a histogram with these bounds can be serialized");
    }

    /// The log so far.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }
}
