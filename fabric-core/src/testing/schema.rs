//! Tests that guard a schema: against changes without a new version, and against old checkpoints that do not load any more.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::entry::strip;
use crate::fabric::Fabric;
use crate::state::{Checkpoint, Content, OptimizerPart, Visitor, resolve};

/// The variable that lets a test write a lock file.
const BLESS: &str = "FABRIC_BLESS";

const TITLE: &str = "# The schema of a state, written by fabric_core::testing::assert_schema.\n";

/// Asserts that the schema of a state is the one in a lock file, which is kept with the source.
///
/// The lock file has a line for each struct with its version, each tensor with its number of dimensions, each value, and each
/// optimizer with its kind; the name ends the line. Lengths of dimensions and contents are not in it.
///
/// ```text
/// struct 3 Attention model.layers.0
/// tensor 2 model.layers.0.out.weight
/// value iteration
/// optimizer AdamW optimizer
/// ```
///
/// A name, a kind or a number of dimensions that changed fails the test, unless a struct around it has a new version: then a file of the
/// old version needs a step of the struct's recipe, and the lock file a new text. `FABRIC_BLESS=1 cargo test` writes it, and writes the
/// first one.
///
/// ```no_run
/// # use candle_core::Tensor;
/// # use fabric_core::Checkpoint;
/// # #[derive(Checkpoint)] struct State { weight: Tensor }
/// # fn state() -> State { State { weight: Tensor::zeros(1, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap() } }
/// #[test]
/// fn the_schema_changes_with_its_version() {
///     fabric_core::testing::assert_schema(&state(), "tests/state.schema");
/// }
/// ```
///
/// # Panics
/// If the schema changed without a new version, if the lock file is missing or older, or if the state cannot be saved.
#[track_caller]
pub fn assert_schema<S: Checkpoint + ?Sized>(state: &S, lock: impl AsRef<Path>) {
    let lock = lock.as_ref();
    let may_write = std::env::var_os(BLESS).is_some_and(|value| !value.is_empty() && value != "0");
    if let Err(what) = compare(state, lock, may_write) {
        panic!("{what}");
    }
}

fn compare<S: Checkpoint + ?Sized>(state: &S, lock: &Path, may_write: bool) -> Result<(), String> {
    let own = Lines::of(state)?;
    let shown = lock.display();
    let write = || fs::write(lock, own.to_text()).map_err(|error| format!("could not write {shown}: {error}"));
    let text = match fs::read_to_string(lock) {
        Ok(text) => text,
        Err(_) if may_write => return write(),
        Err(error) => {
            return Err(format!(
                "could not read {shown}: {error}; {BLESS}=1 cargo test writes it"
            ));
        }
    };
    let locked = Lines::parse(&text)
        .ok_or_else(|| format!("{shown} is no lock file of a schema; remove it, and {BLESS}=1 cargo test writes it"))?;
    if locked == own {
        return Ok(());
    }
    let changes = own.unversioned_changes(&locked);
    if !changes.is_empty() {
        return Err(format!(
            "the schema in {shown} changed without a new version:\n{changes}raise `version` of the struct, and add the step from the \
             old version to its recipe: m.from(old, \"...\")"
        ));
    }
    if may_write {
        return write();
    }
    Err(format!(
        "the schema has a new version, and {shown} the old one: {BLESS}=1 cargo test writes the new one"
    ))
}

/// The lines of a lock file.
#[derive(Debug, Default, PartialEq)]
struct Lines {
    /// The versions by path and name. Several structs may have one path.
    structs: BTreeMap<(String, String), u32>,
    /// The kinds of the entries by name: `tensor 2`, `value`, `optimizer AdamW`.
    entries: BTreeMap<String, String>,
}

