//! Lines over a common axis.

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::{COLOURS, GREY, TEXT, TITLE, WIDTH, text};
use crate::Outcome;
use crate::figures::{Axis, Lines, Series};
use crate::table::size;

const HEIGHT: u32 = 400;
/// Points are marked where there are few enough to be told apart.
const MARKED: usize = 24;

pub(super) fn draw(plot: &Lines) -> Outcome<String> {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let (x, y) = (
        range(&plot.x, points().map(|point| point.0)),
        range(&plot.y, points().map(|point| point.1)),
    );
    match (plot.x.logarithmic, plot.y.logarithmic) {
        (true, true) => draw_on(plot, log(&plot.x, x), log(&plot.y, y)),
        (true, false) => draw_on(plot, log(&plot.x, x), y),
        (false, true) => draw_on(plot, x, log(&plot.y, y)),
        (false, false) => draw_on(plot, x, y),
    }
}

fn draw_on<X, Y>(plot: &Lines, x: X, y: Y) -> Outcome<String>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .caption(&plot.title, text(TITLE))
            .margin(8)
            .margin_right(24)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GREY.mix(0.25))
            .light_line_style(TRANSPARENT)
            .axis_style(GREY.mix(0.5))
            .x_desc(&plot.x.label)
            .y_desc(&plot.y.label)
            .x_labels(8)
            .y_labels(8)
            .x_label_formatter(&|value| label(&plot.x, *value))
            .y_label_formatter(&|value| label(&plot.y, *value))
            .label_style(text(TEXT))
            .axis_desc_style(text(TEXT))
            .draw()?;
        for (series, colour) in coloured(&plot.series) {
            let points = || series.points.iter().copied();
            let style = colour.stroke_width(2);
            let drawn = if series.floor {
                chart.draw_series(DashedLineSeries::new(points(), 6, 4, style))?
            } else {
                chart.draw_series(LineSeries::new(points(), style))?
            };
            drawn.label(&series.name).legend(move |(x, y)| {
                let ends = if series.floor { [x, x + 8] } else { [x, x + 20] };
                PathElement::new(ends.map(|x| (x, y)), style)
            });
            if series.points.len() <= MARKED {
                chart.draw_series(points().map(|point| Circle::new(point, 3, colour.filled())))?;
            }
        }
        chart
            .configure_series_labels()
            .label_font(text(TEXT))
            .position(SeriesLabelPosition::UpperLeft)
            .draw()?;
        root.present()?;
    }
    Ok(svg)
}

/// The lines and their colours: a floor, which is dashed, has the colour of the line after it.
fn coloured(series: &[Series]) -> impl Iterator<Item = (&Series, RGBColor)> {
    let mut next = 0;
    series.iter().map(move |series| {
        let colour = COLOURS[next % COLOURS.len()];
        next += usize::from(!series.floor);
        (series, colour)
    })
}

/// The range that shows all values. A linear one begins at zero.
fn range(axis: &Axis, values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let shown = values.filter(|value| value.is_finite() && (!axis.logarithmic || *value > 0.));
    let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let (low, high) = if low > high { (1., 10.) } else { (low, high) };
    match (axis.logarithmic, axis.bytes) {
        (true, true) => low..high.max(low * 2.),
        (true, false) => 10f64.powf(low.log10().floor())..10f64.powf((high * 1.05).log10().ceil()),
        (false, _) => 0. ..if high > 0. { high * 1.08 } else { 1. },
    }
}

/// Bytes have labels at powers of four, other quantities at powers of ten.
fn log(axis: &Axis, range: std::ops::Range<f64>) -> LogCoord<f64> {
    let base = if axis.bytes { 4. } else { 10. };
    // Rounding must not push the labels at both ends out of the range.
    let range = range.start * (1. - 1e-9)..range.end * (1. + 1e-9);
    range.log_scale().base(base).into()
}

fn label(axis: &Axis, value: f64) -> String {
    if axis.bytes {
        return size(value);
    }
    // Steps are multiples of a power of ten: rounding removes what addition left behind.
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(logarithmic: bool, bytes: bool) -> Axis {
        Axis {
            label: String::new(),
            logarithmic,
            bytes,
        }
    }

    fn labels(axis: &Axis, values: [f64; 2]) -> Vec<String> {
        let range = range(axis, values.into_iter());
        let points = if axis.logarithmic {
            log(axis, range).key_points(8)
        } else {
            plotters::coord::types::RangedCoordf64::from(range).key_points(8)
        };
        points.into_iter().map(|value| label(axis, value)).collect()
    }

    #[test]
    fn linear_axes_begin_at_zero_and_step_by_round_numbers() {
        assert_eq!(labels(&axis(false, false), [3., 17.]), ["0", "5", "10", "15"]);
    }

    #[test]
    fn sizes_are_written_in_their_units() {
        let sizes = labels(&axis(true, true), [16_777_216., 4_294_967_296.]);
        assert_eq!(sizes, ["16 MiB", "64 MiB", "256 MiB", "1 GiB", "4 GiB"]);
    }

    #[test]
    fn logarithmic_axes_end_at_powers_of_ten() {
        assert_eq!(labels(&axis(true, false), [0.03, 8.]), ["0.01", "0.1", "1", "10"]);
    }
}
