//! The themes: what is measured beside what.

mod build_time;
#[cfg(feature = "cuda")]
mod cuda;
mod delta;
mod floors;
mod load;
mod memory;
mod migrations;
mod optimizer;
mod replaced;
mod restart;
mod runs;
mod save;
mod scale;
mod sizes;
mod stall;
mod tiny;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::figures::{Aim, Theme};
use crate::peers::Peers;
use crate::{Options, Outcome, files};

/// The names of the themes, in the order of the page.
pub const NAMES: [&str; 15] = [
    "floors",
    "load",
    "save",
    "replaced",
    "restart",
    "stall",
    "sizes",
    "tiny",
    "memory",
    "migrations",
    "optimizer",
    "build_time",
    "scale",
    "runs",
    "delta",
];

/// How to measure, and where.
#[derive(Debug)]
pub struct Bench {
    options: Options,
    scratch: Option<TempDir>,
}

impl Bench {
    /// Makes the directory for files if need be.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(options: Options) -> Outcome<Self> {
        std::fs::create_dir_all(&options.directory)?;
        Ok(Self { options, scratch: None })
    }

    /// Measures one theme; its files are removed.
    ///
    /// # Errors
    /// If there is no such theme, or what it measures fails.
    pub fn measure(&mut self, name: &str) -> Outcome<Theme> {
        self.scratch = Some(files::scratch(&self.options.directory)?);
        let mut theme = match name {
            "floors" => floors::measure(self),
            "load" => load::measure(self),
            "save" => save::measure(self),
            "replaced" => replaced::measure(self),
            "restart" => restart::measure(self),
            "stall" => stall::measure(self),
            "sizes" => sizes::measure(self),
            "tiny" => tiny::measure(self),
            "memory" => memory::measure(self),
            "migrations" => migrations::measure(self),
            "optimizer" => optimizer::measure(self),
            "build_time" => build_time::measure(self),
            "scale" => scale::measure(self),
            "runs" => runs::measure(self),
            "delta" => delta::measure(self),
            #[cfg(feature = "cuda")]
            "cuda" => cuda::measure(self),
            _ => Err(format!("there is no theme {name}").into()),
        }?;
        if theme.measured.is_empty() {
            theme.measured = rounds(self.runs());
        }
        self.scratch = None;
        Ok(theme)
    }

    /// What each process of a job of MPI does: its part of the theme of many ranks.
    #[cfg(feature = "mpi")]
    pub(crate) fn scale_as_rank(&self) -> Outcome {
        let path = self.options.directory.join("ranks");
        crate::four_ranks::measure_as_rank(&path, scale::form(self), self.runs())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch
            .as_ref()
            .map_or_else(|| Path::new(name).to_owned(), |scratch| scratch.path().join(name))
    }

    fn runs(&self) -> usize {
        if self.options.quick { 3 } else { 7 }
    }

    /// A size, a sixteenth of it for a quick run.
    fn scaled(&self, size: usize) -> usize {
        if self.options.quick { size / 16 } else { size }
    }

    fn peers(&self) -> Option<Peers> {
        self.options.peers.then(Peers::start).flatten()
    }
}

/// The number of rounds, in words.
fn rounds(runs: usize) -> String {
    format!("median of {runs} rounds, after one warm-up round")
}

impl Theme {
    fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            ..Self::default()
        }
    }

    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }

    /// Adds a ratio that should be this or more, if both were measured.
    fn at_least(&mut self, figure: &str, aim: f64, measured: Option<f64>) {
        self.aims
            .extend(measured.map(|measured| Aim::at_least(figure, aim, measured)));
    }

    /// Adds a figure that should be this or less, if it was measured.
    fn at_most(&mut self, figure: &str, aim: f64, unit: &str, measured: Option<f64>) {
        self.aims
            .extend(measured.map(|measured| Aim::at_most(figure, aim, unit, measured)));
    }
}
