//! A curve of characters.

use std::collections::BTreeMap;

use super::table::number;

/// The rows of characters of a curve.
const ROWS: usize = 10;

/// The width where the output goes to no terminal, and the largest one of a terminal.
const MOST_COLUMNS: usize = 100;
const WITHOUT_TERMINAL: usize = 80;

/// The characters that a curve is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marks {
    /// A character of eight dots.
    Braille,
    /// One dot for each character.
    Ascii,
}

impl Marks {
    /// Braille, unless the locale of the process has another encoding than UTF-8.
    pub(crate) fn of_locale() -> Self {
        let said = ["LC_ALL", "LC_CTYPE", "LANG"].map(|name| std::env::var(name).unwrap_or_default());
        let locale = said.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        if locale.is_empty() || locale.contains("utf-8") || locale.contains("utf8") {
            Self::Braille
        } else {
            Self::Ascii
        }
    }

    /// The dots of a character, across and down.
    fn dots(self) -> (usize, usize) {
        match self {
            Self::Braille => (2, 4),
            Self::Ascii => (1, 1),
        }
    }

    /// The characters of the axes: the vertical line, the corner, and the horizontal line.
    fn axes(self) -> (char, char, char) {
        match self {
            Self::Braille => ('│', '└', '─'),
            Self::Ascii => ('|', '+', '-'),
        }
    }
}

/// A line of the drawing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The label and the axis.
    pub(crate) axis: String,
    /// The part with the curve.
    pub(crate) curve: String,
}

/// Points over steps.
#[derive(Debug)]
pub(crate) struct Curve {
    /// Those whose value is a number, in the order of their steps.
    points: Vec<(u64, f64)>,
}

impl Curve {
    pub(crate) fn new(points: &BTreeMap<u64, f64>) -> Self {
        let points = points.iter().map(|(step, value)| (*step, *value));
        Self {
            points: points.filter(|(_, value)| value.is_finite()).collect(),
        }
    }

    /// The drawing in so many columns; no line if there is no point.
    pub(crate) fn lines(&self, columns: usize, marks: Marks) -> Vec<Line> {
        let (Some(&(first, _)), Some(&(last, _))) = (self.points.first(), self.points.last()) else {
            return Vec::new();
        };
        let values = self.points.iter().map(|(_, value)| *value);
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let labels = [number(high), number(low)];
        let margin = labels.iter().map(String::len).max().unwrap_or(0);
        let columns = if columns == usize::MAX {
            WITHOUT_TERMINAL
        } else {
            columns.min(MOST_COLUMNS)
        };
        let width = columns.saturating_sub(margin + 2).max(8);
        let grid = self.grid(width, marks, (low, high));
        let (vertical, corner, horizontal) = marks.axes();
        let mut lines: Vec<Line> = grid
            .into_iter()
            .enumerate()
            .map(|(at, curve)| {
                let label = match at {
                    0 => labels[0].as_str(),
                    at if at + 1 == ROWS && low < high => labels[1].as_str(),
                    _ => "",
                };
                Line {
                    axis: format!("{label:>margin$} {vertical}"),
                    curve: curve.trim_end().to_owned(),
                }
            })
            .collect();
        lines.push(Line {
            axis: format!("{:margin$} {corner}{}", "", String::from(horizontal).repeat(width)),
            curve: String::new(),
        });
        let (first, last) = (first.to_string(), last.to_string());
        let steps = if first == last {
            first
        } else {
            format!(
                "{first}{last:>width$}",
                width = width.saturating_sub(first.len()).max(last.len() + 1)
            )
        };
        lines.push(Line {
            axis: format!("{:margin$}  {steps}", ""),
            curve: String::new(),
        });
        lines
    }

