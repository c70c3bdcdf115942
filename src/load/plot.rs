//! The picture of a load: throughput and latencies over time, and latency by percentile.
//!
//! The axes of latencies and of percentiles are logarithmic. Each step to the right on the axis of
//! percentiles leaves out nine tenths of the replies; on a linear axis the slowest of a million
//! replies would be the last pixel.

use std::io;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;

use super::latencies::Latencies;
use super::report::{LoadReport, time, whole};
use super::series::Row;
use crate::number::grouped;

/// The width and height of the picture, in pixels.
const SIZE: (u32, u32) = (960, 1000);

/// The width of the legend beside a panel, in pixels.
const LEGEND: u32 = 160;

const BLUE_LINE: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const GREEN_LINE: RGBColor = RGBColor(0x2a, 0x9d, 0x5c);
const ORANGE_LINE: RGBColor = RGBColor(0xe0, 0x8a, 0x1e);
const RED_LINE: RGBColor = RGBColor(0xc6, 0x3d, 0x3d);
const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);

/// The last percentile of the axis, as a number of nines: 6 is 99.9999 %.
const NINES: i32 = 6;

/// The most ticks of a linear axis, about.
const TICKS: f64 = 10.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A line of a chart, in one or several pieces.
struct Line {
    name: &'static str,
    colour: RGBColor,
    pieces: Vec<Vec<(f64, f64)>>,
}

/// Draws the picture and writes it to `file`.
pub(super) fn write(
    report: &LoadReport,
    latencies: &Latencies,
    file: &mut impl io::Write,
) -> io::Result<()> {
    let mut picture = String::new();
    draw(report, latencies, &mut picture).map_err(|error| io::Error::other(error.to_string()))?;
    file.write_all(picture.as_bytes())
}

fn draw(report: &LoadReport, latencies: &Latencies, picture: &mut String) -> Drawn {
    let root = SVGBackend::with_string(picture, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, rest) = root.split_vertically(64);
    let big = ("sans-serif", 19).into_font().color(&INK);
    let small = ("sans-serif", 14).into_font().color(&INK);
    let rate = grouped(whole(report.per_second));
    head.draw(&Text::new(format!("{rate} replies per second"), (20, 14), big))?;
    head.draw(&Text::new(report.load.to_string(), (20, 40), small))?;
    let panels = rest.split_evenly((3, 1));
    let rows = &report.intervals;
    let until = rows.last().map_or(1.0, |row| row.time_s);
    throughput(&panels[0], rows, until)?;
    over_time(&panels[1], rows, until)?;
    by_percentile(&panels[2], latencies)?;
    root.present()?;
    Ok(())
}

fn throughput(area: &Area<'_>, rows: &[Row], until: f64) -> Drawn {
    let most = rows.iter().map(|row| row.per_second).fold(1.0, f64::max);
    let points = rows.iter().map(|row| (row.time_s, row.per_second)).collect();
    let line = Line { name: "right replies per second", colour: BLUE_LINE, pieces: vec![points] };
    let rates = Axis::even(most * 1.15, |rate| grouped(whole(rate)));
    panel(area, "throughput", Axis::even(until, seconds), rates, &[line])
}

fn over_time(area: &Area<'_>, rows: &[Row], until: f64) -> Drawn {
    let line = |name, colour, pick: fn(&Row) -> Option<f64>| {
        let mut pieces = vec![Vec::new()];
        for row in rows {
            // An interval without a reply is a gap in the line.
            match (pick(row), pieces.last_mut()) {
                (Some(micros), Some(piece)) => piece.push((row.time_s, log(micros))),
                _ => pieces.push(Vec::new()),
            }
        }
        Line { name, colour, pieces }
    };
    let lines = [
        line("max", RED_LINE, |row| row.max_us),
        line("99 %", ORANGE_LINE, |row| row.p99_us),
        line("90 %", GREEN_LINE, |row| row.p90_us),
        line("50 %", BLUE_LINE, |row| row.p50_us),
    ];
    let y = Axis::decades(&lines);
    panel(area, "latency over time", Axis::even(until, seconds), y, &lines)
}

