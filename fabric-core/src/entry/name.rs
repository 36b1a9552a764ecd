//! Entry names: field names, indices and keys joined by dots.

/// Names that container formats keep for themselves.
const RESERVED: &[&str] = &["__metadata__", "__fabric__"];

/// Longer names are refused, in memory and in files: no real model comes near it.
const MAX_LEN: usize = 4096;

/// Says what is wrong with an entry name, if anything is.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty; a state saved by itself must be a struct, a module or a map with named entries");
    }
    if has_empty_segment(name) {
        return Err("has an empty segment; every part between dots needs a name");
    }
    if RESERVED.contains(&name) {
        return Err("is reserved by the file format; rename the field or key");
    }
    if name.len() > MAX_LEN {
        return Err("is longer than 4096 bytes");
    }
    if has_control(name) {
        return Err("contains a control character");
    }
    Ok(())
}

fn has_empty_segment(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.first() == Some(&b'.') || bytes.last() == Some(&b'.') || bytes.windows(2).any(|pair| pair == b"..")
}

/// Looks at bytes first: nearly all names are ASCII.
fn has_control(name: &str) -> bool {
    if name.is_ascii() {
        name.bytes().any(|byte| byte.is_ascii_control())
    } else {
        name.chars().any(char::is_control)
    }
}

/// What the value of one rank is called among those of all: `position@3`.
pub(crate) fn of_rank(name: &str, rank: usize) -> String {
    format!("{name}@{rank}")
}

/// The name of a value without its rank, if it has one.
pub(crate) fn without_rank(name: &str) -> Option<(&str, usize)> {
    let (name, rank) = name.rsplit_once('@')?;
    Some((name, rank.parse().ok()?))
}

/// `prefix.name`, or `name` alone at the root.
pub(crate) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else if name.is_empty() {
        prefix.to_owned()
    } else {
        format!("{prefix}.{name}")
    }
}

/// The first segment of a name: the component it belongs to.
pub(crate) fn root(name: &str) -> &str {
    name.split_once('.').map_or(name, |(root, _)| root)
}

/// What follows `prefix.` in `name`; the whole name for an empty prefix, `""` where both are equal.
pub(crate) fn strip<'n>(name: &'n str, prefix: &str) -> Option<&'n str> {
    if prefix.is_empty() {
        return Some(name);
    }
    let rest = name.strip_prefix(prefix)?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix('.')
}