impl Lines {
    fn of<S: Checkpoint + ?Sized>(state: &S) -> Result<Self, String> {
        let mut visitor = Visitor::new();
        state.visit(&mut visitor);
        let places = resolve(visitor.finish()).map_err(|error| error.to_string())?;
        let mut lines = Self::default();
        for place in &places.structs {
            let path = place.names.own.clone();
            lines.structs.insert((path, place.name.to_owned()), place.version);
        }
        let of_optimizers: Vec<_> = places
            .optimizers
            .iter()
            .flat_map(|optimizer| &optimizer.parameters)
            .collect();
        for (at, item) in places.items.iter().enumerate() {
            let name = item.scope.name.clone();
            if of_optimizers.iter().any(|parameter| parameter.items.contains(&at)) {
                continue;
            }
            match &item.content {
                Content::Tensor(tensor, _) => drop(lines.entries.insert(name, format!("tensor {}", tensor.rank()))),
                Content::Value(_) => drop(lines.entries.insert(name, "value".to_owned())),
                Content::Optimizer {
                    optimizer,
                    part: OptimizerPart::Kind,
                    ..
                } => {
                    let root = name.strip_suffix("kind").unwrap_or_default().trim_end_matches('.');
                    let kind = places.optimizers[*optimizer].kind;
                    lines.entries.insert(root.to_owned(), format!("optimizer {kind}"));
                }
                Content::Optimizer { .. } => {}
            }
        }
        Ok(lines)
    }

