//! The picture of a load: throughput and latencies over time, and latency by percentile.
//!
//! The axes of latencies and of percentiles are logarithmic. Each step to the right on the axis of
//! percentiles leaves out nine tenths of the replies; on a linear axis the slowest of a million
//! replies would be the last pixel.

use std::io;

use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::prelude::*;

use self::axis::Axis;
use self::palette::{
    Colour, DUE, FAULT, GRID, INK, MAX, P50, P90, P99, PAPER, RATE, SENDING, SILENCE, style_sheet,
};
use super::figures::{counted, whole};
use super::latencies::Latencies;
use super::report::LoadReport;
use super::series::Row;
use crate::number::grouped;

mod axis;
mod palette;

/// The width and height of the picture, and the height of its head, in pixels.
const SIZE: (u32, u32) = (1000, 1060);
const HEAD: u32 = 100;

/// The width of the legend beside a panel, in pixels.
const LEGEND: u32 = 210;

/// The most letters of a line in the head.
const HEAD_LETTERS: usize = 135;

/// The last percentile of the axis, as a number of nines: 6 is 99.9999 %.
const NINES: u32 = 6;

/// The part of a panel's height that marks of faults take, at its top.
const FAULT_STRIP: f64 = 0.04;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A line of a chart, in one or several pieces.
struct Line {
    name: &'static str,
    colour: Colour,
    pieces: Vec<Vec<(f64, f64)>>,
}

/// A panel: its title, the meanings of its axes, and its lines.
struct Panel<'t> {
    title: &'t str,
    axes: [(&'t str, Axis); 2],
    lines: Vec<Line>,
    /// The marks of time, if one of the axes is time.
    marks: Option<&'t Marks>,
}

/// The marks of a load on the axis of time.
struct Marks {
    /// The intervals without a right reply, and those with faults.
    silent: Vec<(f64, f64)>,
    faulty: Vec<(f64, f64)>,
    faults: u64,
    /// The time of the last right reply, if the server was silent after it.
    silent_from: Option<f64>,
}

impl Marks {
    fn of(report: &LoadReport) -> Self {
        let rows = &report.intervals;
        let begins = [0.0].into_iter().chain(rows.iter().map(|row| row.time_s));
        let before = [0].into_iter().chain(rows.iter().map(|row| row.faults));
        let (mut silent, mut faulty) = (Vec::new(), Vec::new());
        for ((row, begin), earlier) in rows.iter().zip(begins).zip(before) {
            if row.answered == 0 {
                silent.push((begin, row.time_s));
            }
            if row.faults > earlier {
                faulty.push((begin, row.time_s));
            }
        }
        Self { silent, faulty, faults: report.counts.faults(), silent_from: report.silent_from_s }
    }
}

/// Draws the picture and writes it to `file`.
pub(super) fn write(
    report: &LoadReport,
    latencies: &Latencies,
    file: &mut impl io::Write,
) -> io::Result<()> {
    let mut picture = String::new();
    draw(report, latencies, &mut picture).map_err(|error| io::Error::other(error.to_string()))?;
    // A reader that does not show pictures reads the title, and so does one that lists tabs.
    let title = format!("{} replies per second: {}", rate_of(report), report.load);
    let title = xml_escaped(&title);
    let (start, rest) = picture.split_once('>').unwrap_or((&picture, ""));
    write!(file, "{start} role=\"img\">\n<title>{title}</title>\n{}{rest}", style_sheet())
}

/// The text as it stands in an element of XML, without control characters, which cannot.
pub fn xml_escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.chars().filter(|letter| !letter.is_control()).collect()
}

fn rate_of(report: &LoadReport) -> String {
    grouped(whole(report.per_second))
}

fn draw(report: &LoadReport, latencies: &Latencies, picture: &mut String) -> Drawn {
    let root = SVGBackend::with_string(picture, SIZE).into_drawing_area();
    root.fill(&PAPER.light)?;
    let (head, rest) = root.split_vertically(HEAD);
    draw_head(&head, report)?;
    let panels = rest.split_evenly((3, 1));
    let marks = Marks::of(report);
    let rows = &report.intervals;
    let until = rows.last().map_or(1.0, |row| row.time_s);
    throughput(rows, until, &marks).draw(&panels[0])?;
    over_time(rows, until, &marks).draw(&panels[1])?;
    by_percentile(latencies).draw(&panels[2])?;
    root.present()?;
    Ok(())
}

