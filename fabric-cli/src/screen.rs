//! Standard output.

use std::fmt::Display;
use std::io::{BufWriter, IsTerminal, Stdout, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;

use crate::arguments::Color;
use crate::failure::Failure;

/// The width of lines where the output goes to no terminal: nothing is cut.
const UNLIMITED: usize = usize::MAX;

/// Names, headings of columns.
pub(crate) const BOLD: Style = Style::new().bold();
/// The branches of a tree, remarks.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Whole, added.
pub(crate) const GREEN: Style = anstyle::AnsiColor::Green.on_default();
/// Damaged, removed.
pub(crate) const RED: Style = anstyle::AnsiColor::Red.on_default();
/// Unchecked, changed.
pub(crate) const YELLOW: Style = anstyle::AnsiColor::Yellow.on_default();

/// Standard output, with colours if it is a terminal or the user asks for them.
pub(crate) struct Screen {
    out: BufWriter<AutoStream<Stdout>>,
    width: usize,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen")
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}

impl Screen {
    pub(crate) fn new(color: Color) -> Self {
        let stdout = std::io::stdout();
        let is_terminal = stdout.is_terminal();
        let choice = match color {
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
            // NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM.
            Color::Auto => AutoStream::choice(&stdout),
        };
        let terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let width = if is_terminal { terminal() } else { None };
        Self {
            out: BufWriter::new(AutoStream::new(stdout, choice)),
            width: width.filter(|width| *width > 0).unwrap_or(UNLIMITED),
        }
    }

    /// The number of columns; without a bound where the output goes to no terminal.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Writes a line.
    ///
    /// # Errors
    /// If the output cannot be written: [`Failure::Closed`] if its reader has gone.
    pub(crate) fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{line}")?)
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.out.write_all(bytes)?)
    }

    /// # Errors
    /// As [`line`](Self::line).
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }
}

/// A text in a style.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}
