//! `ckpt verify PATH...`: reads every byte, and says which places are damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fabric_core::{Damage, Error, Fabric, VerifyOptions, VerifyReport};
use serde::Serialize;

use crate::bar::Bar;
use crate::failure::{Failure, TROUBLE, say, sentence};
use crate::json;
use crate::screen::{GREEN, RED, Screen, YELLOW, styled};
use crate::text::{columns, plain, plural, size};

/// The exit status if something is damaged.
const DAMAGED: u8 = 1;

/// The damaged places of a checkpoint that are shown without --json.
const SHOWN: usize = 20;

/// Reads every byte of checkpoints, compares all checksums, and names every damaged place.
///
/// Exit status: 0 if all is whole, 1 if something is damaged, 2 if something is no checkpoint, is not there or cannot be read; of
/// several paths the highest. Bare weights have no checksums: their contents stay unchecked, and so do the indexes of
/// distributed checkpoints of PyTorch and of model hubs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Checkpoints: files and directories.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Reads headers and manifests only: finds files that are missing, cut off or of another save.
    #[arg(long)]
    quick: bool,
    /// Prints one document of JSON.
    #[arg(long)]
    json: bool,
}

/// # Errors
/// If the output cannot be written.
pub(crate) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<ExitCode, Failure> {
    let (fabric, mut worst) = (Fabric::new(), 0);
    let shown = |path: &Path| plain(&path.to_string_lossy()).into_owned();
    let width = arguments
        .paths
        .iter()
        .map(|path| columns(&shown(path)))
        .max()
        .unwrap_or(0);
    let mut documents = Vec::new();
    for path in &arguments.paths {
        let bar = Bar::new("verify");
        let options = VerifyOptions::new().quick(arguments.quick).progress(bar.callback());
        let outcome = fabric.verify_with(path, options);
        bar.clear();
        worst = worst.max(status(&outcome));
        if arguments.json {
            documents.push(Document::of(path, outcome));
            continue;
        }
        match outcome {
            Ok(report) => {
                let name = shown(path);
                let name = format!("{name}{}", " ".repeat(width - columns(&name)));
                print(screen, path, &name, &report, arguments.quick)?;
                screen.flush()?;
            }
            Err(error) => {
                screen.flush()?;
                say(&refusal(path, &error));
            }
        }
    }
    if arguments.json {
        let documents = Documents {
            quick: arguments.quick,
            checkpoints: documents,
        };
        json::print(screen, &documents)?;
    }
    Ok(ExitCode::from(worst))
}

fn status(outcome: &Result<VerifyReport, Error>) -> u8 {
    match outcome {
        Ok(report) if report.is_whole() => 0,
        Ok(_) => DAMAGED,
        Err(_) => TROUBLE,
    }
}

fn print(screen: &mut Screen, path: &Path, name: &str, report: &VerifyReport, quick: bool) -> Result<(), Failure> {
    let indent = " ".repeat(columns(name) + 13);
    for (number, damage) in report.damaged.iter().take(SHOWN).enumerate() {
        let place = place(path, damage);
        match number {
            0 => screen.line(format_args!("{}    {name}  {place}", styled(RED, "damaged")))?,
            _ => screen.line(format_args!("{indent}{place}"))?,
        }
    }
    if let Some(more) = report.damaged.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        screen.line(format_args!("{indent}and {} more", plural(more, "damaged place")))?;
    }
    if !report.is_whole() {
        return Ok(());
    }
    let blocks = usize::try_from(report.blocks).unwrap_or(usize::MAX);
    let read = format!("{}, {}", size(report.bytes), plural(blocks, "block"));
    if quick {
        let entries = format!("{}, contents not read", entries(report.entries));
        screen.line(format_args!("{}       {name}  {entries}", styled(GREEN, "good")))
    } else if let Some(unchecked) = unchecked(report) {
        let word = styled(YELLOW, "unchecked");
        screen.line(format_args!("{word}  {name}  {read}, {unchecked}"))
    } else {
        screen.line(format_args!("{}       {name}  {read}", styled(GREEN, "good")))
    }
}

