//! The report of a comparison for a person.

use super::report::{Metric, PointReport, Report, Row};
use super::statistics::Verdict;
use crate::load::figures::{counted, three_digits, time, whole};
use crate::number::grouped;

/// The mark of a ratio that is not one of rates.
const CPU_MARK: &str = "*";

/// The whole report.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    head(report, &mut text);
    for point in &report.points {
        line(&mut text, "");
        if report.points.len() > 1 {
            line(&mut text, &format!("{}:", connections(point)));
        }
        table(report, point, &mut text);
    }
    line(&mut text, "");
    foot(report, &mut text);
    text
}

fn head(report: &Report, text: &mut String) {
    let others = counted(report.contenders as u64, "contender");
    let seconds = three_digits(report.slice_s);
    let took = grouped(whole(report.took_s));
    line(text, &load(report));
    line(
        text,
        &format!(
            "{} rounds, {others} and a control, {seconds} s each, order drawn anew in every round: \
             {took} s",
            report.rounds,
        ),
    );
    if report.interrupted {
        line(text, "interrupted: only whole rounds count");
    }
    if !report.cores_divided {
        let cores = if report.cores == 1 { "the only core" } else { "all cores" };
        line(text, &format!("the servers and the load share {cores}"));
    }
}

/// The service, the connections, and how they are used.
pub(super) fn load(report: &Report) -> String {
    let points = match report.points.as_slice() {
        [one] => connections(one),
        more => format!("{} points", more.len()),
    };
    let usage = match (report.reconnect, report.pipeline) {
        (true, _) => ", a new connection for each request".to_owned(),
        (false, 1) => String::new(),
        (false, n) => format!(", {n} requests in flight on each"),
    };
    format!("{}, {points}{usage}", report.service)
}

fn connections(point: &PointReport) -> String {
    let busy = counted(point.point.connections as u64, "connection");
    match point.point.idle {
        0 => busy,
        idle => format!("{busy} beside {} idle", grouped(idle as u64)),
    }
}

