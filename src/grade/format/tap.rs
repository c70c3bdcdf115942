//! A report in the Test Anything Protocol, version 13, which prove(1) of Debian 12 reads.
//!
//! All that a line does not say in its description stands in comments behind it.

use std::io;

use super::{heading, one_line, property, summary};
use crate::grade::report::{Outcome, Report};

pub(super) fn write(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    writeln!(out, "TAP version 13")?;
    match report.points.len() {
        0 => writeln!(out, "1..0 # SKIP no test was run")?,
        count => writeln!(out, "1..{count}")?,
    }
    comment(out, &heading(report))?;
    for peculiarity in &report.dialogue {
        comment(out, peculiarity)?;
    }
    for (n, point) in (1..).zip(&report.points) {
        let name = description(&point.name);
        match &point.outcome {
            Outcome::Holds(seen) => {
                let property = property(point).map(|text| format!(": {}", description(text)));
                writeln!(out, "ok {n} - {name}{}", property.unwrap_or_default())?;
                if let Some(seen) = seen {
                    comment(out, seen)?;
                }
            }
            Outcome::Fails(fault) => {
                writeln!(out, "not ok {n} - {name}: {}", description(&fault.seen))?;
                for line in [&fault.advice].into_iter().chain(&fault.evidence) {
                    comment(out, line)?;
                }
            }
            Outcome::Skipped(reason) => {
                writeln!(out, "ok {n} - {name} # SKIP {}", description(reason))?;
            }
            // Its cause has a point of its own that is not ok.
            Outcome::Untested(reason) => {
                let reason = description(reason);
                writeln!(out, "ok {n} - {name} # SKIP could not be tested: {reason}")?;
            }
            Outcome::NotRun(reason) => {
                writeln!(out, "not ok {n} - {name}: was not run: {}", description(reason))?;
            }
        }
    }
    comment(out, &summary(report))
}

/// A text without the sign that begins a directive. Readers do not agree on `\#`.
fn description(text: &str) -> String {
    one_line(text).replace('#', "\\x23")
}

fn comment(out: &mut impl io::Write, text: &str) -> io::Result<()> {
    if text.is_empty() { Ok(()) } else { writeln!(out, "# {}", one_line(text)) }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{hostile, sample, written};

    #[test]
    fn each_test_is_a_line_and_the_rest_are_comments() {
        let text = written(&sample(), Format::Tap);
        let expected = r#"TAP version 13
1..8
# python3 s.py {port} listens on 127.0.0.1:26500 after 41 ms (backlog 5)
# it greets its clients
ok 1 - four-operators: one client, + - * /
ok 2 - who-serves: the design is told
# one thread waits in select
not ok 3 - two-in-one: asked "1+1\n2+2\n" in one packet, got only "4\n"
# One recv can bring more than one message: keep what is behind the newline for the next round.
not ok 4 - slow-reader: nobody else was served for 1.0 s
# the only thread stands in sendto
# 5 of 6 sockets block
ok 5 - half-close # SKIP no end of input
ok 6 - mine.sh: it adds
ok 7 - reset # SKIP could not be tested: see second-after-first
not ok 8 - restart: was not run: the time was over
# 3 of 7 hold, 1 could not be tested, 1 does not apply, 1 was not run. Run again with: --seed 1972
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn a_report_without_tests_is_a_plan_that_says_so() {
        let mut report = sample();
        report.points.clear();
        assert!(written(&report, Format::Tap).contains("\n1..0 # SKIP "));
    }

    #[test]
    fn no_text_begins_a_line_or_a_directive() {
        let text = written(&hostile(), Format::Tap);
        let lines: Vec<_> = text.lines().skip(2).filter(|line| !line.starts_with("# ")).collect();
        assert_eq!(lines.len(), 8, "{text}");
        for (n, line) in (1..).zip(lines) {
            let is_point =
                ["ok", "not ok"].iter().any(|it| line.starts_with(&format!("{it} {n} ")));
            let directives = usize::from(n == 5 || n == 7);
            assert!(is_point && line.matches('#').count() == directives, "{line}");
        }
    }
}
