//! Horizontal bars with their quartiles.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{COLOURS, GREY, TEXT, TITLE, WIDTH, text};
use crate::Outcome;
use crate::figures::{Bar, Bars, Kind};
use crate::table::number;

const NAMES: u32 = 270;
/// The height of a bar and the gap below it.
const ROW: u32 = 28;

pub(super) fn draw(plot: &Bars) -> Outcome<String> {
    let rows = u32::try_from(plot.bars.len())?;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, ROW * rows + 90)).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .caption(&plot.title, text(TITLE))
            .margin(8)
            .margin_right(64)
            .x_label_area_size(40)
            .y_label_area_size(NAMES)
            .build_cartesian_2d(0. ..longest(plot), f64::from(rows)..0.)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .bold_line_style(GREY.mix(0.25))
            .light_line_style(TRANSPARENT)
            .axis_style(GREY.mix(0.5))
            .x_desc(&plot.unit)
            .label_style(text(TEXT))
            .axis_desc_style(text(TEXT))
            .draw()?;
        let (mut y, right) = (0.5, text(TEXT).pos(Pos::new(HPos::Right, VPos::Center)));
        let left = text(TEXT).pos(Pos::new(HPos::Left, VPos::Center));
        for bar in &plot.bars {
            let end = bar.quartiles.1.max(bar.value);
            let label = |x: f64, shift: i32, words: String, style: &TextStyle<'static>| {
                EmptyElement::at((x, y)) + Text::new(words, (shift, 0), style.clone())
            };
            chart.draw_series([Rectangle::new(
                [(0., y - 0.33), (bar.value, y + 0.33)],
                colour(bar).filled(),
            )])?;
            let quartiles = vec![(bar.quartiles.0, y), (bar.quartiles.1, y)];
            chart.draw_series([PathElement::new(quartiles, GREY.stroke_width(2))])?;
            chart.draw_series([
                label(0., -8, bar.name.clone(), &right),
                label(end, 6, number(bar.value), &left),
            ])?;
            y += 1.;
        }
        root.present()?;
    }
    Ok(svg)
}

/// Where the axis ends.
fn longest(plot: &Bars) -> f64 {
    let ends = plot.bars.iter().map(|bar| bar.quartiles.1.max(bar.value));
    ends.fold(f64::MIN_POSITIVE, f64::max)
}

fn colour(bar: &Bar) -> RGBAColor {
    match bar.kind {
        Kind::Floor => GREY.mix(0.5),
        Kind::Ours => COLOURS[0].mix(1.),
        Kind::Peer => COLOURS[1].mix(0.8),
    }
}
