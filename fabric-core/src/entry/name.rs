//! Entry names: field names, indices and keys joined by dots.

/// Names that file formats reserve.
const RESERVED: &[&str] = &["__metadata__", "__fabric__"];

/// The longest name in bytes, in memory and in files: no real model comes near it.
pub(crate) const MAX_LEN: usize = 4096;

/// Checks an entry name; the error is a clause that follows the name.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty; a state saved by itself must be a struct, a module or a map with named entries");
    }
    // One pass over the bytes: states have many names.
    let (mut has_empty_segment, mut has_control, mut before) = (false, false, b'.');
    for byte in name.bytes() {
        has_empty_segment |= byte == b'.' && before == b'.';
        has_control |= byte.is_ascii_control();
        before = byte;
    }
    if has_empty_segment || before == b'.' {
        return Err("has an empty segment; every part between dots needs a name");
    }
    if RESERVED.contains(&name) {
        return Err("is reserved by the file format; rename the field or key");
    }
    if name.len() > MAX_LEN {
        return Err("is longer than 4096 bytes");
    }
    if has_control || (!name.is_ascii() && name.chars().any(char::is_control)) {
        return Err("contains a control character");
    }
    Ok(())
}

/// Sorts names, and returns the first that is there twice. The names come as a few sorted runs, which a stable sort
/// recognises.
#[allow(clippy::stable_sort_primitive, reason = "the other sort does not see several runs")]
pub(crate) fn first_twice<'n>(names: &mut [&'n str]) -> Option<&'n str> {
    names.sort();
    let pairs = names.iter().zip(names.iter().skip(1));
    pairs.filter(|(name, next)| name == next).map(|(name, _)| *name).next()
}

/// The name of the value of one rank: `position@3`.
pub(crate) fn of_rank(name: &str, rank: usize) -> String {
    format!("{name}@{rank}")
}

/// The name of a value without its rank, if it has one.
pub(crate) fn without_rank(name: &str) -> Option<(&str, usize)> {
    let (plain, number) = name.rsplit_once('@')?;
    let rank = number.parse().ok()?;
    // `position@03` and `position@+3` are not names of a rank's value.
    (of_rank(plain, rank) == name).then_some((plain, rank))
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

/// The rest of `name` behind `prefix.`; the whole name for an empty prefix, `""` where both are equal.
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
