//! The arguments and the output of commands that write a checkpoint from another one.

use std::path::PathBuf;

use clap::ValueEnum;
use fabric_core::{DType, Error, ExportReport, ReshardOptions, SaveReport};
use serde::Serialize;

use crate::bar::Bar;
use crate::destination;
use crate::failure::Failure;
use crate::json;
use crate::screen::{Screen, YELLOW, styled};
use crate::text::{plain, size};

/// The names that a line of the output lists.
const LISTED: usize = 8;

/// The arguments that all these commands have.
#[derive(Debug, clap::Args)]
pub(crate) struct Conversion {
    /// The checkpoint to read.
    #[arg(value_name = "A")]
    pub(crate) from: PathBuf,
    /// The path to write to.
    #[arg(value_name = "B")]
    pub(crate) to: PathBuf,
    /// Takes only what lies below this name, named relative to it: `model`.
    #[arg(long, value_name = "NAME")]
    pub(crate) subtree: Option<String>,
    /// Converts tensors of floats to this element type. Integers, values, and tensors without dimensions stay, and so do tensors
    /// of F4, F6 and `F8_E8M0`.
    #[arg(long, value_enum, value_name = "TYPE")]
    pub(crate) dtype: Option<Float>,
    /// Writes nothing, and says what would be written.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replaces what is at B.
    #[arg(long)]
    pub(crate) force: bool,
    /// Prints one document of JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// An element type that tensors are converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Float {
    F16,
    Bf16,
    F32,
    F64,
}

impl From<Float> for DType {
    fn from(float: Float) -> Self {
        match float {
            Float::F16 => Self::F16,
            Float::Bf16 => Self::BF16,
            Float::F32 => Self::F32,
            Float::F64 => Self::F64,
        }
    }
}

/// The checkpoint that was or would be written.
#[derive(Debug, Serialize)]
pub(crate) struct Written {
    from: String,
    to: String,
    pub(crate) format: &'static str,
    #[serde(rename = "written")]
    done: bool,
    entries: usize,
    bytes: u64,
    left_out: Vec<String>,
    added: Vec<String>,
    not_read: Vec<String>,
    /// `None` if nothing was converted, so that nobody can know.
    became_infinite: Option<Vec<String>>,
}

impl Conversion {
    /// Writes the checkpoint with `convert`, under a bar, and prints what was written.
    ///
    /// # Errors
    /// If nothing could be written.
    pub(crate) fn run(
        &self,
        screen: &mut Screen,
        verb: &'static str,
        convert: impl FnOnce(&Bar) -> Result<Written, Error>,
    ) -> Result<(), Failure> {
        destination::check(&self.from, &self.to, self.force)?;
        let bar = Bar::new(verb);
        let outcome = convert(&bar);
        bar.clear();
        let written = outcome.map_err(|error| Failure::of(&self.from, &error))?;
        if self.json {
            return json::print(screen, &written);
        }
        written.print(screen)
    }

    /// The options of a checkpoint of our own.
    pub(crate) fn reshard_options(&self, bar: &Bar) -> ReshardOptions {
        let options = ReshardOptions::new().dry_run(self.dry_run).progress(bar.callback());
        let options = match &self.subtree {
            Some(name) => options.subtree(name),
            None => options,
        };
        match self.dtype {
            Some(dtype) => options.dtype(dtype.into()),
            None => options,
        }
    }

    /// A checkpoint of our own.
    pub(crate) fn own(&self, report: SaveReport) -> Written {
        Written {
            entries: report.entries,
            bytes: report.bytes,
            not_read: report.not_read,
            became_infinite: self.infinite(report.overflowed),
            ..self.written("fabric")
        }
    }

    /// A file for other programs.
    pub(crate) fn exported(&self, format: &'static str, report: ExportReport) -> Written {
        Written {
            entries: report.tensors + report.values,
            bytes: report.bytes,
            left_out: report.left_out,
            added: report.added,
            not_read: report.not_read,
            became_infinite: self.infinite(report.overflowed),
            ..self.written(format)
        }
    }

    /// A dry run converts no number.
    fn infinite(&self, overflowed: Vec<String>) -> Option<Vec<String>> {
        (!self.dry_run).then_some(overflowed)
    }

    fn written(&self, format: &'static str) -> Written {
        Written {
            from: self.from.to_string_lossy().into_owned(),
            to: self.to.to_string_lossy().into_owned(),
            format,
            done: !self.dry_run,
            entries: 0,
            bytes: 0,
            left_out: Vec::new(),
            added: Vec::new(),
            not_read: Vec::new(),
            became_infinite: None,
        }
    }
}

impl Written {
    fn print(&self, screen: &mut Screen) -> Result<(), Failure> {
        let does = if self.done { "wrote" } else { "would write" };
        let entries = match self.entries {
            1 => "1 entry".to_owned(),
            count => format!("{count} entries"),
        };
        let (to, format, bytes) = (plain(&self.to), self.format, size(self.bytes));
        screen.line(format_args!("{does} {to}: {format}, {entries}, {bytes}"))?;
        let no_place = format!("left out, as {format} has no place for");
        list(screen, &no_place, "entry", "entries", &self.left_out)?;
        list(screen, "added, as PyTorch expects", "entry", "entries", &self.added)?;
        let warning = styled(YELLOW, "finite numbers became infinite in");
        let infinite = self.became_infinite.as_deref().unwrap_or_default();
        list(screen, &warning, "tensor", "tensors", infinite)?;
        let warning = styled(YELLOW, "not read, so the contents are missing from");
        list(screen, &warning, "entry", "entries", &self.not_read)
    }
}

/// Lists names on a line.
fn list(screen: &mut Screen, heading: &str, one: &str, several: &str, names: &[String]) -> Result<(), Failure> {
    if names.is_empty() {
        return Ok(());
    }
    let listed: Vec<_> = names.iter().take(LISTED).map(|name| plain(name)).collect();
    let (count, noun) = (names.len(), if names.len() == 1 { one } else { several });
    let mut line = format!("{heading} {count} {noun}: {}", listed.join(", "));
    if names.len() > LISTED {
        line.push_str(", …");
    }
    screen.line(line)
}
