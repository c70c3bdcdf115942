//! The picture of a comparison: of a sweep, rate, processor time and latency against the
//! connections; of one point, the ratios to the baseline with their intervals.

use super::report::{Metric, PointReport, Report, Row};
use super::statistics::Interval;
use super::svg::{Anchor, Svg};
use super::table;
use crate::load::figures::{short_time, tick_step, whole};
use crate::number::grouped;

/// The width of the picture, in pixels.
const WIDTH: f64 = 860.0;

/// The left and right edges of the panels.
const LEFT: f64 = 96.0;
const RIGHT: f64 = WIDTH - 28.0;

/// The height of the title, of a row of the legend, and of a panel with its axis.
const HEAD: f64 = 66.0;
const LEGEND_ROW: f64 = 22.0;
const PANEL: f64 = 250.0;

/// The space below the last panel.
const BOTTOM: f64 = 8.0;

/// The height of a plot within its panel.
const PLOT: f64 = 178.0;

/// The height of a row of ratios.
const RATIO_ROW: f64 = 34.0;

/// The width of a character of the legend, about.
const LETTER: f64 = 7.4;

/// The ratio of the greatest value to the least from which on an axis is logarithmic.
const LOG_FROM: f64 = 25.0;

/// The most ticks of an axis, about.
const TICKS: f64 = 6.0;

/// Draws the picture.
pub(super) fn draw(report: &Report) -> String {
    if report.points.len() > 1 { sweep(report) } else { ratios(report) }
}

/// The text of a value on an axis.
type Label = fn(f64) -> String;

/// A figure of a row, and its interval.
type Pick = fn(&Row) -> (Option<f64>, Option<Interval>);

fn sweep(report: &Report) -> String {
    let names = report.names();
    let legend = legend_rows(&names);
    let panels: [(&str, Label, Pick); 3] = [
        (
            "replies a second",
            |rate| grouped(whole(rate)),
            |row| (row.replies_per_second, row.rate_interval),
        ),
        ("processor time of the server, each reply", short_time, |row| {
            (row.cpu_us_per_reply, row.cpu_interval)
        }),
        ("latency, 99th percentile", short_time, |row| (row.p99_us, row.p99_interval)),
    ];
    let top = HEAD + LEGEND_ROW * legend_height(&legend);
    let height = top + PANEL * 3.0 + BOTTOM;
    let idle = report.points.iter().any(|point| point.point.idle != report.points[0].point.idle);
    let axis = if idle { "idle connections" } else { "connections" };
    let beside = match report.points[0].point.connections {
        busy if idle => format!(", beside {} busy", grouped(busy as u64)),
        _ => String::new(),
    };
    let title = format!("{} by {axis}{beside}", report.service);
    let mut picture = Svg::new((WIDTH, height), &title, names.len());
    let text = format!(
        "medians of {} rounds of {} ms; shaded: their 95 % intervals",
        report.rounds,
        whole(report.slice_s * 1000.0)
    );
    head(&mut picture, &title, &text);
    draw_legend(&mut picture, &legend);
    let x_of = |point: &PointReport| {
        #[expect(clippy::cast_precision_loss, reason = "a pixel is coarser")]
        let x = if idle { point.point.idle as f64 } else { point.point.connections as f64 };
        x
    };
    let xs: Vec<_> = report.points.iter().map(x_of).collect();
    for (n, (title, label, pick)) in (0..).map(f64::from).zip(panels) {
        let panel = Panel { top: top + n * PANEL, title, label, x_title: axis };
        panel.draw(&mut picture, report, &xs, pick);
    }
    picture.finish()
}

/// Draws the title, and the line below it.
fn head(picture: &mut Svg, title: &str, text: &str) {
    picture.text((24.0, 32.0), Anchor::Start, "title", title);
    picture.text((24.0, 53.0), Anchor::Start, "soft", text);
}

/// The entries of the legend with their positions: name, row, left edge.
fn legend_rows(names: &[&str]) -> Vec<(String, u32, f64)> {
    let (mut row, mut left) = (0, LEFT);
    let mut entries = Vec::new();
    for name in names {
        let letters = f64::from(u32::try_from(name.chars().count()).unwrap_or(u32::MAX));
        let width = 58.0 + letters * LETTER;
        if left + width > RIGHT && left > LEFT {
            (row, left) = (row + 1, LEFT);
        }
        entries.push(((*name).to_owned(), row, left));
        left += width;
    }
    entries
}

fn legend_height(entries: &[(String, u32, f64)]) -> f64 {
    entries.last().map_or(0.0, |(_, row, _)| f64::from(row + 1))
}

fn draw_legend(picture: &mut Svg, entries: &[(String, u32, f64)]) {
    for (n, (name, row, left)) in entries.iter().enumerate() {
        let y = HEAD + 10.0 + f64::from(*row) * LEGEND_ROW;
        picture.line(&[(*left, y), (left + 28.0, y)], &format!("line s{n}"));
        picture.dot((left + 14.0, y), 3.5, &format!("dot s{n}"));
        picture.text((left + 36.0, y + 4.5), Anchor::Start, "", name);
    }
}

