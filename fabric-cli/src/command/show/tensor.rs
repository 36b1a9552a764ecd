//! A tensor: its statistics and its elements.

use std::ops::ControlFlow;

use fabric_core::{DType, Element, Error, RawCheckpoint, Statistics, TensorInfo};
use serde::Serialize;

use super::nested::Nested;
use super::slice::Slice;
use super::{Arguments, failure};
use crate::command::ls::table::shape;
use crate::failure::Failure;
use crate::json::{self, Number};
use crate::screen::{BOLD, Screen, styled};
use crate::text::{cut, plain, size};

/// The number of elements that are shown without `--full`.
const FIRST: usize = 8;

#[derive(Serialize)]
struct Document<'d> {
    path: String,
    name: &'d str,
    kind: &'static str,
    dtype: &'static str,
    shape: &'d [usize],
    bytes: usize,
    tied_to: Vec<&'d str>,
    slice: Option<&'d str>,
    slice_shape: Option<&'d [usize]>,
    /// None before all elements.
    #[serde(flatten)]
    summary: Option<Summary>,
}

#[derive(Serialize)]
struct Summary {
    /// None for element types without numbers.
    statistics: Option<StatisticsDocument>,
    first_elements: Vec<Element>,
}

/// The smallest or the largest element: an integer if the element type is one.
#[derive(Serialize)]
#[serde(untagged)]
enum Extreme {
    Integer(i128),
    Float(f64),
}

impl Extreme {
    fn of(float: Option<f64>, integer: Option<i128>) -> Option<Self> {
        integer.map(Self::Integer).or(float.map(Self::Float))
    }
}

#[derive(Serialize)]
struct StatisticsDocument {
    elements: u64,
    zeros: u64,
    nan: u64,
    infinite: u64,
    min: Option<Extreme>,
    max: Option<Extreme>,
    mean: Option<f64>,
    norm: Number,
}

/// # Errors
/// If the slice is wrong, the bytes are damaged, or the output cannot be written.
pub(super) fn show(raw: &RawCheckpoint, arguments: &Arguments, screen: &mut Screen) -> Result<(), Failure> {
    let name = arguments.name.as_str();
    let Some(info) = raw.info(name) else {
        return Ok(());
    };
    let slice = match &arguments.slice {
        None => Slice::whole(info.shape()),
        Some(text) => Slice::parse(text, info.shape()).map_err(|what| wrong_slice(arguments, &what))?,
    };
    let ties = raw
        .ties()
        .into_iter()
        .find(|names| names.contains(&name))
        .unwrap_or_default();
    let mut document = Document {
        path: arguments.path.to_string_lossy().into_owned(),
        name,
        kind: "tensor",
        dtype: info.dtype().name(),
        shape: info.shape(),
        bytes: info.byte_len().unwrap_or_default(),
        tied_to: ties.into_iter().filter(|other| *other != name).collect(),
        slice: arguments.slice.as_deref(),
        slice_shape: arguments.slice.is_some().then_some(&slice.shape),
        summary: None,
    };
    if arguments.full {
        return full(raw, arguments, &document, &slice, screen);
    }
    let statistics = match raw.statistics_of(name, &slice.ranges) {
        // The element type has no numbers to add.
        Err(Error::WrongType { .. }) => None,
        other => Some(other.map_err(failure(&arguments.path))?),
    };
    let first = match statistics {
        None => Vec::new(),
        Some(_) => first(raw, arguments, &slice)?,
    };
    if arguments.json {
        document.summary = Some(Summary {
            statistics: statistics.map(StatisticsDocument::of),
            first_elements: first,
        });
        return json::print(screen, &document);
    }
    head(&document, info, screen)?;
    match statistics {
        None => fact(screen, "statistics", "none, for elements of this type"),
        Some(statistics) => facts(&statistics, &first, info.dtype(), screen),
    }
}

/// The failure about a slice.
fn wrong_slice(arguments: &Arguments, what: &str) -> Failure {
    let path = arguments.path.to_string_lossy();
    let (path, name) = (plain(&path), plain(&arguments.name));
    Failure::new(format!("{path}: {name}: {what}")).with_status(crate::USAGE)
}

impl StatisticsDocument {
    fn of(found: Statistics) -> Self {
        Self {
            elements: found.elements,
            zeros: found.zeros,
            nan: found.nan,
            infinite: found.infinite,
            min: Extreme::of(found.min, found.min_integer),
            max: Extreme::of(found.max, found.max_integer),
            mean: found.mean,
            norm: Number(found.norm),
        }
    }
}

/// The first elements of the slice.
fn first(raw: &RawCheckpoint, arguments: &Arguments, slice: &Slice) -> Result<Vec<Element>, Failure> {
    let mut first = Vec::with_capacity(FIRST);
    raw.elements(&arguments.name, &slice.ranges, |elements| {
        first.extend(elements.iter().take(FIRST));
        ControlFlow::Break(())
    })
    .map_err(failure(&arguments.path))?;
    Ok(first)
}

