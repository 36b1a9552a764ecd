//! The lines of the entries: columns for name, element type, shape and size.

use unicode_width::UnicodeWidthStr;

use crate::entries::{Content, Entry, value_text};
use crate::failure::Failure;
use crate::screen::{BOLD, DIM, Screen, styled};
use crate::text::{counted, cut, plain, size};
use crate::tree::Node;
use crate::versions::add;

/// The columns that a value takes at most: the rest of a long one is shown by `ckpt show`.
const MOST_OF_A_VALUE: usize = 80;

/// The space between two columns.
const GAP: &str = "  ";

/// The way that sizes are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    exact: bool,
}

impl Sizes {
    pub(crate) fn new(exact: bool) -> Self {
        Self { exact }
    }

    pub(crate) fn text(self, bytes: u64) -> String {
        if self.exact { format!("{bytes} B") } else { size(bytes) }
    }
}

/// A line before it is fitted into the screen.
#[derive(Debug, Default)]
struct Line {
    /// The branches of the tree before the name.
    branches: String,
    name: String,
    is_heading: bool,
    /// Element type, shape and size of a tensor.
    columns: Option<[String; 3]>,
    /// The text behind the columns, or behind the name if the line has no columns.
    text: String,
}

impl Line {
    fn of_entry(entry: &Entry<'_>, copies: u64, sizes: Sizes) -> Self {
        let mut line = Self::default();
        match &entry.content {
            Content::Tensor {
                info,
                tied_to,
                unlisted,
            } => {
                let each = sizes.text(info.byte_len().unwrap_or_default() as u64);
                let size = match (tied_to, copies) {
                    (Some(_), _) => String::new(),
                    (None, 1) => each,
                    (None, copies) => format!("{copies} × {each}"),
                };
                line.columns = Some([info.dtype().to_string(), shape(info.shape()), size]);
                line.text = tied_to
                    .or(*unlisted)
                    .map_or_else(String::new, |other| format!("= {}", plain(other)));
            }
            Content::Value(value) => line.text = cut(&value_text(value), MOST_OF_A_VALUE).into_owned(),
            Content::Optimizer { summary, bytes } => line.text = format!("{summary}, {}", sizes.text(*bytes)),
        }
        line
    }
}

/// A shape with at most 16 of its dimensions.
pub(crate) fn shape(shape: &[usize]) -> String {
    let shown: Vec<String> = shape.iter().take(16).map(usize::to_string).collect();
    let more = if shape.len() > shown.len() { ", …" } else { "" };
    format!("[{}{more}]", shown.join(", "))
}

/// Prints a line for each entry.
///
/// # Errors
/// If the output cannot be written.
pub(crate) fn flat(screen: &mut Screen, entries: &[Entry<'_>], sizes: Sizes) -> Result<(), Failure> {
    let line = |entry: &Entry<'_>| Line {
        name: plain(entry.name).into_owned(),
        ..Line::of_entry(entry, 1, sizes)
    };
    print(screen, &entries.iter().map(line).collect::<Vec<_>>())
}

/// Prints a line for each node of a tree.
///
/// # Errors
/// If the output cannot be written.
pub(crate) fn nested(screen: &mut Screen, roots: &[Node<'_>], sizes: Sizes) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for root in roots {
        lines.push(line(root, String::new(), true, sizes));
        children(root, "", &mut lines, sizes);
    }
    print(screen, &lines)
}

fn children(node: &Node<'_>, before: &str, lines: &mut Vec<Line>, sizes: Sizes) {
    let last = node.children.len().saturating_sub(1);
    for (at, child) in node.children.iter().enumerate() {
        let (branch, below) = if at == last {
            ("└── ", "    ")
        } else {
            ("├── ", "│   ")
        };
        lines.push(line(child, format!("{before}{branch}"), false, sizes));
        children(child, &format!("{before}{below}"), lines, sizes);
    }
}

fn line(node: &Node<'_>, branches: String, is_root: bool, sizes: Sizes) -> Line {
    let of_entry = node
        .entry
        .as_ref()
        .map(|entry| Line::of_entry(entry, node.copies, sizes));
    let mut line = of_entry.unwrap_or_default();
    if is_root && node.entry.is_none() && node.tensors > 0 {
        line.text = format!("{}, {}", counted(node.tensors, "tensor"), sizes.text(node.bytes));
    }
    add(&mut line.text, &node.versions);
    Line {
        branches,
        name: plain(&node.label).into_owned(),
        is_heading: !node.children.is_empty(),
        ..line
    }
}

/// Prints lines with their columns below each other, cut to the width of the screen.
fn print(screen: &mut Screen, lines: &[Line]) -> Result<(), Failure> {
    let width = screen.width();
    let widest = |of: &dyn Fn(&Line) -> usize| lines.iter().map(of).max().unwrap_or_default();
    let names = widest(&|line| line.branches.width() + line.name.width());
    // Names take the place that they need, but leave some for the columns.
    let names = names.min((width / 5 * 3).max(16));
    let column = |at: usize| widest(&|line| line.columns.as_ref().map_or(0, |columns| columns[at].width()));
    let columns = [column(0), column(1), column(2)];
    for line in lines {
        screen.line(fitted(line, names, columns, width))?;
    }
    Ok(())
}

fn fitted(line: &Line, names: usize, widths: [usize; 3], width: usize) -> String {
    let branches = cut(&line.branches, names);
    let name = cut(&line.name, names - branches.width());
    let space = names - branches.width() - name.width();
    let rest = match &line.columns {
        None => line.text.clone(),
        Some([dtype, shape, size]) => {
            let [dtypes, shapes, sizes] = widths;
            let pad = |text: &str, width: usize| " ".repeat(width.saturating_sub(text.width()));
            let (after_dtype, after_shape, before_size) = (pad(dtype, dtypes), pad(shape, shapes), pad(size, sizes));
            format!(
                "{dtype}{after_dtype}{GAP}{shape}{after_shape}{GAP}{before_size}{size}{GAP}{}",
                line.text
            )
        }
    };
    let rest = cut(rest.trim_end(), width.saturating_sub(names + GAP.len()));
    let (branches, name) = (
        if branches.is_empty() {
            String::new()
        } else {
            styled(DIM, branches)
        },
        if line.is_heading {
            styled(BOLD, name)
        } else {
            name.into_owned()
        },
    );
    if rest.is_empty() {
        return format!("{branches}{name}");
    }
    format!("{branches}{name}{}{GAP}{rest}", " ".repeat(space))
}

/// Prints a line below the entries, after an empty one.
///
/// # Errors
/// If the output cannot be written.
pub(crate) fn remark(screen: &mut Screen, text: &str) -> Result<(), Failure> {
    screen.line("")?;
    let line = styled(DIM, cut(text, screen.width()));
    screen.line(line)
}