fn by_percentile(area: &Area<'_>, latencies: &Latencies) -> Drawn {
    // Beyond the last reply there is nothing to draw.
    let replies = latencies.from_sending.len();
    let nines = i32::try_from(replies.max(10).ilog10()).map_or(NINES, |nines| nines.min(NINES));
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
    let sending = line("from sending", ORANGE_LINE, &latencies.from_sending);
    let lines = if latencies.from_due.is_empty() {
        vec![sending]
    } else {
        vec![line("from due time", BLUE_LINE, &latencies.from_due), sending]
    };
    let y = Axis::decades(&lines);
    panel(area, "latency by percentile", Axis::whole(0, nines, percentile), y, &lines)
}

fn panel(area: &Area<'_>, title: &str, x: Axis, y: Axis, lines: &[Line]) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16).into_font().color(&INK))
        .margin(12)
        .margin_right(LEGEND)
        .x_label_area_size(30)
        .y_label_area_size(80)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .axis_style(INK.mix(0.5))
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for line in lines {
        let style = line.colour.stroke_width(2);
        for piece in &line.pieces {
            // A line of one point would be invisible.
            if let &[point] = piece.as_slice() {
                chart.draw_series([Circle::new(point, 2, line.colour.filled())])?;
            }
            chart.draw_series(LineSeries::new(piece.iter().copied(), style))?;
        }
    }
    if lines.len() > 1 {
        legend(area, lines)?;
    }
    Ok(())
}

/// Draws the names of the lines beside the panel.
fn legend(area: &Area<'_>, lines: &[Line]) -> Drawn {
    let (width, _) = area.dim_in_pixel();
    let left = i32::try_from(width - LEGEND)?;
    for (line, y) in lines.iter().zip((55..).step_by(20)) {
        let style = line.colour.stroke_width(2);
        area.draw(&PathElement::new([(left + 12, y), (left + 34, y)], style))?;
        let font = ("sans-serif", 13).into_font().color(&INK);
        area.draw(&Text::new(line.name, (left + 42, y - 7), font))?;
    }
    Ok(())
}

/// An axis of a panel.
struct Axis {
    range: Range<f64>,
    ticks: Vec<f64>,
    label: fn(f64) -> String,
}

impl Axis {
    /// A linear axis from 0 on, with a tick at every multiple of 1, 2 or 5 times a power of ten.
    fn even(until: f64, label: fn(f64) -> String) -> Self {
        let power = 10f64.powf((until / TICKS).log10().floor());
        let mut steps = [1.0, 2.0, 5.0].map(|n| n * power).into_iter();
        let step = steps.find(|step| step * TICKS >= until).unwrap_or(10.0 * power);
        let count = u32::try_from(whole((until / step).floor())).unwrap_or(0);
        let ticks = (0..=count).map(|n| f64::from(n) * step).collect();
        Self { range: 0.0..until, ticks, label }
    }

    /// An axis with a tick at every whole number.
    fn whole(from: i32, to: i32, label: fn(f64) -> String) -> Self {
        let ticks = (from..=to).map(f64::from).collect();
        Self { range: f64::from(from)..f64::from(to), ticks, label }
    }

    /// A logarithmic axis of microseconds, from the power of ten below all lines to the one above.
    fn decades(lines: &[Line]) -> Self {
        let all = || lines.iter().flat_map(|line| line.pieces.iter().flatten()).map(|at| at.1);
        let holds = |power: &i32| {
            let power = f64::from(*power);
            all().any(|log| (power..power + 1.0).contains(&log))
        };
        let first = (-3..10).find(holds).unwrap_or(0);
        let last = (first..10).rev().find(holds).unwrap_or(0);
        Self::whole(first, last + 1, |log| {
            time(10f64.powf(log)).replace(".00 ", " ").replace(".0 ", " ")
        })
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[expect(clippy::cast_possible_truncation, reason = "a pixel is a whole number")]
    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        low + (part * f64::from(high - low)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        (self.label)(*value)
    }
}

fn seconds(time: f64) -> String {
    format!("{} s", (time * 1000.0).round() / 1000.0)
}

fn log(micros: f64) -> f64 {
    micros.max(0.001).log10()
}

/// 0 is 0 %, 1 is 90 %, 2 is 99 %.
fn percentile(nines: f64) -> String {
    let digits = usize::try_from(whole((nines - 2.0).max(0.0))).unwrap_or(0);
    format!("{:.digits$} %", 100.0 - 10f64.powf(2.0 - nines))
}
