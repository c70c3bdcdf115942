//! A report for a person.

use std::io;

use super::{heading, one_line, property, summary};
use crate::grade::report::{Fault, Outcome, Report};

/// The most characters of a line, unless one word is longer.
const WIDTH: usize = 100;

/// The most characters of a name beside its result; that of a longer one begins on the next line.
const NAME_WIDTH: usize = 24;

/// The characters before a name: ` ok  `.
const MARK_WIDTH: usize = 5;

/// The characters between the column of the names and the results.
const GAP: usize = 2;

/// The mark of the evidence.
const SEEN: &str = "Seen: ";

pub(super) fn write(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    writeln!(out, "{}", heading(report))?;
    for peculiarity in &report.dialogue {
        writeln!(out, "{}", one_line(peculiarity))?;
    }
    writeln!(out)?;
    let names: Vec<_> = report.points.iter().map(|point| one_line(&point.name)).collect();
    let widths = names.iter().map(|name| name.chars().count());
    let width = widths.filter(|&width| width <= NAME_WIDTH).max().unwrap_or_default();
    let column = MARK_WIDTH + width + GAP;
    for (point, name) in report.points.iter().zip(names) {
        let (mark, text) = match &point.outcome {
            Outcome::Holds(seen) => (
                "ok",
                seen.clone().map(|seen| one_line(&seen)).or_else(|| property(point).map(lowered)),
            ),
            Outcome::Fails(fault) => ("NO", Some(one_line(&fault.seen))),
            Outcome::Skipped(reason) => {
                ("--", Some(format!("does not apply: {}", one_line(reason))))
            }
            Outcome::Untested(reason) => {
                ("??", Some(format!("could not be tested: {}", one_line(reason))))
            }
            Outcome::NotRun(reason) => ("??", Some(format!("was not run: {}", one_line(reason)))),
        };
        let name = format!(" {mark}  {name}");
        write_entry(out, &name, &text.unwrap_or_default(), column)?;
        if let Outcome::Fails(fault) = &point.outcome {
            write_fault(out, fault, column)?;
        }
    }
    writeln!(out, "{}", summary(report))
}

fn write_fault(out: &mut impl io::Write, fault: &Fault, column: usize) -> io::Result<()> {
    let indent = " ".repeat(column);
    write_entry(out, &indent, &one_line(&fault.advice), column)?;
    for (n, line) in fault.evidence.iter().enumerate() {
        let mark = if n == 0 { SEEN } else { "" };
        let first = format!("{indent}{mark}");
        write_entry(out, &first, &one_line(line), column + SEEN.len())?;
    }
    if let Some(line) = explanation(fault) {
        writeln!(out, "{indent}{line}")?;
    }
    Ok(())
}

/// The command that explains a fault, where there is one.
fn explanation(fault: &Fault) -> Option<String> {
    fault.topic.map(|topic| format!("See it happen: socklab show {topic}"))
}

/// A sentence as a part of another: nothing before it ends in a full stop. A name in capitals keeps
/// them.
fn lowered(sentence: &str) -> String {
    let sentence = one_line(sentence);
    match sentence.split_at_checked(1) {
        Some((first, rest)) if rest.starts_with(|next: char| !next.is_uppercase()) => {
            first.to_lowercase() + rest
        }
        _ => sentence,
    }
}

/// Writes `first` and, from `column` on, a text of as many lines as it takes.
fn write_entry(out: &mut impl io::Write, first: &str, text: &str, column: usize) -> io::Result<()> {
    let mut line = format!("{first:column$}");
    // A name that is too long for its column has a line of its own.
    if first.chars().count() > column && !text.is_empty() {
        writeln!(out, "{first}")?;
        line = " ".repeat(column);
    }
    let mut width = column;
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > column && width + 1 + length > WIDTH {
            writeln!(out, "{}", line.trim_end())?;
            line = " ".repeat(column);
            width = column;
        }
        if width > column {
            line.push(' ');
            width += 1;
        }
        line.push_str(word);
        width += length;
    }
    let line = line.trim_end();
    if line.is_empty() { Ok(()) } else { writeln!(out, "{line}") }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{hostile, sample, written};
    use super::*;

    #[test]
    fn a_report_has_a_column_of_names_and_one_of_results() {
        let text = written(&sample(), Format::Text);
        let expected = r#"python3 s.py {port} listens on 127.0.0.1:26500 after 41 ms (backlog 5)
it greets its clients

 ok  four-operators    one client, + - * /
 ok  who-serves        one thread waits in select
 NO  two-in-one        asked "1+1\n2+2\n" in one packet, got only "4\n"
                       One recv can bring more than one message: keep what is behind the newline for
                       the next round.
 NO  slow-reader       nobody else was served for 1.0 s
                       Seen: the only thread stands in sendto
                             5 of 6 sockets block
                       See it happen: socklab show slow-reader
 --  half-close        does not apply: no end of input
 ok  mine.sh: it adds
 ??  reset             could not be tested: see second-after-first
 ??  restart           was not run: the time was over
3 of 7 hold, 1 could not be tested, 1 does not apply, 1 was not run. Run again with: --seed 1972
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn a_property_begins_as_a_part_of_a_sentence() {
        assert_eq!(lowered("A client leaves"), "a client leaves");
        assert_eq!(lowered("NUL bytes do no harm"), "NUL bytes do no harm");
    }

    #[test]
    fn a_name_that_is_too_long_moves_no_column() {
        let mut report = sample();
        report.points[0].name = "x".repeat(NAME_WIDTH + 1);
        let text = written(&report, Format::Text);
        let expected = format!(" ok  {}\n{}one client", report.points[0].name, " ".repeat(23));
        assert!(text.contains(&expected), "{text}");
        assert!(text.contains(" ok  who-serves        one thread"), "{text}");
    }

    #[test]
    fn no_text_has_a_line_that_looks_like_another() {
        let text = written(&hostile(), Format::Text);
        let marks = [" ok  ", " NO  ", " --  ", " ??  "];
        let points = text.lines().filter(|line| marks.iter().any(|mark| line.starts_with(mark)));
        assert_eq!(points.count(), 8, "{text}");
    }
}
