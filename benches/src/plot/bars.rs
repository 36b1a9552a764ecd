//! Horizontal bars with their quartiles.

use super::{Anchor, COLOURS, Canvas, GREY, WIDTH};
use crate::figures::{Bars, Kind};
use crate::table::number;

const LEFT: f64 = 270.;
const RIGHT: f64 = WIDTH - 90.;
const TOP: f64 = 40.;
const ROW: f64 = 28.;

pub(super) fn draw(plot: &Bars) -> String {
    let rows = u32::try_from(plot.bars.len()).map_or(0., f64::from);
    let bottom = TOP + ROW * rows;
    let mut canvas = Canvas::new(bottom + 30., &plot.title);
    let longest = plot
        .bars
        .iter()
        .map(|bar| bar.quartiles.1.max(bar.value))
        .fold(f64::MIN_POSITIVE, f64::max);
    let at = |value: f64| LEFT + value / longest * (RIGHT - LEFT);
    let mut y = TOP;
    for bar in &plot.bars {
        let (colour, opacity) = match bar.kind {
            Kind::Floor => (GREY, 0.5),
            Kind::Ours => (COLOURS[0], 1.),
            Kind::Peer => (COLOURS[1], 0.8),
        };
        canvas.text((LEFT - 8., y + 17.), Anchor::End, &bar.name);
        canvas.bar((LEFT, y + 4.), (at(bar.value) - LEFT, ROW - 9.), colour, opacity);
        let middle = y + ROW / 2. - 0.5;
        canvas.line(
            (at(bar.quartiles.0), middle),
            (at(bar.quartiles.1), middle),
            GREY,
            2.,
            1.,
        );
        canvas.text(
            (at(bar.quartiles.1.max(bar.value)) + 6., y + 17.),
            Anchor::Start,
            &number(bar.value),
        );
        y += ROW;
    }
    canvas.line((LEFT, TOP), (LEFT, bottom), GREY, 1., 1.);
    canvas.text((f64::midpoint(LEFT, RIGHT), bottom + 20.), Anchor::Middle, &plot.unit);
    canvas.finish()
}