fn draw_head(head: &Area<'_>, report: &LoadReport) -> Drawn {
    let font = |size| ("sans-serif", size).into_font().color(&INK.light);
    let rate = rate_of(report);
    head.draw(&Text::new(format!("{rate} right replies per second"), (20, 12), font(20)))?;
    let mut lines = vec![String::new()];
    for part in report.load.to_string().split_inclusive(", ") {
        if lines[lines.len() - 1].len() + part.len() > HEAD_LETTERS {
            lines.push(String::new());
        }
        lines.last_mut().expect("there is a line").push_str(part);
    }
    let machine = &report.machine;
    lines.truncate(2);
    let cores = counted(machine.cores as u64, "core");
    lines.push(format!("{}, {}, {cores}, {}", report.time, report.program, machine.kernel));
    for (line, y) in lines.into_iter().zip((40..).step_by(19)) {
        head.draw(&Text::new(line, (20, y), font(13)))?;
    }
    Ok(())
}

fn throughput<'t>(rows: &[Row], until: f64, marks: &'t Marks) -> Panel<'t> {
    let most = rows.iter().map(|row| row.per_second).fold(1.0, f64::max);
    let lines = vec![steps(rows, "right replies", RATE, |row| Some(row.per_second))];
    let axes = [("time", Axis::times(until)), ("replies per second", Axis::rates(most * 1.15))];
    Panel { title: "throughput", axes, lines, marks: Some(marks) }
}

fn over_time<'t>(rows: &[Row], until: f64, marks: &'t Marks) -> Panel<'t> {
    let lines = vec![
        steps(rows, "max", MAX, |row| row.max_us.map(log)),
        steps(rows, "99 %", P99, |row| row.p99_us.map(log)),
        steps(rows, "90 %", P90, |row| row.p90_us.map(log)),
        steps(rows, "50 %", P50, |row| row.p50_us.map(log)),
    ];
    let axes = [("time", Axis::times(until)), ("latency", decades(&lines))];
    Panel { title: "latency over time", axes, lines, marks: Some(marks) }
}

/// A line with a step for each interval, and a gap where there is no value.
fn steps(rows: &[Row], name: &'static str, colour: Colour, pick: fn(&Row) -> Option<f64>) -> Line {
    let mut pieces = vec![Vec::new()];
    let mut begin = 0.0;
    for row in rows {
        match (pick(row), pieces.last_mut()) {
            (Some(value), Some(piece)) => piece.extend([(begin, value), (row.time_s, value)]),
            _ => pieces.push(Vec::new()),
        }
        begin = row.time_s;
    }
    Line { name, colour, pieces }
}

fn by_percentile(latencies: &Latencies) -> Panel<'static> {
    // Beyond the last ten replies there is nothing to draw.
    let replies = latencies.from_sending.len();
    let nines = replies.max(1).ilog10().saturating_sub(1).clamp(1, NINES);
    let line = |name, colour, histogram: &hdrhistogram::Histogram<u64>| {
        let steps = (0..=100 * nines).map(|n| f64::from(n) / 100.0);
        let points = steps.map(|nines| {
            let quantile = 1.0 - 10f64.powf(-nines);
            #[expect(clippy::cast_precision_loss, reason = "the histogram keeps three digits")]
            let micros = histogram.value_at_quantile(quantile) as f64 / 1000.0;
            (nines, log(micros))
        });
        Line { name, colour, pieces: vec![points.collect()] }
    };
    let mut lines = Vec::new();
    if !latencies.from_due.is_empty() {
        lines.push(line("from due time", DUE, &latencies.from_due));
    }
    if replies > 0 {
        lines.push(line("from sending", SENDING, &latencies.from_sending));
    }
    let axes = [
        ("part of the replies that took at most so long", Axis::nines(nines.cast_signed())),
        ("latency", decades(&lines)),
    ];
    Panel { title: "latency by percentile", axes, lines, marks: None }
}

