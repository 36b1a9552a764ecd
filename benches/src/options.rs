//! What a run is asked for, on the command line or by the environment.

use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::system::is_in_memory;
use crate::themes::NAMES;

const USAGE: &str = "options: --quick (small states, three runs)  --only THEME,THEME  --no-peers  --dir DIRECTORY  \
                     --out DIRECTORY  --render (draw what was measured before)";

/// How much is measured, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// States of a sixteenth of the size, and three runs: to see that everything works. Never for figures.
    pub quick: bool,
    /// The themes to measure; empty for all.
    pub only: Vec<String>,
    /// Whether other libraries are measured, where they are installed.
    pub peers: bool,
    /// Where files are written, in a new directory that is removed at the end.
    pub directory: PathBuf,
    /// Where the tables and plots go.
    pub out: Option<PathBuf>,
    /// What is done with figures.
    pub mode: Mode,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Figures are measured and shown.
    Measure,
    /// Nothing is measured; the stored figures are drawn again.
    Render,
    /// This process was started by another one, which reads from it, as JSON, what it measures.
    Child,
}

impl Options {
    /// Reads the arguments of the program, and `FABRIC_BENCH_QUICK` and `FABRIC_BENCH_DIR`.
    ///
    /// # Errors
    /// If an argument is unknown or lacks its value, or the directory is in memory, where nothing can be measured.
    pub fn from_environment() -> Outcome<Self> {
        let mut options = Self {
            quick: std::env::var_os("FABRIC_BENCH_QUICK").is_some(),
            only: Vec::new(),
            peers: true,
            directory: std::env::var_os("FABRIC_BENCH_DIR").map_or_else(build_directory, |path| Ok(path.into()))?,
            out: None,
            mode: Mode::Measure,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value\n{USAGE}"));
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--no-peers" => options.peers = false,
                "--child" => options.mode = Mode::Child,
                "--render" => options.mode = Mode::Render,
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--dir" => options.directory = value()?.into(),
                "--out" => options.out = Some(value()?.into()),
                // What `cargo bench` adds.
                "--bench" => {}
                _ => return Err(format!("unknown argument {argument}\n{USAGE}").into()),
            }
        }
        if let Some(unknown) = options.only.iter().find(|name| !NAMES.contains(&name.as_str())) {
            return Err(format!("there is no theme {unknown}; there are {}", NAMES.join(", ")).into());
        }
        refuse_memory(&options.directory)?;
        Ok(options)
    }
}

/// The directory for build outputs that this program lies in: a disk with room, and ignored by version control.
///
/// # Errors
/// If the program lies in no such directory.
pub fn build_directory() -> Outcome<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    Ok(target.ok_or("no directory for files: give one with --dir")?.to_owned())
}

fn refuse_memory(directory: &Path) -> Outcome {
    if is_in_memory(directory)? {
        let directory = directory.display();
        return Err(format!("{directory} is in memory, and syncing to it means nothing: give another --dir").into());
    }
    Ok(())
}