/// A panel of a sweep.
struct Panel {
    top: f64,
    title: &'static str,
    label: Label,
    x_title: &'static str,
}

impl Panel {
    fn draw(&self, picture: &mut Svg, report: &Report, xs: &[f64], pick: Pick) {
        let rows = || report.points.iter().flat_map(|point| &point.rows);
        let values: Vec<_> = rows()
            .map(pick)
            .flat_map(|(value, interval)| {
                [value, interval.map(|it| it.low), interval.map(|it| it.high)]
            })
            .flatten()
            .collect();
        let bottom = self.top + 34.0 + PLOT;
        let y = Scale::of(&values, (bottom, bottom - PLOT));
        let x = Scale::tight(xs, (LEFT + 10.0, RIGHT - 10.0));
        picture.text((LEFT, self.top + 20.0), Anchor::Start, "panel", self.title);
        for tick in y.ticks() {
            let at = y.at(tick);
            picture.line(&[(LEFT, at), (RIGHT, at)], "grid");
            picture.text((LEFT - 8.0, at + 4.5), Anchor::End, "soft", &(self.label)(tick));
        }
        picture.line(&[(LEFT, bottom), (RIGHT, bottom)], "axis");
        let mut labelled = f64::NEG_INFINITY;
        for &value in xs {
            let at = x.at(value);
            picture.line(&[(at, bottom), (at, bottom + 5.0)], "axis");
            let text = grouped(whole(value));
            // Points that lie close together have one label.
            if at - labelled > 44.0 {
                picture.text((at, bottom + 19.0), Anchor::Middle, "soft", &text);
                labelled = at;
            }
        }
        picture.text((RIGHT, bottom + 34.0), Anchor::End, "soft", self.x_title);
        // Areas lie below all lines.
        let layers: [Layer; 2] = [draw_area, draw_line];
        for layer in layers {
            for contender in 0..report.contenders {
                for piece in pieces(report, contender, xs, pick) {
                    layer(picture, contender, &piece, (&x, &y));
                }
            }
        }
    }
}

/// A part of the picture of a piece of a contender's line.
type Layer = fn(&mut Svg, usize, &[Mark], (&Scale, &Scale));

/// A point of a line: its place, its value, and the ends of its interval.
type Mark = (f64, f64, f64, f64);

/// The pieces of a contender's line: it is cut where it has no value.
fn pieces(report: &Report, contender: usize, xs: &[f64], pick: Pick) -> Vec<Vec<Mark>> {
    let mut pieces = vec![Vec::new()];
    for (point, &x) in report.points.iter().zip(xs) {
        let row = point.rows.iter().find(|row| row.contender == contender && !row.control);
        match row.map(pick) {
            Some((Some(value), interval)) => {
                let (low, high) = interval.map_or((value, value), |it| (it.low, it.high));
                pieces.last_mut().expect("there is one").push((x, value, low, high));
            }
            _ => pieces.push(Vec::new()),
        }
    }
    pieces
}

fn draw_area(picture: &mut Svg, contender: usize, piece: &[Mark], (x, y): (&Scale, &Scale)) {
    let upper = piece.iter().map(|&(at, _, _, high)| (x.at(at), y.at(high)));
    let lower = piece.iter().rev().map(|&(at, _, low, _)| (x.at(at), y.at(low)));
    match piece {
        // An area of one point would be invisible.
        [_] => picture.line(&upper.chain(lower).collect::<Vec<_>>(), &format!("line s{contender}")),
        _ => picture.area(&upper.chain(lower).collect::<Vec<_>>(), &format!("area s{contender}")),
    }
}

fn draw_line(picture: &mut Svg, contender: usize, piece: &[Mark], (x, y): (&Scale, &Scale)) {
    let line: Vec<_> = piece.iter().map(|&(at, value, ..)| (x.at(at), y.at(value))).collect();
    picture.line(&line, &format!("line s{contender}"));
    for &at in &line {
        picture.dot(at, 3.5, &format!("dot s{contender}"));
    }
}

