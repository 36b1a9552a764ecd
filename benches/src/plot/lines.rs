//! Lines over a common axis.

use super::axis::Scale;
use super::{Anchor, COLOURS, Canvas, GREY, WIDTH};
use crate::figures::{Lines, Series};

const HEIGHT: f64 = 400.;
const LEFT: f64 = 72.;
const RIGHT: f64 = WIDTH - 24.;
const LEGEND: f64 = 44.;
const BOTTOM: f64 = HEIGHT - 52.;
/// Points are marked where there are few enough to be told apart.
const MARKED: usize = 24;

pub(super) fn draw(plot: &Lines) -> String {
    let mut canvas = Canvas::new(HEIGHT, &plot.title);
    let top = LEGEND + 20. * legend(&mut canvas, &plot.series) + 16.;
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let x = Scale::new(&plot.x, points().map(|point| point.0), (LEFT, RIGHT));
    let y = Scale::new(&plot.y, points().map(|point| point.1), (BOTTOM, top));
    for (value, label) in y.ticks() {
        let at = y.at(value);
        canvas.line((LEFT, at), (RIGHT, at), GREY, 1., 0.25);
        canvas.text((LEFT - 8., at + 4.), Anchor::End, &label);
    }
    for (value, label) in x.ticks() {
        let at = x.at(value);
        canvas.line((at, BOTTOM), (at, BOTTOM + 5.), GREY, 1., 1.);
        canvas.text((at, BOTTOM + 20.), Anchor::Middle, &label);
    }
    canvas.line((LEFT, BOTTOM), (RIGHT, BOTTOM), GREY, 1., 1.);
    canvas.text(
        (f64::midpoint(LEFT, RIGHT), HEIGHT - 10.),
        Anchor::Middle,
        &plot.x.label,
    );
    canvas.turned_text((18., f64::midpoint(top, BOTTOM)), &plot.y.label);
    for (series, colour) in coloured(&plot.series) {
        let points: Vec<(f64, f64)> = series
            .points
            .iter()
            .map(|point| (x.at(point.0), y.at(point.1)))
            .collect();
        canvas.path(&points, colour, series.floor);
        if points.len() <= MARKED {
            for point in points {
                canvas.dot(point, colour);
            }
        }
    }
    canvas.finish()
}

/// The lines and their colours: a floor, which is dashed, has the colour of the line after it.
fn coloured(series: &[Series]) -> impl Iterator<Item = (&Series, &'static str)> {
    let mut next = 0;
    series.iter().map(move |series| {
        let colour = COLOURS[next % COLOURS.len()];
        next += usize::from(!series.floor);
        (series, colour)
    })
}

/// The names of the lines, in as many rows as they need; returns how many.
fn legend(canvas: &mut Canvas, series: &[Series]) -> f64 {
    let (mut x, mut row) = (LEFT, 0.);
    for (series, colour) in coloured(series) {
        let letters = u32::try_from(series.name.chars().count()).unwrap_or(u32::MAX);
        let width = 44. + 7.2 * f64::from(letters);
        if x + width > RIGHT && x > LEFT {
            (x, row) = (LEFT, row + 1.);
        }
        let y = LEGEND + 20. * row;
        canvas.path(&[(x, y - 4.), (x + 24., y - 4.)], colour, series.floor);
        canvas.text((x + 30., y), Anchor::Start, &series.name);
        x += width;
    }
    row
}
