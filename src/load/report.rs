//! The report of a load, for a person and as JSON for a program.
//!
//! The names in the JSON are those of [`LoadReport`] and of the types in it. Within one `version`
//! ([`VERSION`]) names may be added, but none is removed or changes its meaning.

use std::fmt;

use serde::Serialize;

use super::counts::{Counts, total};
use super::figures::{bytes, counted, time, whole};
use super::parameters::{LoadParameters, Machine};
use super::series::{Percentiles, Row};
use crate::number::grouped;

/// The version of the JSON.
pub const VERSION: u32 = 2;

/// The program and its version.
pub(super) const PROGRAM: &str = concat!("socklab ", env!("CARGO_PKG_VERSION"));

/// The explanation of the two columns of latencies.
const DUE_TIME_NOTE: &str = "\
\"from due time\" is the wait of a user who arrives on schedule; \"from sending\" leaves out the
wait for a slow server to free the connection
";

/// The outcome of a load.
#[derive(Clone, Debug, Serialize)]
pub struct LoadReport {
    /// [`VERSION`].
    pub version: u32,
    /// The program and its version.
    pub program: &'static str,
    /// The time of day at which the load began, in UTC.
    pub time: String,
    /// The machine of the load.
    pub machine: Machine,
    /// The parameters of the load.
    pub load: LoadParameters,
    /// True if a signal ended the load.
    pub interrupted: bool,
    /// The time from the start to the end, or to the last reply if that is later, in seconds.
    pub elapsed_s: f64,
    /// Right replies per second.
    pub per_second: f64,
    /// The time of the last right reply, in seconds from the start.
    pub last_reply_s: Option<f64>,
    /// The same if the server was silent from then on: the load went on, and there were faults.
    pub silent_from_s: Option<f64>,
    /// The part of the time that the busiest thread of the load was busy, from 0 to 1.
    pub busiest_thread: f64,
    /// True if the requests were sent at the rate; none in a closed loop.
    pub kept_rate: Option<bool>,
    /// The first sign that the server is of another kind than the load is for.
    pub hint: Option<String>,
    /// The counters.
    pub counts: Counts,
    /// Latencies in microseconds.
    pub latency_us: LatencyReport,
    /// Descriptions of the first faults.
    pub examples: Vec<String>,
    /// The figures of each interval.
    pub intervals: Vec<Row>,
}

/// Latencies, counted from two times.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LatencyReport {
    /// From the due time of the request; none in a closed loop.
    pub from_due: Option<Percentiles>,
    /// From the time at which the request was sent.
    pub from_sending: Option<Percentiles>,
}

/// The least length of a load of which one can say that the load itself was the limit, in seconds.
const MIN_LENGTH: f64 = 0.1;

/// The part of the time from which on a thread that is busy so long is the limit of its load.
pub const LOAD_BOUND: f64 = 0.95;

impl LoadReport {
    /// True if the load itself was the limit, not the server.
    pub(super) fn is_its_own_limit(&self) -> bool {
        self.busiest_thread > LOAD_BOUND && self.elapsed_s >= MIN_LENGTH && self.counts.answered > 0
    }

    /// The sentence that the server did not keep up with the rate, if it did not.
    pub(super) fn describe_lag(&self) -> Option<String> {
        let rate = self.load.rate.filter(|_| self.kept_rate == Some(false))?;
        let who = if self.is_its_own_limit() { "the load itself" } else { "the server" };
        let rate = grouped(rate);
        let behind = match self.counts.unsent {
            0 => format!("the load took {:.2} s", self.elapsed_s),
            n => format!("{} due could not be sent", counted(n, "request")),
        };
        Some(format!("{who} did not keep up with {rate} requests per second: {behind}"))
    }

    /// The report as JSON, indented.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and strings can always be serialized")
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { asked, answered, reply_bytes, .. } = self.counts;
        writeln!(out, "{}", self.load)?;
        if self.interrupted {
            writeln!(out, "interrupted: the figures cover the time until then")?;
        }
        writeln!(
            out,
            "{} in {:.2} s: {} right replies, {} per second, {} per second",
            counted(asked, "request"),
            self.elapsed_s,
            grouped(answered),
            grouped(whole(self.per_second)),
            bytes(reply_bytes, self.elapsed_s),
        )?;
        self.write_latencies(out)?;
        self.write_open_loop(out)?;
        self.write_faults(out)?;
        self.write_remarks(out)
    }
}

/// A column of [`Percentiles`].
type Pick = fn(&Percentiles) -> Option<f64>;

impl LoadReport {
    fn write_latencies(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LatencyReport { from_due, from_sending } = self.latency_us;
        let Some(sending) = from_sending else { return Ok(()) };
        let rows: [(&str, Pick); 7] = [
            ("mean", |all| Some(all.mean)),
            ("50 %", |all| all.p50),
            ("90 %", |all| all.p90),
            ("99 %", |all| all.p99),
            ("99.9 %", |all| all.p999),
            ("99.99 %", |all| all.p9999),
            ("max", |all| Some(all.max)),
        ];
        match from_due {
            Some(_) => writeln!(out, "\nlatency     from due time  from sending")?,
            None => writeln!(out, "\nlatency")?,
        }
        for (name, pick) in rows {
            // Both columns are of the same replies, so both have a percentile or neither.
            let Some(sending) = pick(&sending).map(time) else { continue };
            match from_due.and_then(|due| pick(&due)).map(time) {
                Some(due) => writeln!(out, "  {name:<9} {due:>13} {sending:>13}")?,
                None => writeln!(out, "  {name:<9} {sending:>11}")?,
            }
        }
        Ok(())
    }

