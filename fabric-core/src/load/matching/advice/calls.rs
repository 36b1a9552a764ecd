//! The sentences that say where the entries are and which call finds them.

use std::fmt::Write as _;

use super::moved::{Move, Moves};
use super::order::in_order;
use crate::entry::entries;
use crate::hash::HashSet;
use crate::source::Index;
use crate::source::names::without;

/// One sentence for each part that has moved, and one call for all of them if there are several.
pub(crate) fn sentences(moves: &Moves, index: &Index, known: &HashSet<&str>) -> Vec<String> {
    let has_recipe = !index.edits.origins.is_empty();
    if has_recipe {
        // Options give names before the recipes do.
        let sentences = moves.moves.iter().filter(|part| part.from != part.to);
        return sentences.map(|part| sentence(part, None, Calls::OfRecipe)).collect();
    }
    if let Some(call) = prefix(moves, index, known) {
        return vec![format!(
            "LoadOptions::new().{call} would match {}",
            entries(moves.count())
        )];
    }
    let renames = moves.moves.iter().filter(|part| is_rename(part));
    let count = renames.clone().count() + usize::from(moves.wrapper.is_some());
    let renames = in_order(renames, index);
    let own = if renames.depend { Calls::Together } else { Calls::Alone };
    let sentence = |part| sentence(part, moves.wrapper, own);
    let mut sentences: Vec<String> = moves.moves.iter().map(sentence).collect();
    if count > 1 || renames.depend {
        let mut call = String::from("LoadOptions::new()");
        if let Some(wrapper) = moves.wrapper {
            let _ = write!(call, ".strip_prefix({wrapper:?})");
        }
        for (from, to) in &renames.pairs {
            let _ = write!(call, ".rename({from:?}, {to:?})");
        }
        sentences.push(format!("all together: {call}"));
    }
    sentences
}

/// The calls that a sentence names.
#[derive(Clone, Copy, PartialEq)]
enum Calls {
    /// That for this part is right without those for the others.
    Alone,
    /// All of them stand in one sentence at the end.
    Together,
    /// A recipe has given the names.
    OfRecipe,
}

fn is_rename(part: &Move) -> bool {
    !part.from.is_empty() && !part.to.is_empty() && part.from != part.to
}

/// The root or the prefix that all parts lie below.
fn prefix(moves: &Moves, index: &Index, known: &HashSet<&str>) -> Option<String> {
    let first = moves.moves.first()?;
    let all_alike = |in_front: &dyn Fn(&Move) -> Option<String>| {
        let expected = in_front(first)?;
        let mut parts = moves.moves.iter();
        parts
            .all(|part| in_front(part).as_ref() == Some(&expected))
            .then_some(expected)
    };
    if let Some(wrapper) = moves.wrapper {
        let nothing_else = moves.moves.iter().all(|part| part.from == part.to);
        return nothing_else.then(|| format!("strip_prefix({wrapper:?})"));
    }
    // `module.fc1` for `fc1`.
    let before = all_alike(&|part| {
        let before = match part.to.as_str() {
            "" => Some(part.from.as_str()),
            to => part.from.strip_suffix(to).and_then(|rest| rest.strip_suffix('.')),
        };
        before.filter(|before| !before.is_empty()).map(str::to_owned)
    });
    let is_known = |prefix: &str| known.iter().any(|name| without(name, prefix) != **name);
    if let Some(before) = before {
        if is_known(&format!("{before}.")) {
            return None;
        }
        let is_whole_state = first.to.is_empty();
        return Some(if is_whole_state && !all_begin(&before, index) {
            format!("root({before:?})")
        } else {
            format!("strip_prefix({:?})", format!("{before}."))
        });
    }
    // `model.module.fc1` for `model.fc1`.
    let inside = all_alike(&|part| {
        let rest = part.from.strip_prefix(part.to.as_str())?.strip_prefix('.')?;
        (!part.to.is_empty() && !part.to.contains('.')).then(|| rest.to_owned())
    })?;
    let inside = format!("{inside}.");
    (!is_known(&inside)).then(|| format!("strip_prefix({inside:?})"))
}

/// Returns true if all names of the file have the prefix at their start, or behind their component.
fn all_begin(prefix: &str, index: &Index) -> bool {
    let wraps = |name: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'));
    let mut names = index.names();
    names.all(|name| wraps(name) || name.split_once('.').is_some_and(|(_, below)| wraps(below)))
}

fn sentence(part: &Move, wrapper: Option<&str>, own: Calls) -> String {
    let Move {
        from,
        to,
        count,
        wanted,
        stored,
        has_values,
    } = part;
    let has = if count == wanted && count == stored {
        format!("has the same {}", entries(*count))
    } else if count == wanted {
        format!("has all {} that", entries(*count))
    } else {
        format!("has {count} of the {}", entries(*wanted))
    };
    let (has, link) = match has.strip_suffix(" that") {
        Some(has) => (has.to_owned(), "of"),
        None if count == wanted => (has, "as"),
        None => (has, "of"),
    };
    let stripped = wrapper.map_or_else(String::new, |wrapper| format!(", without `{wrapper}`,"));
    if own == Calls::OfRecipe {
        let below = |name: &str| {
            if name.is_empty() {
                "*".to_owned()
            } else {
                format!("{name}.*")
            }
        };
        let (old, new) = if from.is_empty() || to.is_empty() {
            (below(from), below(to))
        } else {
            (from.clone(), to.clone())
        };
        return format!("`{from}` {has} {link} `{to}`: .rename({old:?}, {new:?}) behind the words of the recipe");
    }
    if from.is_empty() {
        let (object, load) = (place(to), if *has_values { "load" } else { "load_raw" });
        return format!("the file itself{stripped} {has} {link} `{to}`: fabric.{load}(path, &mut {object})");
    }
    if to.is_empty() {
        return format!("the file's `{from}`{stripped} {has} {link} the state: LoadOptions::new().root({from:?})");
    }
    let calls = if own == Calls::Alone || !is_rename(part) {
        format!(": {}", calls(part, wrapper))
    } else {
        String::new()
    };
    if *wanted == 1 && *stored == 1 && *count == 1 {
        return format!("the file's `{from}` may be `{to}`{calls}");
    }
    format!("the file's `{from}`{stripped} {has} {link} `{to}`{calls}")
}

/// The attribute and the option. An attribute knows names at its own level only.
fn calls(part: &Move, wrapper: Option<&str>) -> String {
    let Move { from, to, .. } = part;
    if from == to {
        return format!("LoadOptions::strip_prefix({:?})", wrapper.unwrap_or_default());
    }
    let level = |name: &str| name.rsplit_once('.').map(|(level, _)| level.to_owned());
    let rename = format!("LoadOptions::rename({from:?}, {to:?})");
    let last = from.rsplit('.').next().unwrap_or_default();
    let is_field = !to
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .starts_with(|c: char| c.is_ascii_digit());
    if level(from) == level(to) && wrapper.is_none() && is_field {
        format!("alias = {last:?}, or {rename}")
    } else {
        rename
    }
}

/// The expression for a part of the state: `state.model.layers[0]`.
fn place(name: &str) -> String {
    let mut place = String::from("state");
    for segment in name.split('.') {
        let _ = match segment.parse::<usize>() {
            Ok(number) => write!(place, "[{number}]"),
            Err(_) => write!(place, ".{segment}"),
        };
    }
    place
}
