//! Shapes of a picture as SVG. Colours are classes of a style sheet, with a set for light
//! backgrounds and one for dark ones, whichever the reader prefers.

use std::fmt::Write;

use crate::load::xml_escaped;

/// The colours of series on a light background, and on a dark one.
const SERIES: [(&str, &str); 8] = [
    ("#1f6fb4", "#6cb2f0"),
    ("#d1570c", "#f59a4c"),
    ("#2a8a4f", "#5fcf8a"),
    ("#8a4fbf", "#c49af0"),
    ("#c63d6b", "#f585a6"),
    ("#7a6a00", "#d4c24a"),
    ("#0a8a99", "#4fd0de"),
    ("#6b7280", "#b4bac4"),
];

/// The dashes of the lines that have a colour as the first, the second, ... of those with it.
const DASHES: [&str; 3] = ["none", "7 4", "2 3"];

/// The rules that do not depend on the background.
const RULES: &str = "
text { font-family: system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; font-size: 13px }
.title { font-size: 19px; font-weight: 600 }
.panel { font-size: 15px; font-weight: 600 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round }
.area { stroke: none; fill-opacity: .16 }
.grid { stroke-width: 1 }
.axis { stroke-width: 1 }
.range { stroke-width: 3; stroke-linecap: round }
";

/// The colours of a background: itself, text, less important text, grid, axes.
type Background = [&'static str; 5];

const LIGHT: Background = ["#ffffff", "#24292f", "#57606a", "#e6e9ed", "#8c959f"];
const DARK: Background = ["#0d1117", "#e6edf3", "#9aa4af", "#262c34", "#6e7681"];

/// Places of a text relative to its position.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture.
pub(super) struct Svg {
    text: String,
}

impl Svg {
    /// An empty picture; `title` is for readers that do not see it.
    pub(super) fn new((width, height): (f64, f64), title: &str, series: usize) -> Self {
        let title = xml_escaped(title);
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\">\n<title>{title}</title>\n<style>"
        );
        text.push_str(RULES);
        text.push_str(&colours(LIGHT, series, |(light, _)| light));
        text.push_str("@media (prefers-color-scheme: dark) {\n");
        text.push_str(&colours(DARK, series, |(_, dark)| dark));
        text.push_str("}\n</style>\n");
        let mut picture = Self { text };
        picture.rect((0.0, 0.0), (width, height), "paper");
        picture
    }

    /// The text of the file.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    pub(super) fn rect(&mut self, at: (f64, f64), size: (f64, f64), class: &str) {
        let ((x, y), (width, height)) = (at, size);
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             class=\"{class}\"/>"
        ));
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = xml_escaped(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">\
             {text}</text>"
        ));
    }

    pub(super) fn line(&mut self, points: &[(f64, f64)], class: &str) {
        let points = coordinates(points);
        self.add(format_args!("<polyline points=\"{points}\" class=\"{class}\"/>"));
    }

    pub(super) fn area(&mut self, points: &[(f64, f64)], class: &str) {
        let points = coordinates(points);
        self.add(format_args!("<polygon points=\"{points}\" class=\"{class}\"/>"));
    }

    pub(super) fn dot(&mut self, (x, y): (f64, f64), radius: f64, class: &str) {
        self.add(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" class=\"{class}\"/>"
        ));
    }

    fn add(&mut self, shape: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{shape}").expect("a string takes everything");
    }
}

fn colours(
    [paper, ink, soft, grid, axis]: Background,
    series: usize,
    pick: fn((&'static str, &'static str)) -> &'static str,
) -> String {
    let mut rules = format!(
        ".paper {{ fill: {paper} }}\ntext {{ fill: {ink} }}\n.soft {{ fill: {soft} }}\n\
         .grid {{ stroke: {grid} }}\n.axis {{ stroke: {axis} }}\n.band {{ fill: {grid} }}\n"
    );
    for n in 0..series {
        let colour = pick(SERIES[n % SERIES.len()]);
        let dash = DASHES[n / SERIES.len() % DASHES.len()];
        let rule = format!(
            ".line.s{n}, .range.s{n} {{ stroke: {colour}; stroke-dasharray: {dash} }}\n\
             .area.s{n}, .dot.s{n} {{ fill: {colour} }}\n"
        );
        rules.push_str(&rule);
    }
    rules
}

fn coordinates(points: &[(f64, f64)]) -> String {
    let points = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}"));
    points.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_element() {
        let mut picture = Svg::new((10.0, 10.0), "a<b", 1);
        picture.text((0.0, 0.0), Anchor::Start, "", "</text>&\u{1b}");
        let text = picture.finish();
        assert!(text.contains("<title>a&lt;b</title>") && text.contains(">&lt;/text&gt;&amp;<"));
    }
}