    fn to_text(&self) -> String {
        let mut text = TITLE.to_owned();
        for ((path, name), version) in &self.structs {
            let line = format!("struct {version} {name} {path}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        for (name, kind) in &self.entries {
            let _ = writeln!(text, "{kind} {name}");
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (kind, rest) = line.split_once(' ')?;
            match kind {
                "struct" => {
                    let (version, rest) = rest.split_once(' ')?;
                    // Editors remove the space behind the name of the outermost struct.
                    let (name, path) = rest.split_once(' ').unwrap_or((rest, ""));
                    lines
                        .structs
                        .insert((path.to_owned(), name.to_owned()), version.parse().ok()?);
                }
                "value" => drop(lines.entries.insert(rest.to_owned(), kind.to_owned())),
                "tensor" | "optimizer" => {
                    let (detail, name) = rest.split_once(' ')?;
                    lines.entries.insert(name.to_owned(), format!("{kind} {detail}"));
                }
                _ => return None,
            }
        }
        Some(lines)
    }

    /// A line for each entry that changed, and that no struct with a new version holds.
    fn unversioned_changes(&self, locked: &Self) -> String {
        let mut changes = String::new();
        for (struct_of, version) in &self.structs {
            if let Some(before) = locked.version_of(struct_of).filter(|before| before > version) {
                let (path, name) = struct_of;
                let _ = writeln!(
                    changes,
                    "  struct {name} at `{path}`: version {before} before, {version} now"
                );
            }
        }
        let mut line = |name: &str, what: String| {
            if !self.has_new_version(locked, name) {
                let _ = writeln!(changes, "  `{name}`{}: {what}", self.innermost(name));
            }
        };
        for (name, kind) in &locked.entries {
            match self.entries.get(name) {
                None => line(name, format!("was {kind}, and is gone")),
                Some(now) if now != kind => line(name, format!("was {kind}, and is {now}")),
                Some(_) => {}
            }
        }
        for (name, kind) in self
            .entries
            .iter()
            .filter(|(name, _)| !locked.entries.contains_key(*name))
        {
            line(name, format!("is new, {kind}"));
        }
        changes
    }

    fn has_new_version(&self, locked: &Self, entry: &str) -> bool {
        let around = self
            .structs
            .iter()
            .filter(|((path, _), _)| strip(entry, path).is_some());
        let mut raised =
            around.filter(|(own, version)| locked.version_of(own).is_some_and(|before| before < **version));
        raised.next().is_some()
    }

    /// The version of a struct, by its path. A struct with a new name keeps its history; of several at one path, the name decides.
    fn version_of(&self, own: &(String, String)) -> Option<u32> {
        let (path, _) = own;
        let mut at_path = self.structs.iter().filter(|((other, _), _)| other == path);
        match (self.structs.get(own), at_path.next(), at_path.next()) {
            (Some(version), ..) | (None, Some((_, version)), None) => Some(*version),
            _ => None,
        }
    }

    /// The innermost struct around an entry, for a message.
    fn innermost(&self, entry: &str) -> String {
        let around = self.structs.keys().filter(|(path, _)| strip(entry, path).is_some());
        let innermost = around.max_by_key(|(path, _)| path.len());
        innermost.map_or_else(String::new, |(_, name)| format!(" of `{name}`"))
    }
}

/// Asserts that every checkpoint in a folder loads into a state: each file whose name ends with `.ckpt`, and each directory, except
/// hidden ones. Keep one
/// checkpoint of every version there, with small tensors. `state` makes a new state for each.
///
/// ```no_run
/// # use candle_core::Tensor;
/// # use fabric_core::Checkpoint;
/// # #[derive(Checkpoint)] struct State { weight: Tensor }
/// # fn state() -> State { State { weight: Tensor::zeros(1, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap() } }
/// #[test]
/// fn old_checkpoints_load() {
///     fabric_core::testing::assert_all_load("tests/checkpoints", state);
/// }
/// ```
///
/// # Panics
/// If a checkpoint does not load, with the errors of all of them; if there is none.
#[track_caller]
pub fn assert_all_load<S: Checkpoint>(folder: impl AsRef<Path>, state: impl Fn() -> S) {
    let folder = folder.as_ref();
    let paths = checkpoints(folder).unwrap_or_else(|error| panic!("could not list {}: {error}", folder.display()));
    assert!(
        !paths.is_empty(),
        "{} has no checkpoint, a file *.ckpt or a directory: save a small one with each version of the program",
        folder.display()
    );
    let load = |path: &PathBuf| {
        Fabric::new()
            .load(path, &mut state())
            .err()
            .map(|error| format!("{error}\n"))
    };
    let errors: String = paths.iter().filter_map(load).collect();
    assert!(errors.is_empty(), "{errors}");
}

fn checkpoints(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let is_checkpoint = path.is_dir() || path.extension().is_some_and(|extension| extension == "ckpt");
        if is_checkpoint && !is_hidden {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Lines {
        Lines::parse(text).expect("a lock file")
    }

    const BEFORE: &str =
        "struct 1 Train \nstruct 2 Layer layers.0\ntensor 2 layers.0.weight\nvalue step\noptimizer AdamW optimizer\n";

    #[test]
    fn a_lock_file_is_read_as_it_was_written() {
        let before = lines(BEFORE);
        assert_eq!(before.entries["optimizer"], "optimizer AdamW");
        assert_eq!(before.structs[&("layers.0".to_owned(), "Layer".to_owned())], 2);
        assert_eq!(lines(&before.to_text()), before);
        assert_eq!(Lines::parse("tensors 2 x"), None);
    }

    #[test]
    fn changes_without_a_new_version_are_listed() {
        let before = lines(BEFORE);
        let now = lines(
            &BEFORE
                .replace("tensor 2 layers.0.weight", "tensor 1 layers.0.w")
                .replace("value step", "value steps"),
        );
        let changes = now.unversioned_changes(&before);
        for part in [
            "`layers.0.weight` of `Layer`: was tensor 2, and is gone",
            "`layers.0.w` of `Layer`: is new, tensor 1",
            "`step` of `Train`: was value, and is gone",
        ] {
            assert!(changes.contains(part), "{part:?} is not in:\n{changes}");
        }
        let now = lines(
            &BEFORE
                .replace("tensor 2 layers.0.weight", "tensor 3 layers.0.weight")
                .replace("2 Layer", "3 Layer"),
        );
        assert_eq!(now.unversioned_changes(&before), "");
        let now = lines(&BEFORE.replace("2 Layer", "1 Layer"));
        assert!(now.unversioned_changes(&before).contains("version 2 before, 1 now"));
    }
}