/// The bytes without checksums, if there are any.
fn unchecked(report: &VerifyReport) -> Option<String> {
    let index = size(report.unchecked_index);
    Some(match (report.unchecked, report.unchecked_index) {
        (0, 0) => return None,
        (0, _) => format!("index of {index} unchecked: it has no checksum"),
        (contents, 0) if contents == report.bytes => "contents unchecked: they have no checksums".to_owned(),
        (contents, _) if contents == report.bytes => "contents and index unchecked: they have no checksums".to_owned(),
        (contents, 0) => format!("{} unchecked: they have no checksums", size(contents)),
        (contents, _) => format!(
            "{} and index of {index} unchecked: they have no checksums",
            size(contents)
        ),
    })
}

fn entries(count: usize) -> String {
    if count == 1 {
        "1 entry".to_owned()
    } else {
        format!("{count} entries")
    }
}

/// A damaged place in a line, with the file if the checkpoint has several.
fn place(path: &Path, damage: &Damage) -> String {
    let mut text = match (&damage.entry, damage.block, &damage.bytes) {
        (Some(entry), Some(block), Some(bytes)) => {
            format!("{entry}, block {block} (bytes {}..{})", bytes.start, bytes.end)
        }
        _ => damage.what.clone(),
    };
    if !damage.path.components().eq(path.components()) {
        // The names of its files are enough; their folder is a random number.
        let file = damage.path.file_name().unwrap_or(damage.path.as_os_str());
        text = format!("{}: {text}", file.to_string_lossy());
    }
    plain(&text).into_owned()
}

/// The error as a sentence, with the command that verifies a run.
fn refusal(path: &Path, error: &Error) -> String {
    let text = sentence(path, error);
    if matches!(error, Error::UnknownFormat { .. }) && is_run(path) {
        let path = plain(&path.to_string_lossy()).into_owned();
        return format!("{path} is the directory of a run: `ckpt runs {path} --verify` verifies its checkpoints");
    }
    text
}

/// True for a directory with files that are called as the checkpoints of runs are.
fn is_run(path: &Path) -> bool {
    let names = fs::read_dir(path).into_iter().flatten().flatten();
    let is_one = |name: &str| {
        let steps = name.strip_prefix("step-").and_then(|rest| rest.strip_suffix(".ckpt"));
        steps.is_some_and(|step| step.bytes().any(|byte| byte.is_ascii_digit()))
    };
    names
        .map(|entry| entry.file_name())
        .any(|name| is_one(&name.to_string_lossy()))
}

#[derive(Serialize)]
struct Documents {
    /// True if no tensor was read.
    quick: bool,
    checkpoints: Vec<Document>,
}

/// A checkpoint, as --json shows it.
#[derive(Serialize)]
struct Document {
    path: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    entries: usize,
    blocks: u64,
    bytes: u64,
    unchecked_bytes: u64,
    unchecked_index_bytes: u64,
    damaged: Vec<DamageDocument>,
}

#[derive(Serialize)]
struct DamageDocument {
    file: String,
    entry: Option<String>,
    block: Option<usize>,
    start: Option<u64>,
    end: Option<u64>,
    finding: String,
}

impl Document {
    fn of(path: &Path, outcome: Result<VerifyReport, Error>) -> Self {
        let error = outcome.as_ref().err().map(|error| refusal(path, error));
        let report = outcome.unwrap_or_default();
        let status = match (&error, report.is_whole(), report.unchecked + report.unchecked_index) {
            (Some(_), ..) => "unreadable",
            (None, false, _) => "damaged",
            (None, true, 0) => "good",
            (None, true, _) => "unchecked",
        };
        Self {
            path: path.to_string_lossy().into_owned(),
            status,
            error,
            entries: report.entries,
            blocks: report.blocks,
            bytes: report.bytes,
            unchecked_bytes: report.unchecked,
            unchecked_index_bytes: report.unchecked_index,
            damaged: report.damaged.into_iter().map(DamageDocument::of).collect(),
        }
    }
}

impl DamageDocument {
    fn of(damage: Damage) -> Self {
        let (start, end) = damage.bytes.map(|bytes| (bytes.start, bytes.end)).unzip();
        Self {
            file: damage.path.to_string_lossy().into_owned(),
            entry: damage.entry,
            block: damage.block,
            start,
            end,
            finding: damage.what,
        }
    }
}
