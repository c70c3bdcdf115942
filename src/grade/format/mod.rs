//! The formats of a report: for a person, and for the programs that collect results.
//!
//! A report quotes a server, and a teacher's script says in it whatever it likes. So no text of it
//! may end a line, begin a directive or break a document, whatever it contains.

mod json;
mod junit;
mod tap;
mod text;

use std::io;

use super::report::{Counts, Point, Report};
use crate::choice::choices;
use crate::escape;

choices! {
    /// A format of a report.
    pub enum Format {
        /// For a person.
        Text = "text",
        /// Test Anything Protocol, version 13, for prove(1).
        Tap = "tap",
        /// JSON, versioned.
        Json = "json",
        /// The XML of `JUnit`, for CI systems.
        Junit = "junit",
    }
}

/// Writes a report.
pub(super) fn write(report: &Report, format: Format, out: &mut impl io::Write) -> io::Result<()> {
    match format {
        Format::Text => text::write(report, out),
        Format::Tap => tap::write(report, out),
        Format::Json => json::write(report, out),
        Format::Junit => junit::write(report, out),
    }
}

/// A text on one line, without hidden characters.
fn one_line(text: &str) -> String {
    escape::for_failure(text.as_bytes())
}

/// The server and its address.
fn heading(report: &Report) -> String {
    let Report { command, address, startup, backlog, .. } = report;
    let command = one_line(command);
    if address.port() == 0 {
        return format!("{command} does not listen");
    }
    let startup = startup.as_millis();
    format!("{command} listens on {address} after {startup} ms (backlog {backlog})")
}

/// The counts, and the way to the same questions.
fn summary(report: &Report) -> String {
    let counts = report.counts();
    let Counts { holds, skipped, untested, not_run, .. } = counts;
    let untested = match untested {
        0 => String::new(),
        n => format!(", {n} could not be tested"),
    };
    let skipped = match skipped {
        0 => String::new(),
        1 => ", 1 does not apply".to_owned(),
        n => format!(", {n} do not apply"),
    };
    let not_run = match not_run {
        0 => String::new(),
        1 => ", 1 was not run".to_owned(),
        n => format!(", {n} were not run"),
    };
    let concerned = counts.concerned();
    let counts = format!("{holds} of {concerned} hold{untested}{skipped}{not_run}");
    format!("{counts}. Run again with: --seed {}", report.seed)
}

/// The property of a test, if its name does not say it already.
fn property(point: &Point) -> Option<&str> {
    let property = point.property.as_str();
    (!property.is_empty() && !point.name.ends_with(property)).then_some(property)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::report::{Fault, Outcome};
    use super::*;
    use crate::choice::Choice;

    fn point(name: &str, property: &str, outcome: Outcome) -> Point {
        Point { name: name.to_owned(), property: property.to_owned(), outcome }
    }

    /// A report with every kind of outcome.
    pub(super) fn sample() -> Report {
        let two_in_one = Fault::new(
            "asked \"1+1\\n2+2\\n\" in one packet, got only \"4\\n\"",
            "One recv can bring more than one message: keep what is behind the newline for the \
             next round.",
        );
        let slow_reader = Fault::new("nobody else was served for 1.0 s", "")
            .evidence(["the only thread stands in sendto".into(), "5 of 6 sockets block".into()])
            .topic("slow-reader");
        let seen = "one thread waits in select".to_owned();
        Report {
            command: "python3 s.py {port}".to_owned(),
            address: ([127, 0, 0, 1], 26500).into(),
            startup: Duration::from_micros(41_900),
            backlog: 5,
            dialogue: vec!["it greets its clients".to_owned()],
            points: vec![
                point("four-operators", "one client, + - * /", Outcome::Holds(None)),
                point("who-serves", "the design is told", Outcome::Holds(Some(seen))),
                point("two-in-one", "two questions get two answers", Outcome::Fails(two_in_one)),
                point("slow-reader", "it delays nobody", Outcome::Fails(slow_reader)),
                point("half-close", "it is answered", Outcome::Skipped("no end of input".into())),
                point("mine.sh: it adds", "it adds", Outcome::Holds(None)),
                point("reset", "it does no harm", Outcome::untested("see second-after-first")),
                point("restart", "it starts", Outcome::NotRun("the time was over".into())),
            ],
            seed: 1972,
        }
    }

    /// Texts that end lines, directives, elements or documents, or that XML has no way to write.
    const HOSTILE: &str = "a\n\u{0}\u{1b}[2J\u{fffe}\u{ffff}]]></failure><!-- \"&amp' # SKIP\r\n\
        not ok 9 \\# TODO\u{85}\u{2028}Bail out!\n---\n1..0\u{7f}\u{d7ff}\t\u{e000}\\";

    /// A report of which every text is hostile.
    pub(super) fn hostile() -> Report {
        let mut report = sample();
        let text = || HOSTILE.to_owned();
        report.command = text();
        report.dialogue = vec![text()];
        for point in &mut report.points {
            (point.name, point.property) = (text(), text());
            match &mut point.outcome {
                Outcome::Holds(seen) => *seen = Some(text()),
                Outcome::Fails(fault) => {
                    (fault.seen, fault.advice) = (text(), text());
                    fault.evidence = vec![text(), text()];
                }
                Outcome::Skipped(reason) | Outcome::Untested(reason) | Outcome::NotRun(reason) => {
                    *reason = text();
                }
            }
        }
        report
    }

    pub(super) fn written(report: &Report, format: Format) -> String {
        let mut text = Vec::new();
        write(report, format, &mut text).expect("memory can be written to");
        String::from_utf8(text).expect("a report is text")
    }

    #[test]
    fn no_format_writes_a_character_that_a_terminal_obeys() {
        for &format in Format::ALL {
            let text = written(&hostile(), format);
            let obeyed = |letter: char| letter != '\n' && escape::is_hidden(letter);
            let found = text.chars().find(|&letter| obeyed(letter));
            assert_eq!(found, None, "{}", format.name());
            assert!(text.ends_with('\n'), "{}", format.name());
        }
    }

    #[test]
    fn the_summary_counts_the_tests_that_concern_the_server() {
        let mut report = sample();
        let expected = "3 of 7 hold, 1 could not be tested, 1 does not apply, 1 was not run. Run \
                        again with: --seed 1972";
        assert_eq!(summary(&report), expected);
        report.points.clear();
        assert_eq!(summary(&report), "0 of 0 hold. Run again with: --seed 1972");
    }
}