/// The first line: name, type, shape, size and ties.
fn head(document: &Document<'_>, info: &TensorInfo, screen: &mut Screen) -> Result<(), Failure> {
    let shape = match document.slice_shape {
        None => shape(info.shape()),
        Some(part) => format!("{} of {}", shape(part), shape(info.shape())),
    };
    let bytes = size(document.bytes as u64);
    let ties: Vec<_> = document.tied_to.iter().map(|other| plain(other)).collect();
    let ties = if ties.is_empty() {
        String::new()
    } else {
        format!("  = {}", ties.join(" = "))
    };
    let name = plain(document.name);
    let rest = format!("  {}  {shape}  {bytes}{ties}", document.dtype);
    let width = screen.width();
    let name = cut(&name, width);
    let rest = cut(&rest, width.saturating_sub(crate::text::columns(&name))).into_owned();
    screen.line(format!("{}{rest}", styled(BOLD, name)))
}

fn facts(statistics: &Statistics, first: &[Element], dtype: DType, screen: &mut Screen) -> Result<(), Failure> {
    let number = |number: Option<f64>| number.map_or_else(|| "none".to_owned(), rounded);
    let exact = |integer: Option<i128>, float| integer.map_or_else(|| number(float), |integer| integer.to_string());
    fact(screen, "elements", &statistics.elements.to_string())?;
    fact(screen, "min", &exact(statistics.min_integer, statistics.min))?;
    fact(screen, "max", &exact(statistics.max_integer, statistics.max))?;
    fact(screen, "mean", &number(statistics.mean))?;
    fact(screen, "norm", &rounded(statistics.norm))?;
    fact(screen, "zeros", &statistics.zeros.to_string())?;
    // Other types have neither.
    if statistics.nan + statistics.infinite > 0 || dtype.name().contains('F') {
        fact(screen, "NaN", &statistics.nan.to_string())?;
        fact(screen, "infinite", &statistics.infinite.to_string())?;
    }
    let shown: Vec<String> = first.iter().map(Element::to_string).collect();
    let more = if statistics.elements > first.len() as u64 {
        ", …"
    } else {
        ""
    };
    fact(screen, "first", &format!("{}{more}", shown.join(", ")))
}

fn fact(screen: &mut Screen, name: &str, text: &str) -> Result<(), Failure> {
    let line = format!("{name:<8}  {text}");
    let line = cut(line.trim_end(), screen.width()).into_owned();
    screen.line(line)
}

/// A number with six digits, and an integer with all.
fn rounded(number: f64) -> String {
    #[allow(clippy::float_cmp, reason = "is it an integer?")]
    if number == number.trunc() && number.abs() < 1e15 {
        return format!("{number:.0}");
    }
    let rounded: f64 = format!("{number:.5e}").parse().unwrap_or(number);
    format!("{rounded:?}")
}

/// Prints all elements of the slice.
fn full(
    raw: &RawCheckpoint,
    arguments: &Arguments,
    document: &Document<'_>,
    slice: &Slice,
    screen: &mut Screen,
) -> Result<(), Failure> {
    // It is written with the first elements, so that an error before them is the only output.
    let mut text = if arguments.json {
        opened(document)?
    } else {
        String::new()
    };
    let indent = if arguments.json { 4 } else { 0 };
    let mut nested = Nested::new(&slice.shape, indent);
    let (mut has_begun, mut closed) = (false, None);
    let read = raw.elements(&arguments.name, &slice.ranges, |elements| {
        for element in elements {
            nested.push(&one(element, arguments.json), &mut text);
        }
        has_begun = true;
        let written = screen.bytes(text.as_bytes());
        text.clear();
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => {
                closed = Some(failure);
                ControlFlow::Break(())
            }
        }
    });
    if let Some(failure) = closed {
        return Err(failure);
    }
    if let Err(error) = read {
        // What has been printed is no whole document, and stands on lines of its own.
        if has_begun {
            screen.line("")?;
            screen.flush()?;
        }
        return Err(failure(&arguments.path)(error));
    }
    if slice.shape.contains(&0) {
        text.push_str(&Nested::empty(&slice.shape));
    }
    screen.bytes(text.as_bytes())?;
    screen.line(if arguments.json { "\n}" } else { "" })
}

/// A document up to the value of its last key, `elements`.
fn opened(document: &Document<'_>) -> Result<String, Failure> {
    let text = json::text(document)?;
    let open = text.strip_suffix("\n}").unwrap_or(&text);
    Ok(format!("{open},\n  \"elements\":\n    "))
}

fn one(element: &Element, as_json: bool) -> String {
    if as_json {
        serde_json::to_string(element).unwrap_or_else(|_| "null".to_owned())
    } else {
        element.to_string()
    }
}
