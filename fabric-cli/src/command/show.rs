//! `ckpt show PATH NAME`: one entry of a checkpoint.

mod nested;
mod slice;
mod tensor;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fabric_core::{Error, Json, RawCheckpoint, Value};
use serde::Serialize;

use super::ls::{open, table};
use crate::entries;
use crate::failure::Failure;
use crate::json;
use crate::screen::Screen;
use crate::text::plain;
use crate::tree::{Order, tree};
use crate::versions::Versions;

/// Shows an entry: a value as JSON, or the statistics and the first elements of a tensor.
///
/// A name with entries below it shows these. The keys of a map follow its name: hparams.width.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file or the directory.
    path: PathBuf,
    /// The name of the entry.
    name: String,
    /// Prints all elements of a tensor.
    #[arg(long)]
    full: bool,
    /// A part of a tensor, as Python has it: `0,:8` is the first row up to its eighth element.
    #[arg(long, value_name = "SLICE", allow_hyphen_values = true)]
    slice: Option<String>,
    /// Prints one document of JSON.
    #[arg(long)]
    json: bool,
}

/// # Errors
/// If the checkpoint cannot be opened, it has no such entry, its bytes are damaged, or the output cannot be written.
pub(crate) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<ExitCode, Failure> {
    let path = &arguments.path;
    let raw = open(path)?;
    let name = arguments.name.as_str();
    if raw.info(name).is_some() {
        tensor::show(&raw, arguments, screen)?;
        return Ok(ExitCode::SUCCESS);
    }
    let inside = raw.value_inside(name);
    match (raw.stored_value(name), &inside) {
        (Ok(value), _) | (Err(_), Some(value)) => show_value(value, arguments, screen)?,
        (Err(error), None) => show_below(&raw, &error, arguments, screen)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The failure of a call about the path.
fn failure(path: &Path) -> impl Fn(Error) -> Failure {
    move |error| Failure::of(path, &error)
}

/// The failure about a name, with the path as the user gave it.
fn no_such(path: &Path, error: &Error) -> Failure {
    match error {
        Error::NoSuchEntry { name, suggestion, .. } => {
            let path = plain(&path.to_string_lossy()).into_owned();
            Failure::new(plain(&format!("{path}: no entry `{name}`{suggestion}")))
        }
        other => Failure::of(path, other),
    }
}

#[derive(Serialize)]
struct ValueDocument<'d> {
    path: String,
    name: &'d str,
    kind: &'static str,
    value: Json<'d>,
}

fn show_value(value: &Value, arguments: &Arguments, screen: &mut Screen) -> Result<(), Failure> {
    if arguments.slice.is_some() {
        let text = format!(
            "{}: entry `{}` is a value; --slice is for tensors",
            plain(&arguments.path.to_string_lossy()),
            plain(&arguments.name)
        );
        return Err(Failure::new(text).with_status(crate::USAGE));
    }
    if !arguments.json {
        return json::print(screen, &value.json());
    }
    let document = ValueDocument {
        path: arguments.path.to_string_lossy().into_owned(),
        name: &arguments.name,
        kind: "value",
        value: value.json(),
    };
    json::print(screen, &document)
}

#[derive(Serialize)]
struct BelowDocument<'d> {
    path: String,
    name: &'d str,
    kind: &'static str,
    names: Vec<&'d str>,
}

/// Shows the entries below a name that is none of an entry.
fn show_below(raw: &RawCheckpoint, error: &Error, arguments: &Arguments, screen: &mut Screen) -> Result<(), Failure> {
    let prefix = format!("{}.", arguments.name);
    let mut below = entries::all(raw);
    below.retain(|entry| entry.name.starts_with(&prefix));
    if below.is_empty() {
        return Err(no_such(&arguments.path, error));
    }
    if !arguments.json {
        return table::nested(
            screen,
            &tree(&below, Order::Name, &Versions::default()),
            table::Sizes::new(false),
        );
    }
    let document = BelowDocument {
        path: arguments.path.to_string_lossy().into_owned(),
        name: &arguments.name,
        kind: "subtree",
        names: below.iter().map(|entry| entry.name).collect(),
    };
    json::print(screen, &document)
}
