//! Paths that a command writes to.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::failure::Failure;
use crate::text::plain;

/// Refuses a destination that exists, unless `force` is set, and in any case one that is the source, a part of it, or holds it.
/// Nothing has been touched by then.
///
/// # Errors
/// The reason, with the option that helps.
pub(crate) fn check(from: &Path, to: &Path, force: bool) -> Result<(), Failure> {
    let shown = |path: &Path| plain(&path.to_string_lossy()).into_owned();
    // The library writes to the last component: `b/` and `b/.` are the file `b` or the link `b`, which the system does not
    // find by these names.
    let to = &*to.components().collect::<PathBuf>();
    let (whole_from, whole_to) = (followed(from), followed(to));
    let is_index = from.to_string_lossy().ends_with(".index.json");
    let inside = |inner: &Path, outer: &Path| inner.starts_with(outer) && inner != outer;
    if whole_from == whole_to {
        let (from, to) = (shown(from), shown(to));
        return Err(Failure::new(format!(
            "{to} is the source {from} itself; choose another path"
        )));
    }
    // The parts of an index lie beside it.
    if inside(&whole_to, &whole_from) || is_index && whole_to.exists() && whole_to.parent() == whole_from.parent() {
        let (from, to) = (shown(from), shown(to));
        return Err(Failure::new(format!(
            "{to} lies in the source {from}; choose another path"
        )));
    }
    if inside(&whole_from, &whole_to) {
        let (from, to) = (shown(from), shown(to));
        return Err(Failure::new(format!(
            "{to} holds the source {from}; choose another path"
        )));
    }
    // A link that points nowhere exists, too.
    if !force && fs::symlink_metadata(to).is_ok() {
        return Err(Failure::new(format!("{} exists; --force replaces it", shown(to))));
    }
    Ok(())
}

/// The path without links, as far as it exists.
fn followed(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let (mut existing, mut rest) = (absolute.as_path(), Vec::new());
    loop {
        if let Ok(found) = fs::canonicalize(existing) {
            return rest.iter().rev().fold(found, |path: PathBuf, part| match part {
                Component::ParentDir => path.parent().map_or(path.clone(), Path::to_path_buf),
                part => path.join(part),
            });
        }
        let mut components = existing.components();
        match components.next_back() {
            Some(last) => rest.push(last),
            None => return absolute,
        }
        existing = components.as_path();
    }
}