    fn write_open_loop(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.load.rate.is_none() {
            return Ok(());
        }
        let Counts { late, unsent, .. } = self.counts;
        out.write_str(DUE_TIME_NOTE)?;
        writeln!(
            out,
            "\n{} sent more than 1 ms late; {} due but not sent{}",
            counted(late, "request"),
            grouped(unsent),
            if unsent > 0 { ", and not in the latencies" } else { "" }
        )
    }

    fn write_faults(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        if counts.is_clean() {
            let all = counts.answered > 0;
            let text = if all { "all replies verified" } else { "nothing was measured" };
            return writeln!(out, "\n{text}");
        }
        writeln!(out)?;
        write_sum(out, "requests:    ", counts.asked, "sent", &counts.requests())?;
        let connections = counts.connections();
        write_sum(out, "connections: ", total(&connections), "tried", &connections)?;
        if counts.duplicated > 0 {
            writeln!(out, "other lines: {} without a request", grouped(counts.duplicated))?;
        }
        for example in &self.examples {
            writeln!(out, "  {example}")?;
        }
        Ok(())
    }
}

impl LoadReport {
    /// Writes what a reader of the figures must know.
    fn write_remarks(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.silent_from_s {
            writeln!(out, "no right reply came after {at:.2} s")?;
        }
        if let Some(lag) = self.describe_lag() {
            writeln!(out, "{lag}")?;
        }
        if self.is_its_own_limit() {
            let percent = whole(self.busiest_thread * 100.0);
            writeln!(
                out,
                "the load itself was the limit: its thread was busy {percent} % of the time; the \
                 server may be faster (see --threads)"
            )?;
        }
        match &self.hint {
            Some(hint) => writeln!(out, "{hint}"),
            None => Ok(()),
        }
    }
}

/// Writes a sum and its parts: `requests:    10 sent: 7 right, 3 missing`.
fn write_sum(
    out: &mut fmt::Formatter<'_>,
    title: &str,
    sum: u64,
    of: &str,
    parts: &[(u64, &str)],
) -> fmt::Result {
    let parts: Vec<String> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, name)| format!("{} {name}", grouped(*n)))
        .collect();
    write!(out, "{title}{} {of}", grouped(sum))?;
    if parts.is_empty() { writeln!(out) } else { writeln!(out, ": {}", parts.join(", ")) }
}

/// The faults in a sentence: `faulty replies: 3 of 10, and 2 lines without a request`.
pub(super) fn describe_faults(counts: &Counts) -> String {
    let faulty = format!("{} of {}", grouped(counts.faulty()), grouped(counts.asked));
    match (counts.faulty(), counts.duplicated) {
        (_, 0) => format!("faulty replies: {faulty}"),
        (0, n) => format!("{} without a request", counted(n, "line")),
        (_, n) => format!("faulty replies: {faulty}, and {} without a request", counted(n, "line")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_each_sum_are_listed() {
        let counts = Counts {
            asked: 1010,
            answered: 800,
            wrong: 182,
            missing: 28,
            duplicated: 828,
            opened: 10,
            served: 2,
            lost: 8,
            unopened: 4,
            unsent: 990,
            ..Counts::default()
        };
        assert!(counts.add_up(0, 0));
        let load = LoadParameters {
            server: "127.0.0.1:5000".to_owned(),
            service: "calc of sums".to_owned(),
            connections: 4,
            pipeline: 1,
            threads: 1,
            rate: Some(2000),
            reconnect: false,
            size: None,
            bare: false,
            warmup_s: 0.0,
            duration_s: Some(1.0),
            requests: None,
            timeout_s: 5.0,
        };
        let report = LoadReport {
            version: VERSION,
            program: PROGRAM,
            time: String::new(),
            machine: Machine { cores: 1, kernel: String::new() },
            load,
            interrupted: false,
            elapsed_s: 1.0,
            per_second: 800.0,
            last_reply_s: Some(0.5),
            silent_from_s: Some(0.5),
            busiest_thread: 0.96,
            kept_rate: Some(false),
            hint: Some("a hint".to_owned()),
            counts,
            latency_us: LatencyReport { from_due: None, from_sending: None },
            examples: Vec::new(),
            intervals: Vec::new(),
        };
        let text = report.to_string();
        let (_, faults) = text.rsplit_once("\n\n").unwrap();
        assert_eq!(
            faults,
            "requests:    1,010 sent: 800 right, 182 wrong, 28 missing\n\
             connections: 14 tried: 2 served, 8 lost, 4 could not connect\n\
             other lines: 828 without a request\n\
             no right reply came after 0.50 s\n\
             the load itself did not keep up with 2,000 requests per second: 990 requests due \
             could not be sent\n\
             the load itself was the limit: its thread was busy 96 % of the time; the server \
             may be faster (see --threads)\n\
             a hint\n"
        );
        let sentence = "faulty replies: 210 of 1,010, and 828 lines without a request";
        assert_eq!(describe_faults(&counts), sentence);
        let more = Counts { asked: 3, answered: 3, duplicated: 1, ..Counts::default() };
        assert_eq!(describe_faults(&more), "1 line without a request");
    }
}
