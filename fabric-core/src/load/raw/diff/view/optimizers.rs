//! The optimizers of a checkpoint, in this library's form or in PyTorch's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ciborium::Value as Cbor;

use super::View;
use crate::entry::{join, strip};
use crate::hash::{HashMap, HashSet};
use crate::source::Index;

const GROUPS: &str = "param_groups";
const KIND: &str = "kind";
const NAMES: &str = "param_names";
const PARAMETERS: &str = "params";
const STATE: &str = "state";

/// The optimizers of a checkpoint, by their names.
#[derive(Debug)]
pub(super) struct Optimizers<'c>(BTreeMap<&'c str, Optimizer<'c>>);

#[derive(Debug)]
struct Optimizer<'c> {
    /// The name of each numbered parameter; empty if parameters have no numbers, or no names.
    names: HashMap<String, &'c str>,
    /// This library stores the kind of an optimizer, and PyTorch does not.
    has_kind: bool,
}

impl<'c> Optimizers<'c> {
    pub(super) fn of(index: &'c Index) -> Self {
        let found = index.values.iter().filter_map(|(name, value)| {
            let optimizer = match name.strip_suffix(GROUPS)? {
                "" => "",
                above => above.strip_suffix('.')?,
            };
            let groups = value.0.as_array()?;
            let found = Optimizer {
                names: names(groups).unwrap_or_default(),
                has_kind: index.contains(&join(optimizer, KIND)),
            };
            Some((optimizer, found))
        });
        Self(found.collect())
    }

    /// The name of an entry with its parameter's name in place of the number; `None` if the entry keeps its name.
    pub(super) fn renamed(&self, entry: &str) -> Option<String> {
        let mut found = self.0.iter().filter(|(_, optimizer)| !optimizer.names.is_empty());
        found.find_map(|(name, optimizer)| {
            let state = join(name, STATE);
            let rest = strip(entry, &state)?;
            let (number, rest) = rest.split_once('.').unwrap_or((rest, ""));
            let parameter = join(&state, optimizer.names.get(number)?);
            Some(if rest.is_empty() {
                parameter
            } else {
                join(&parameter, rest)
            })
        })
    }

    /// The values, with the parameters of groups as names in place of numbers.
    pub(super) fn with_names_as_parameters(
        &self,
        mut values: BTreeMap<Cow<'c, str>, Cow<'c, Cbor>>,
    ) -> BTreeMap<Cow<'c, str>, Cow<'c, Cbor>> {
        for (name, _) in self.0.iter().filter(|(_, optimizer)| !optimizer.names.is_empty()) {
            let groups = join(name, GROUPS);
            for group in 0.. {
                let group = join(&groups, &group.to_string());
                let Some(names) = values.remove(&*join(&group, NAMES)) else {
                    break;
                };
                values.insert(Cow::Owned(join(&group, PARAMETERS)), names);
            }
        }
        values
    }
}

/// The names of all parameters by their numbers, if each parameter has a number and a name of its own.
fn names(groups: &[Cbor]) -> Option<HashMap<String, &str>> {
    let (mut names, mut seen) = (HashMap::default(), HashSet::default());
    for group in groups {
        let group = group.as_map()?;
        let list = |key: &str| {
            let (_, list) = group.iter().find(|(name, _)| name.as_text() == Some(key))?;
            list.as_array()
        };
        let (numbers, texts) = (list(PARAMETERS)?, list(NAMES)?);
        if numbers.len() != texts.len() {
            return None;
        }
        for (number, text) in numbers.iter().zip(texts) {
            let (number, text) = (i128::from(number.as_integer()?).to_string(), text.as_text()?);
            let is_new = names.insert(number, text).is_none() && seen.insert(text);
            is_new.then_some(())?;
        }
    }
    Some(names)
}

/// The names before which an entry may be missing in one of two checkpoints, if the forms of their optimizers differ: the options
/// of groups. PyTorch stores options that this library does not have (`foreach`, `fused`), and does not store the kind.
pub(in super::super) fn one_sided_options(first: &View<'_>, second: &View<'_>) -> impl Fn(&str) -> bool {
    let (first, second) = (&first.optimizers.0, &second.optimizers.0);
    let shared = first.iter().filter_map(|(name, optimizer)| {
        let differs = second.get(name)?.has_kind != optimizer.has_kind;
        differs.then(|| (join(name, KIND), join(name, GROUPS)))
    });
    let shared: Vec<(String, String)> = shared.collect();
    move |entry| {
        let mut shared = shared.iter();
        shared.any(|(kind, groups)| entry == kind || strip(entry, groups).is_some())
    }
}
