//! Plots as SVG, drawn by the crate `plotters`. The drawings have no background, grey text and colours of middle lightness,
//! so that a page can be light or dark.

mod bars;
mod lines;

use plotters::prelude::*;

use crate::Outcome;
use crate::figures::Plot;

/// The colours of lines, which readers who do not see red or green tell apart.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x1f, 0x77, 0xc4),
    RGBColor(0xd9, 0x73, 0x0d),
    RGBColor(0x1a, 0x93, 0x6f),
    RGBColor(0xb0, 0x57, 0x9e),
    RGBColor(0x8a, 0x7a, 0x1f),
    RGBColor(0xc4, 0x45, 0x36),
];
const GREY: RGBColor = RGBColor(0x76, 0x76, 0x76);
const WIDTH: u32 = 720;
const TITLE: u32 = 16;
const TEXT: u32 = 13;

/// Draws a plot.
///
/// # Errors
/// If `plotters` cannot draw it.
pub fn svg(plot: &Plot) -> Outcome<String> {
    match plot {
        Plot::Lines(plot) => lines::draw(plot),
        Plot::Bars(plot) => bars::draw(plot),
    }
}

/// The style of a text of `size`.
fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_text_style(&(WIDTH, 1)).color(&GREY)
}
