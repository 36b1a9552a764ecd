//! Plots as SVG, readable on a light page and on a dark one: no background, middle grey text, colours of middle
//! lightness.

mod axis;
mod bars;
mod lines;

use std::fmt::Write;

use crate::figures::Plot;

/// The colours of lines, told apart also by those who do not see red or green.
const COLOURS: [&str; 6] = ["#1f77c4", "#d9730d", "#1a936f", "#b0579e", "#8a7a1f", "#c44536"];
const GREY: &str = "#767676";
const WIDTH: f64 = 720.;

/// Draws a plot.
#[must_use]
pub fn svg(plot: &Plot) -> String {
    match plot {
        Plot::Lines(plot) => lines::draw(plot),
        Plot::Bars(plot) => bars::draw(plot),
    }
}

/// The document, written element by element.
struct Canvas(String);

/// Where a text is in relation to its point.
#[derive(Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    fn new(height: f64, title: &str) -> Self {
        let mut canvas = Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"{GREY}\">\n\
             <title>{}</title>\n",
            escape(title)
        ));
        let _ = writeln!(
            canvas.0,
            "<text x=\"8\" y=\"20\" font-size=\"15\" font-weight=\"600\">{}</text>",
            escape(title)
        );
        canvas
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64, opacity: f64) {
        let _ = writeln!(
            self.0,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\" \
             stroke-opacity=\"{opacity}\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    fn text(&mut self, at: (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = writeln!(
            self.0,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            at.0,
            at.1,
            escape(text)
        );
    }

    fn turned_text(&mut self, at: (f64, f64), text: &str) {
        let (x, y) = at;
        let _ = writeln!(
            self.0,
            "<text transform=\"translate({x:.1} {y:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escape(text)
        );
    }

    fn bar(&mut self, at: (f64, f64), size: (f64, f64), colour: &str, opacity: f64) {
        let _ = writeln!(
            self.0,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\" \
             fill-opacity=\"{opacity}\"/>",
            at.0, at.1, size.0, size.1
        );
    }

    fn path(&mut self, points: &[(f64, f64)], colour: &str, dashed: bool) {
        let dashes = if dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            self.0,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>",
            points.join(" ")
        );
    }

    fn dot(&mut self, at: (f64, f64), colour: &str) {
        let (x, y) = at;
        let _ = writeln!(
            self.0,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
        );
    }

    fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
