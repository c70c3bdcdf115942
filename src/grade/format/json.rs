//! A report as JSON.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::escape;
use crate::grade::report::{Counts, Outcome, Point, Report};

/// The version of the JSON.
const VERSION: u32 = 2;

/// A report.
#[derive(Serialize)]
struct JsonReport<'r> {
    version: u32,
    command: &'r str,
    address: SocketAddr,
    startup_ms: f64,
    backlog: u32,
    seed: u64,
    dialogue: &'r [String],
    counts: JsonCounts,
    points: Vec<JsonPoint<'r>>,
}

#[derive(Serialize)]
struct JsonCounts {
    holds: usize,
    fails: usize,
    skipped: usize,
    untested: usize,
    not_run: usize,
}

#[derive(Serialize)]
struct JsonPoint<'r> {
    name: &'r str,
    property: &'r str,
    #[serde(flatten)]
    outcome: JsonOutcome<'r>,
}

#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum JsonOutcome<'r> {
    Holds {
        seen: Option<&'r str>,
    },
    Fails {
        seen: &'r str,
        advice: &'r str,
        evidence: &'r [String],
        topic: Option<&'static str>,
        same_cause_as: Option<&'static str>,
    },
    Skipped {
        reason: &'r str,
    },
    Untested {
        reason: &'r str,
    },
    NotRun {
        reason: &'r str,
    },
}

pub(super) fn write(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    let Report { command, address, startup, backlog, dialogue, points, seed } = report;
    let Counts { holds, fails, skipped, untested, not_run } = report.counts();
    let json = JsonReport {
        version: VERSION,
        command,
        address: *address,
        startup_ms: milliseconds(*startup),
        backlog: *backlog,
        seed: *seed,
        dialogue,
        counts: JsonCounts { holds, fails, skipped, untested, not_run },
        points: points.iter().map(json_point).collect(),
    };
    let text = serde_json::to_string_pretty(&json)?;
    writeln!(out, "{}", without_hidden(&text))
}

/// The document with its hidden characters, which stand in its strings only, as escapes.
fn without_hidden(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter == '\n' || !escape::is_hidden(letter) {
            text.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            write!(text, "\\u{unit:04x}").expect("writing to a string cannot fail");
        }
    }
    text
}

/// Milliseconds, to the microsecond.
#[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

fn json_point(point: &Point) -> JsonPoint<'_> {
    let outcome = match &point.outcome {
        Outcome::Holds(seen) => JsonOutcome::Holds { seen: seen.as_deref() },
        Outcome::Fails(fault) => JsonOutcome::Fails {
            seen: &fault.seen,
            advice: &fault.advice,
            evidence: &fault.evidence,
            topic: fault.topic,
            same_cause_as: fault.same_cause_as,
        },
        Outcome::Skipped(reason) => JsonOutcome::Skipped { reason },
        Outcome::Untested(reason) => JsonOutcome::Untested { reason },
        Outcome::NotRun(reason) => JsonOutcome::NotRun { reason },
    };
    JsonPoint { name: &point.name, property: &point.property, outcome }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Format;
    use super::super::tests::{hostile, sample, written};

    #[test]
    fn every_field_is_there() {
        let value: Value = serde_json::from_str(&written(&sample(), Format::Json)).expect("JSON");
        let expected = json!({
            "version": 2,
            "command": "python3 s.py {port}",
            "address": "127.0.0.1:26500",
            "startup_ms": 41.9,
            "backlog": 5,
            "seed": 1972,
            "dialogue": ["it greets its clients"],
            "counts": { "holds": 3, "fails": 2, "skipped": 1, "untested": 1, "not_run": 1 },
            "points": [
                {
                    "name": "four-operators", "property": "one client, + - * /",
                    "outcome": "holds", "seen": null,
                },
                {
                    "name": "who-serves", "property": "the design is told",
                    "outcome": "holds", "seen": "one thread waits in select",
                },
                {
                    "name": "two-in-one", "property": "two questions get two answers",
                    "outcome": "fails",
                    "seen": "asked \"1+1\\n2+2\\n\" in one packet, got only \"4\\n\"",
                    "advice": "One recv can bring more than one message: keep what is behind the \
                        newline for the next round.",
                    "evidence": [], "topic": null, "same_cause_as": null,
                },
                {
                    "name": "slow-reader", "property": "it delays nobody", "outcome": "fails",
                    "seen": "nobody else was served for 1.0 s", "advice": "",
                    "evidence": ["the only thread stands in sendto", "5 of 6 sockets block"],
                    "topic": "slow-reader", "same_cause_as": null,
                },
                {
                    "name": "half-close", "property": "it is answered",
                    "outcome": "skipped", "reason": "no end of input",
                },
                {
                    "name": "mine.sh: it adds", "property": "it adds",
                    "outcome": "holds", "seen": null,
                },
                {
                    "name": "reset", "property": "it does no harm",
                    "outcome": "untested", "reason": "see second-after-first",
                },
                {
                    "name": "restart", "property": "it starts",
                    "outcome": "not_run", "reason": "the time was over",
                },
            ],
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn any_text_can_be_read_back() {
        let report = hostile();
        let text = written(&report, Format::Json);
        let value: Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(value["command"], report.command);
        assert_eq!(value["points"][3]["evidence"][1], report.command);
    }
}
