//! What a theme found: tables, plots, and the figures that have an aim.

use serde::{Deserialize, Serialize};

/// The outcome of one theme.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Theme {
    /// The heading of its section.
    pub title: String,
    /// How often.
    pub measured: String,
    /// What a reader has to know about the tables.
    pub notes: Vec<String>,
    /// The tables, in order.
    pub tables: Vec<Table>,
    /// The plots, in order.
    pub plots: Vec<Plot>,
    /// The figures with an aim.
    pub aims: Vec<Aim>,
}

/// A table; the first column has text, the others numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    /// What it shows.
    pub caption: String,
    /// The heads of the columns.
    pub head: Vec<String>,
    /// The cells, row by row.
    pub rows: Vec<Vec<String>>,
}

/// A figure and what it should be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Aim {
    /// What is measured, and beside what.
    pub figure: String,
    /// What it should be.
    pub aim: Bound,
    /// The unit of both; empty for a ratio.
    pub unit: String,
    /// What was measured.
    pub measured: f64,
}

/// A limit on one side.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Aim {
    /// A ratio that should be this or more.
    pub(crate) fn at_least(figure: &str, aim: f64, measured: f64) -> Self {
        Self {
            figure: figure.to_owned(),
            aim: Bound::AtLeast(aim),
            unit: String::new(),
            measured,
        }
    }

    /// A figure that should be this or less.
    pub(crate) fn at_most(figure: &str, aim: f64, unit: &str, measured: f64) -> Self {
        Self {
            figure: figure.to_owned(),
            aim: Bound::AtMost(aim),
            unit: unit.to_owned(),
            measured,
        }
    }

    /// Whether the figure is what it should be.
    #[must_use]
    pub fn is_met(&self) -> bool {
        match self.aim {
            Bound::AtLeast(aim) => self.measured >= aim,
            Bound::AtMost(aim) => self.measured <= aim,
        }
    }
}

/// A drawing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Plot {
    /// Lines over a common axis.
    Lines(Lines),
    /// Horizontal bars.
    Bars(Bars),
}

impl Plot {
    /// The name of its file, without the ending.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Lines(lines) => &lines.name,
            Self::Bars(bars) => &bars.name,
        }
    }

    /// What it shows.
    #[must_use]
    pub fn title(&self) -> &str {
        match self {
            Self::Lines(lines) => &lines.title,
            Self::Bars(bars) => &bars.title,
        }
    }
}

/// Lines over a common axis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lines {
    /// The name of the file.
    pub name: String,
    /// What they show.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
}

/// One axis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Axis {
    /// The quantity, with its unit.
    pub label: String,
    /// Whether equal steps are equal factors.
    pub logarithmic: bool,
    /// Whether numbers are bytes, and written as KiB, MiB, GiB.
    pub bytes: bool,
}

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Whether it is a floor of the machine: drawn dashed.
    pub floor: bool,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// Horizontal bars.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bars {
    /// The name of the file.
    pub name: String,
    /// What they show.
    pub title: String,
    /// The unit of all bars.
    pub unit: String,
    /// The bars, from above.
    pub bars: Vec<Bar>,
}

/// One bar.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// Its length.
    pub value: f64,
    /// The quartiles.
    pub quartiles: (f64, f64),
    /// Whose it is, which decides its colour.
    pub kind: Kind,
}

/// Whose figure something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A floor of the machine.
    Floor,
    /// This library's.
    Ours,
    /// Another library's.
    Peer,
}