fn decades(lines: &[Line]) -> Axis {
    let values = lines.iter().flat_map(|line| line.pieces.iter().flatten());
    Axis::decades(&values.map(|at| at.1).collect::<Vec<_>>())
}

impl Panel<'_> {
    fn draw(self, area: &Area<'_>) -> Drawn {
        let Self { title, axes: [(x_name, x), (y_name, y)], lines, marks } = self;
        let top = y.end();
        let font = |size| ("sans-serif", size).into_font().color(&INK.light);
        let mut chart = ChartBuilder::on(area)
            .caption(title, font(16))
            .margin(12)
            .margin_right(LEGEND)
            .x_label_area_size(44)
            .y_label_area_size(92)
            .build_cartesian_2d(x, y)?;
        if let Some(marks) = marks {
            draw_silence(&mut chart, marks)?;
        }
        chart
            .configure_mesh()
            .x_desc(x_name)
            .y_desc(y_name)
            .label_style(font(13))
            .axis_desc_style(font(13))
            .axis_style(INK.light)
            .bold_line_style(GRID.light)
            .light_line_style(TRANSPARENT)
            .draw()?;
        for line in &lines {
            let style = line.colour.light.stroke_width(2);
            for piece in &line.pieces {
                chart.draw_series(LineSeries::new(piece.iter().copied(), style))?;
            }
        }
        if let Some(marks) = marks {
            draw_marks(&mut chart, marks, top)?;
        }
        draw_legend(area, &lines, marks)
    }
}

/// Draws the intervals without a reply, behind everything else.
fn draw_silence(chart: &mut Chart<'_, '_>, marks: &Marks) -> Drawn {
    let range = chart.y_range();
    let bands = marks.silent.iter();
    let bands = bands.map(|(from, to)| [(*from, range.start), (*to, range.end)]);
    chart.draw_series(bands.map(|corners| Rectangle::new(corners, SILENCE.light.filled())))?;
    Ok(())
}

/// Draws the faults at the top, and the time of the last reply.
fn draw_marks(chart: &mut Chart<'_, '_>, marks: &Marks, top: f64) -> Drawn {
    let range = chart.y_range();
    let strip = top - (top - range.start) * FAULT_STRIP;
    let strips = marks.faulty.iter().map(|(from, to)| [(*from, strip), (*to, top)]);
    chart.draw_series(strips.map(|corners| Rectangle::new(corners, FAULT.light.filled())))?;
    let last = marks.silent_from.map(|at| vec![(at, range.start), (at, top)]);
    chart.draw_series(last.map(|line| PathElement::new(line, INK.light.stroke_width(1))))?;
    Ok(())
}

/// Draws the names of the lines and of the marks beside the panel.
fn draw_legend(area: &Area<'_>, lines: &[Line], marks: Option<&Marks>) -> Drawn {
    let mut entries: Vec<(String, Colour, u32)> = Vec::new();
    for line in lines {
        let is_empty = line.pieces.iter().all(Vec::is_empty);
        let few = if is_empty { " (too few replies)" } else { "" };
        entries.push((format!("{}{few}", line.name), line.colour, 2));
    }
    if let Some(marks) = marks {
        if marks.faults > 0 {
            entries.push((counted(marks.faults, "fault"), FAULT, 8));
        }
        if !marks.silent.is_empty() {
            entries.push(("no right reply".to_owned(), SILENCE, 12));
        }
        if let Some(at) = marks.silent_from {
            entries.push((format!("last right reply: {at:.2} s"), INK, 1));
        }
    }
    let (width, _) = area.dim_in_pixel();
    let left = i32::try_from(width - LEGEND)?;
    for ((name, colour, stroke), y) in entries.into_iter().zip((50..).step_by(22)) {
        let style = colour.light.stroke_width(stroke);
        area.draw(&PathElement::new([(left + 12, y), (left + 34, y)], style))?;
        let font = ("sans-serif", 13).into_font().color(&INK.light);
        area.draw(&Text::new(name, (left + 42, y - 7), font))?;
    }
    Ok(())
}

fn log(micros: f64) -> f64 {
    micros.max(0.001).log10()
}
