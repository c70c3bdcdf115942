//! The report of a load, for a person and as JSON for a program.
//!
//! The names in the JSON are those of [`LoadReport`] and of the types in it. Within one `version`
//! ([`VERSION`]) names may be added, but none is removed or changes its meaning.

use std::fmt;

use serde::Serialize;

use super::counts::{Counts, total};
use super::series::{Percentiles, Row};
use crate::number::grouped;

/// The version of the JSON.
pub const VERSION: u32 = 1;

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
    /// The parameters of the load.
    pub load: LoadParameters,
    /// True if a signal ended the load.
    pub interrupted: bool,
    /// The time from the start to the end, or to the last reply if that is later, in seconds.
    pub elapsed_s: f64,
    /// Right replies per second.
    pub per_second: f64,
    /// The counters.
    pub counts: Counts,
    /// Latencies in microseconds.
    pub latency_us: LatencyReport,
    /// Descriptions of the first faults.
    pub examples: Vec<String>,
    /// The figures of each interval.
    pub intervals: Vec<Row>,
}

/// The parameters of a load.
#[derive(Clone, Debug, Serialize)]
pub struct LoadParameters {
    /// The server's address.
    pub server: String,
    /// The workload, such as `echo of 16 bytes`.
    pub service: String,
    /// Connections open at the same time.
    pub connections: usize,
    /// The most requests in flight on each connection.
    pub pipeline: usize,
    /// Threads that share the connections.
    pub threads: usize,
    /// Requests due per second; none in a closed loop.
    pub rate: Option<u64>,
    /// True if each request has a connection of its own.
    pub reconnect: bool,
}

/// Latencies, counted from two times.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LatencyReport {
    /// From the due time of the request; none in a closed loop.
    pub from_due: Option<Percentiles>,
    /// From the time at which the request was sent.
    pub from_sending: Option<Percentiles>,
}

impl LoadReport {
    /// The report as JSON, indented.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and strings can always be serialized")
    }
}

impl fmt::Display for LoadParameters {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, service, connections, pipeline, threads, rate, reconnect } = self;
        write!(out, "{service} at {server}: {}", counted(*connections as u64, "connection"))?;
        match (reconnect, pipeline) {
            (true, _) => out.write_str(", a new one for each request")?,
            (false, 1) => out.write_str(", 1 request in flight on each")?,
            (false, n) => write!(out, ", {n} requests in flight on each")?,
        }
        if *threads > 1 {
            write!(out, ", {threads} threads")?;
        }
        match rate {
            Some(rate) => write!(out, ", {} requests due per second", grouped(*rate)),
            None => out.write_str(", closed loop"),
        }
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
        self.write_faults(out)
    }
}

/// A column of [`Percentiles`].
type Pick = fn(&Percentiles) -> f64;

impl LoadReport {
    fn write_latencies(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LatencyReport { from_due, from_sending } = self.latency_us;
        let Some(sending) = from_sending else { return Ok(()) };
        let rows: [(&str, Pick); 7] = [
            ("mean", |all| all.mean),
            ("50 %", |all| all.p50),
            ("90 %", |all| all.p90),
            ("99 %", |all| all.p99),
            ("99.9 %", |all| all.p999),
            ("99.99 %", |all| all.p9999),
            ("max", |all| all.max),
        ];
        match from_due {
            Some(_) => writeln!(out, "\nlatency     from due time  from sending")?,
            None => writeln!(out, "\nlatency")?,
        }
        for (name, pick) in rows {
            match from_due {
                Some(due) => {
                    let (due, sending) = (time(pick(&due)), time(pick(&sending)));
                    writeln!(out, "  {name:<9} {due:>13} {sending:>13}")?;
                }
                None => writeln!(out, "  {name:<9} {:>11}", time(pick(&sending)))?,
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

/// `1 request`, `1,000 requests`.
fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// A rate, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are not negative, and far below the largest integer"
)]
pub fn whole(n: f64) -> u64 {
    n.round() as u64
}

/// A time in microseconds, with three digits and the unit that suits it.
pub fn time(micros: f64) -> String {
    let (value, unit) = match micros {
        n if n < 1000.0 => (n, "us"),
        n if n < 1_000_000.0 => (n / 1000.0, "ms"),
        n => (n / 1_000_000.0, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// A number in three digits, at least the whole ones.
pub fn three_digits(value: f64) -> String {
    match value {
        n if n < 9.995 => format!("{n:.2}"),
        n if n < 99.95 => format!("{n:.1}"),
        n => format!("{n:.0}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn bytes(n: u64, seconds: f64) -> String {
    let rate = if seconds > 0.0 { n as f64 / seconds } else { 0.0 };
    let (value, unit) = match rate {
        n if n < 1e3 => (n, "B"),
        n if n < 1e6 => (n / 1e3, "kB"),
        n if n < 1e9 => (n / 1e6, "MB"),
        n => (n / 1e9, "GB"),
    };
    format!("{} {unit}", three_digits(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_and_three_digits() {
        assert_eq!(
            [0.5, 9.996, 1499.0, 1e6].map(time),
            ["0.50 us", "10.0 us", "1.50 ms", "1.00 s"]
        );
        assert_eq!(bytes(3_000_000, 2.0), "1.50 MB");
        assert_eq!(counted(1, "request"), "1 request");
    }

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
            ..Counts::default()
        };
        assert!(counts.add_up(0, 0));
        let load = LoadParameters {
            server: "127.0.0.1:5000".to_owned(),
            service: "calc of sums".to_owned(),
            connections: 4,
            pipeline: 1,
            threads: 1,
            rate: None,
            reconnect: false,
        };
        let report = LoadReport {
            version: VERSION,
            load,
            interrupted: false,
            elapsed_s: 1.0,
            per_second: 800.0,
            counts,
            latency_us: LatencyReport { from_due: None, from_sending: None },
            examples: Vec::new(),
            intervals: Vec::new(),
        };
        let text = report.to_string();
        let (_, faults) = text.split_once("\n\n").unwrap();
        assert_eq!(
            faults,
            "requests:    1,010 sent: 800 right, 182 wrong, 28 missing\n\
             connections: 14 tried: 2 served, 8 lost, 4 could not connect\n\
             other lines: 828 without a request\n"
        );
        let sentence = "faulty replies: 210 of 1,010, and 828 lines without a request";
        assert_eq!(describe_faults(&counts), sentence);
        let more = Counts { asked: 3, answered: 3, duplicated: 1, ..Counts::default() };
        assert_eq!(describe_faults(&more), "1 line without a request");
    }
}
