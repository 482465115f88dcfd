//! A plot as SVG: panels beside each other, both axes logarithmic, written by hand.
//!
//! Each panel has a dashed line of slope 1 through its first point: what lies on it or below grows no faster than the
//! work.

use std::fmt::Write as _;

/// One diagram.
pub(super) struct Panel {
    pub(super) title: &'static str,
    /// What the horizontal axis counts.
    pub(super) unit: &'static str,
    /// Name, and points of size and seconds, all above zero.
    pub(super) lines: Vec<(&'static str, Vec<(f64, f64)>)>,
}

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 300.0;
/// Around the plotted area: left, top, right, bottom.
const MARGIN: (f64, f64, f64, f64) = (64.0, 40.0, 16.0, 48.0);
const COLUMNS: usize = 2;
/// Told apart by their marks as well.
const COLOURS: [&str; 3] = ["#1f5fa8", "#b8560f", "#4d7a1c"];

/// The whole picture.
pub(super) fn svg(panels: &[Panel]) -> String {
    let rows = panels.len().div_ceil(COLUMNS);
    let (width, height) = (WIDTH * COLUMNS as f64, HEIGHT * rows as f64);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\" fill=\"#222\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for (number, panel) in panels.iter().enumerate() {
        let (x, y) = ((number % COLUMNS) as f64 * WIDTH, (number / COLUMNS) as f64 * HEIGHT);
        let _ = writeln!(out, "<g transform=\"translate({x} {y})\">");
        panel.draw(&mut out);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

/// A logarithmic axis between two places of the picture.
struct Axis {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Over whole decades around all of `values`.
    fn over(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let most = values.fold(0.0, f64::max).log10().ceil().max(least + 1.0);
        Self { least, most, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value.log10() - self.least) / (self.most - self.least) * (self.to - self.from)
    }

    /// The powers of ten on it.
    fn decades(&self) -> impl Iterator<Item = i32> + use<> {
        self.least as i32..=self.most as i32
    }
}

impl Panel {
    fn draw(&self, out: &mut String) {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let (left, right) = (MARGIN.0, WIDTH - MARGIN.2);
        let (top, bottom) = (MARGIN.1, HEIGHT - MARGIN.3);
        let across = Axis::over(points().map(|point| point.0), left, right);
        let up = Axis::over(points().map(|point| point.1), bottom, top);
        let _ = writeln!(
            out,
            "<text x=\"{left}\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{}</text>",
            self.title
        );
        for power in across.decades() {
            let x = across.at(10f64.powi(power));
            let _ = writeln!(
                out,
                "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#ddd\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 16.0,
                count(power)
            );
        }
        for power in up.decades() {
            let y = up.at(10f64.powi(power));
            let _ = writeln!(
                out,
                "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#ddd\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 6.0,
                y + 4.0,
                time(power)
            );
        }
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            (left + right) / 2.0,
            bottom + 34.0,
            self.unit
        );
        for (number, (name, points)) in self.lines.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            if number == 0 && points.len() > 1 {
                reference(out, points, &across, &up);
            }
            let path: Vec<String> =
                points.iter().map(|(x, y)| format!("{:.1} {:.1}", across.at(*x), up.at(*y))).collect();
            let _ = writeln!(
                out,
                "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join("L")
            );
            for (x, y) in points {
                mark(out, number, across.at(*x), up.at(*y), colour);
            }
            let y = 16.0 + 14.0 * number as f64;
            mark(out, number, right - 150.0, y, colour);
            let _ = writeln!(out, "<text x=\"{}\" y=\"{}\">{name}</text>", right - 140.0, y + 4.0);
        }
    }
}

/// The line of slope 1 through the first point, as far as the axes reach.
fn reference(out: &mut String, points: &[(f64, f64)], across: &Axis, up: &Axis) {
    let (x, y) = points[0];
    let grows = (points[points.len() - 1].0 / x).min(10f64.powf(up.most) / y);
    let _ = writeln!(
        out,
        "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#888\" stroke-dasharray=\"4 4\"/>",
        across.at(x),
        up.at(y),
        across.at(x * grows),
        up.at(y * grows)
    );
}

/// A circle for the first line, a square for the others.
fn mark(out: &mut String, number: usize, x: f64, y: f64, colour: &str) {
    let _ = if number == 0 {
        writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>")
    } else {
        writeln!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"7\" height=\"7\" fill=\"{colour}\"/>",
            x - 3.5,
            y - 3.5
        )
    };
}

fn count(power: i32) -> String {
    match power {
        0..3 => format!("{}", 10f64.powi(power)),
        3..6 => format!("{} k", 10f64.powi(power - 3)),
        6.. => format!("{} M", 10f64.powi(power - 6)),
        _ => format!("1e{power}"),
    }
}

fn time(power: i32) -> String {
    if power < 0 { format!("{} ms", 10f64.powi(power + 3)) } else { format!("{} s", 10f64.powi(power)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_covers_its_values_in_decades() {
        let axis = Axis::over([20.0, 4_000.0].into_iter(), 0.0, 300.0);
        assert_eq!(axis.decades().collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!((axis.at(10.0), axis.at(100.0), axis.at(10_000.0)) == (0.0, 100.0, 300.0));
    }

    #[test]
    fn a_picture_has_its_panels_lines_and_labels() {
        let panel = |title| Panel {
            title,
            unit: "steps",
            lines: vec![
                ("first", vec![(10.0, 0.1), (400.0, 3.0)]),
                ("again", vec![(10.0, 0.005), (400.0, 0.02)]),
            ],
        };
        let text = svg(&[panel("chain"), panel("wide"), panel("file")]);
        for part in
            ["translate(400 0)", "translate(0 300)", ">100 ms<", ">1 k<", ">again<", "stroke-dasharray"]
        {
            assert!(text.contains(part), "{part}");
        }
        assert_eq!(text.matches("<circle").count(), 3 * 3);
        assert!(!text.contains("NaN") && !text.contains("inf"));
    }
}