/// The picture of one point: a row for each ratio, and the margin as a band.
fn ratios(report: &Report) -> String {
    let rows: Vec<_> = report.points.iter().flat_map(|point| &point.rows).collect();
    let measured: Vec<_> = rows.iter().filter(|row| row.ratio.is_some()).collect();
    let title = table::load(report);
    let count = f64::from(u32::try_from(measured.len()).unwrap_or(u32::MAX));
    let top = HEAD + 14.0;
    let bottom = top + RATIO_ROW * count.max(1.0);
    let mut picture = Svg::new((WIDTH, bottom + 52.0), &title, report.contenders);
    let text = format!(
        "median ratios of {} rounds, and intervals that hold together at 95 %; band: within {} %",
        report.rounds,
        whole(report.margin * 100.0)
    );
    head(&mut picture, &title, &text);
    let margin = [1.0 / (1.0 + report.margin), 1.0 + report.margin];
    let ends = measured.iter().filter_map(|row| row.ratio).flat_map(|it| [it.low, it.high]);
    let values: Vec<_> = ends.chain(margin).collect();
    let left = 220.0;
    let x = Scale::tight(&values, (left + 10.0, RIGHT - 20.0));
    let band = (x.at(margin[1]) - x.at(margin[0]), bottom - top);
    picture.rect((x.at(margin[0]), top), band, "band");
    picture.line(&[(x.at(1.0), top), (x.at(1.0), bottom)], "axis");
    for tick in x.ticks() {
        let at = x.at(tick);
        picture.line(&[(at, bottom), (at, bottom + 5.0)], "axis");
        let text = format!("{}", (tick * 1000.0).round() / 1000.0);
        picture.text((at, bottom + 19.0), Anchor::Middle, "soft", &text);
    }
    picture.line(&[(left, bottom), (RIGHT, bottom)], "axis");
    for (n, row) in (0..).map(f64::from).zip(measured) {
        let y = top + RATIO_ROW * (n + 0.5);
        let class = row.contender;
        let by = if row.compared_by == Metric::Cpu { ", CPU a reply" } else { "" };
        let name = format!("{}{by}", row.name);
        picture.text((left - 12.0, y + 4.5), Anchor::End, "", &name);
        if let Some(it) = row.ratio {
            picture.line(&[(x.at(it.low), y), (x.at(it.high), y)], &format!("range s{class}"));
            picture.dot((x.at(it.median), y), 5.5, &format!("dot s{class}"));
        }
    }
    let by = |metric| rows.iter().any(|row| row.ratio.is_some() && row.compared_by == metric);
    let what = match (by(Metric::Rate), by(Metric::Cpu)) {
        (true, true) => "replies a second (more is better) or of CPU a reply (less is better)",
        (false, true) => "CPU a reply (less is better)",
        (_, false) => "replies a second (more is better)",
    };
    let axis = format!("ratio to {} of {what}", report.baseline);
    picture.text((RIGHT, bottom + 40.0), Anchor::End, "soft", &axis);
    picture.finish()
}

/// An axis: values to pixels.
struct Scale {
    range: (f64, f64),
    pixels: (f64, f64),
    log: bool,
}

impl Scale {
    /// An axis of values that begins at 0, or at a power of ten below all of them.
    fn of(values: &[f64], pixels: (f64, f64)) -> Self {
        let most = values.iter().copied().fold(0.0, f64::max);
        let least = values.iter().copied().fold(most, f64::min);
        if least > 0.0 && most / least >= LOG_FROM {
            let range = (10f64.powf(least.log10().floor()), 10f64.powf(most.log10().ceil()));
            return Self { range, pixels, log: true };
        }
        Self { range: (0.0, if most > 0.0 { most * 1.08 } else { 1.0 }), pixels, log: false }
    }

    /// An axis from the least value to the greatest.
    fn tight(values: &[f64], pixels: (f64, f64)) -> Self {
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = values.iter().copied().fold(most, f64::min);
        let most = if most > least { most } else { least + 1.0 };
        Self { range: (least, most), pixels, log: least > 0.0 && most / least >= LOG_FROM }
    }

    fn at(&self, value: f64) -> f64 {
        let of = |value: f64| if self.log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let (from, to) = (of(self.range.0), of(self.range.1));
        let part = (of(value) - from) / (to - from);
        self.pixels.0 + part * (self.pixels.1 - self.pixels.0)
    }

    fn ticks(&self) -> Vec<f64> {
        let (from, to) = self.range;
        if self.log {
            let decades = (-9..15).map(|power| 10f64.powi(power));
            return decades.filter(|tick| (from * 0.999..=to * 1.001).contains(tick)).collect();
        }
        let step = tick_step(to - from, TICKS);
        let first = (from / step).ceil();
        let ticks = (0..100).map(|n| (first + f64::from(n)) * step);
        ticks.take_while(|&tick| tick <= to * 1.000_001).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_ticks_at_round_values() {
        let linear = Scale::of(&[3.0, 43.0], (100.0, 0.0));
        assert_eq!(linear.ticks(), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert!((linear.at(0.0) - 100.0).abs() < 1e-9);
        let log = Scale::of(&[3.0, 430.0], (90.0, 0.0));
        assert_eq!(log.ticks(), [1.0, 10.0, 100.0, 1000.0]);
        assert!((log.at(10.0) - 60.0).abs() < 1e-9);
        assert_eq!(Scale::tight(&[0.7, 1.05], (0.0, 1.0)).ticks().len(), 4);
    }
}