    /// The rows of characters, the upper one first.
    fn grid(&self, width: usize, marks: Marks, (low, high): (f64, f64)) -> Vec<String> {
        let (across, down) = marks.dots();
        let (wide, tall) = (width * across, ROWS * down);
        let mut dots = vec![vec![false; wide]; tall];
        let (first, last) = (self.points[0].0, self.points[self.points.len() - 1].0);
        let column = |step: u64| place(span(first, step), span(first, last), wide);
        // Halves, because the difference of two finite numbers need not be finite.
        let row = |value: f64| tall - 1 - place(value / 2. - low / 2., high / 2. - low / 2., tall);
        let mut before: Option<(usize, usize)> = None;
        for (step, value) in &self.points {
            let (x, y) = (column(*step), row(*value));
            let (from_x, from_y) = before.unwrap_or((x, y));
            let length = (x - from_x).max(y.abs_diff(from_y)).max(1);
            for at in 0..=length {
                let x = from_x + (x - from_x) * at / length;
                let y = if y >= from_y {
                    from_y + (y - from_y) * at / length
                } else {
                    from_y - (from_y - y) * at / length
                };
                dots[y][x] = true;
            }
            before = Some((x, y));
        }
        let character = |row: usize, column: usize| match marks {
            Marks::Braille => braille(&dots, row * down, column * across),
            Marks::Ascii if dots[row][column] => '*',
            Marks::Ascii => ' ',
        };
        let line = |row: usize| (0..width).map(|column| character(row, column)).collect();
        (0..ROWS).map(line).collect()
    }
}

#[allow(clippy::cast_precision_loss, reason = "a place in a drawing")]
fn span(first: u64, last: u64) -> f64 {
    last.saturating_sub(first) as f64
}

/// The place of `part` of `whole` among `count` places; the middle if `whole` is nothing.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a drawing, between 0 and a small number"
)]
fn place(part: f64, whole: f64, count: usize) -> usize {
    let share = if whole > 0. { (part / whole).clamp(0., 1.) } else { 0.5 };
    (share * (count - 1) as f64).round() as usize
}

/// The character of the dots in two columns and four rows; a space if there is none.
fn braille(dots: &[Vec<bool>], row: usize, column: usize) -> char {
    /// The bit of each dot, by row and column.
    const BITS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
    let mut character = 0;
    for (down, bits) in BITS.iter().enumerate() {
        for (across, bit) in bits.iter().enumerate() {
            if dots[row + down][column + across] {
                character |= bit;
            }
        }
    }
    if character == 0 {
        ' '
    } else {
        char::from_u32(0x2800 + character).unwrap_or('*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(points: &[(u64, f64)], columns: usize, marks: Marks) -> Vec<String> {
        let lines = Curve::new(&points.iter().copied().collect()).lines(columns, marks);
        lines.into_iter().map(|line| line.axis + &line.curve).collect()
    }

    #[test]
    fn a_falling_curve_goes_from_the_upper_left_to_the_lower_right() {
        let lines = drawn(&[(0, 9.), (9, 0.)], 13, Marks::Ascii);
        assert_eq!(lines[0], "9 |*");
        assert_eq!(lines[9], "0 |         *");
        assert_eq!(lines[10], "  +----------");
        assert_eq!(lines[11], "   0        9");
    }

    #[test]
    fn no_value_panics_and_no_line_is_too_wide() {
        let odd = [
            vec![(0, f64::MAX), (u64::MAX, f64::MIN)],
            vec![(5, 0.)],
            vec![(5, 1e-320), (6, 2e-320), (7, f64::NAN)],
            (0..1000)
                .map(|step| (step, f64::from(u32::try_from(step % 7).unwrap())))
                .collect(),
        ];
        for points in odd {
            for columns in [0, 1, 30, 80, usize::MAX] {
                for marks in [Marks::Braille, Marks::Ascii] {
                    let lines = drawn(&points, columns, marks);
                    let widest = lines.iter().map(|line| line.chars().count()).max().unwrap();
                    assert!(columns < 80 || widest <= 100, "{widest} columns");
                }
            }
        }
        assert!(drawn(&[(1, f64::NAN)], 80, Marks::Braille).is_empty());
    }

    #[test]
    fn braille_has_eight_dots_a_character() {
        let lines = drawn(&[(0, 0.), (1, 1.)], 20, Marks::Braille);
        assert!(
            lines[0].ends_with('⠁') || lines[0].ends_with('⠈') || !lines[0].is_ascii(),
            "{lines:?}"
        );
        assert_eq!(lines.len(), ROWS + 2);
    }
}