fn table(report: &Report, point: &PointReport, text: &mut String) {
    let name = |place: usize, row: &Row| match place {
        0 => format!("{} (baseline)", row.name),
        _ => row.name.clone(),
    };
    let micros = |value: Option<f64>| value.map_or("-".to_owned(), time);
    let to = format!("to {}", report.baseline);
    let head = ["", "replies/s", &to, "interval", "CPU/reply", "p50", "p99", "memory", "verdict"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for (place, row) in point.rows.iter().enumerate() {
        let rate = match row.replies_per_second {
            Some(_) if row.load_bound => "load-bound".to_owned(),
            Some(rate) => format!("~{}", grouped(significant(rate))),
            None => "-".to_owned(),
        };
        let (ratio, interval) = ratio(row, place);
        lines.push(vec![
            name(place, row),
            rate,
            ratio,
            interval,
            micros(row.cpu_us_per_reply),
            micros(row.p50_us),
            micros(row.p99_us),
            row.peak_memory_bytes.map_or("-".to_owned(), megabytes),
            verdict(report, row),
        ]);
    }
    columns(&lines, text);
    let head = ["", "processes", "threads", "switches/reply", ""];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for (place, row) in point.rows.iter().enumerate().filter(|(_, row)| row.threads.is_some()) {
        let count = |n: Option<f64>| n.map_or("-".to_owned(), |n| grouped(whole(n)));
        let switches = row.switches_per_reply.map_or("-".to_owned(), three_digits);
        let empty = String::new();
        lines.push(vec![
            name(place, row),
            count(row.processes),
            count(row.threads),
            switches,
            empty,
        ]);
    }
    if lines.len() > 1 {
        columns(&lines, text);
    }
}

/// Writes lines of cells in columns: the first and the last to the left, the others to the right.
fn columns(lines: &[Vec<String>], text: &mut String) {
    let columns = lines.first().map_or(0, Vec::len);
    let length = |cell: &String| cell.chars().count();
    let width = |n: usize| lines.iter().map(|cells| length(&cells[n])).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    for cells in lines {
        let place = |(n, cell): (usize, &String)| {
            let width = widths[n];
            if n == 0 || n + 1 == columns {
                format!("{cell:width$}")
            } else {
                format!("{cell:>width$}")
            }
        };
        let cells: Vec<_> = cells.iter().enumerate().map(place).collect();
        line(text, &cells.join("  "));
    }
}

fn ratio(row: &Row, place: usize) -> (String, String) {
    let mark = if row.compared_by == Metric::Cpu { CPU_MARK } else { "" };
    match row.ratio {
        Some(it) => (format!("{:.2}{mark}", it.median), format!("{:.2} .. {:.2}", it.low, it.high)),
        None if place == 0 && row.replies_per_second.is_some() => {
            ("1.00".to_owned(), String::new())
        }
        None => ("-".to_owned(), String::new()),
    }
}

/// The verdict in words.
fn verdict(report: &Report, row: &Row) -> String {
    if let Some(fault) = row.fault.as_ref().or(row.left_out.as_ref()) {
        return fault.clone();
    }
    let (Some(verdict), Some(ratio)) = (row.verdict, row.ratio) else {
        let is_baseline = row.contender == 0 && !row.control;
        return match () {
            () if is_baseline => String::new(),
            () if report.rounds < report.fewest_rounds => {
                format!("no verdict before {} rounds", report.fewest_rounds)
            }
            () => "no verdict".to_owned(),
        };
    };
    let cpu = row.compared_by == Metric::Cpu;
    let margin = percent(report.margin);
    let words = match (verdict, cpu) {
        (Verdict::Same, false) => format!("same within {margin}"),
        (Verdict::Same, true) => format!("same CPU a reply within {margin}"),
        (Verdict::Higher | Verdict::Lower, _) if row.control => "differs from itself".to_owned(),
        (Verdict::Higher, false) => "faster".to_owned(),
        (Verdict::Lower, false) => "slower".to_owned(),
        (Verdict::Higher, true) => "more CPU a reply".to_owned(),
        (Verdict::Lower, true) => "less CPU a reply".to_owned(),
        (Verdict::CannotTell, _) => match row.rounds_needed {
            Some(rounds) => format!("cannot tell; about {} rounds would", grouped(rounds)),
            None => "cannot tell; nor would thousands of rounds".to_owned(),
        },
    };
    if !row.control {
        return words;
    }
    format!("{words}: what this machine can tell today is {}", percent(ratio.width()))
}

fn foot(report: &Report, text: &mut String) {
    let rows = || report.points.iter().flat_map(|point| &point.rows);
    if rows().any(|row| row.compared_by == Metric::Cpu && row.ratio.is_some()) {
        let note =
            "the load was the limit for one of the two, so this is the ratio of CPU time a reply";
        line(text, &format!("{CPU_MARK} {note}"));
    }
    if report.repeated > 0 {
        let (repeated, disturbed) = (report.repeated, report.disturbed);
        let still = match disturbed {
            0 => String::new(),
            n => format!(", and {n} of them did again each time"),
        };
        let slices = counted(repeated as u64, "slice");
        line(text, &format!("{slices} ran beside other work and were run again{still}."));
    }
    if !report.running.is_empty() {
        let names = report.running.join(", ");
        line(text, &format!("Running already, and not started anew for each slice: {names}."));
    }
    let checked: u64 = rows().filter(|row| row.fault.is_none()).map(|row| row.checked).sum();
    let of = if rows().any(|row| row.fault.is_some()) { " of those without a fault" } else { "" };
    let judged = rows().any(|row| row.ratio.is_some());
    let level = " All intervals hold together in 95 of 100 such comparisons.";
    let together = if judged { level } else { "" };
    if checked > 0 {
        line(text, &format!("{} replies{of} checked, all right.{together}", grouped(checked)));
    }
    line(text, &format!("The same orders again: --seed {}", report.seed));
}

fn line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

/// A rate to three digits.
fn significant(rate: f64) -> u64 {
    let unit = 10f64.powf((rate.max(1.0).log10() - 2.0).floor()).max(1.0);
    whole((rate / unit).round() * unit)
}

fn megabytes(bytes: f64) -> String {
    format!("{} MB", three_digits(bytes / 1e6))
}

fn percent(part: f64) -> String {
    let percent = part * 100.0;
    if percent < 1.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_three_digits() {
        assert_eq!([0.0, 7.4, 1234.0, 187_456.0].map(significant), [0, 7, 1230, 187_000]);
        assert_eq!([0.05, 0.004, 0.125].map(percent), ["5 %", "0.4 %", "12 %"]);
    }
}
