//! Hyper-parameters that were flattened: `param_groups.<parameter>.<option>`, one for each parameter.
//!
//! PyTorch writes them so where an optimizer's state is asked for with `flatten_optimizer_state_dict`. Which parameters
//! formed a group is not in the file, so those with equal options become one, in the order of the file.

use std::collections::{BTreeMap, HashMap};

use super::{GROUPS, Leaf};
use crate::entry::join;
use crate::value::Value;

/// The options of one parameter, by name.
type Options = BTreeMap<String, Value>;

/// Takes the flattened hyper-parameters out of `leaves`, and puts whole `param_groups` in.
pub(crate) fn regroup(leaves: Vec<Leaf>) -> Vec<Leaf> {
    let mut optimizers: BTreeMap<String, Vec<(String, Options)>> = BTreeMap::new();
    let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut others = Vec::with_capacity(leaves.len());
    for leaf in leaves {
        let Some((optimizer, parameter, option)) = parse(&leaf.name) else {
            others.push(leaf);
            continue;
        };
        let parameters = optimizers.entry(optimizer.to_owned()).or_default();
        let key = (optimizer.to_owned(), parameter.to_owned());
        let at = *places.entry(key).or_insert(parameters.len());
        if at == parameters.len() {
            parameters.push((parameter.to_owned(), Options::new()));
        }
        // Names of entries are there once, so this option is, too.
        parameters[at].1.insert(option.to_owned(), leaf.value);
    }
    let whole = optimizers.into_iter().map(|(optimizer, parameters)| Leaf {
        name: join(&optimizer, GROUPS),
        path: None,
        value: Value::list(groups(parameters).into_iter().map(Value::map)),
    });
    others.extend(whole);
    others
}

/// Optimizer, parameter and option; `None` if the groups are numbered, or it is something else.
fn parse(name: &str) -> Option<(&str, &str, &str)> {
    let (optimizer, rest) = match name.strip_prefix(GROUPS).and_then(|rest| rest.strip_prefix('.')) {
        Some(rest) => ("", rest),
        None => name
            .split_once(GROUPS)
            .and_then(|(before, rest)| Some((before.strip_suffix('.')?, rest.strip_prefix('.')?)))?,
    };
    let (parameter, option) = rest.rsplit_once('.')?;
    let first = parameter.split('.').next().unwrap_or_default();
    (first.parse::<u64>().is_err()).then_some((optimizer, parameter, option))
}

/// Parameters with equal options, in the order of the first of each.
fn groups(parameters: Vec<(String, Options)>) -> Vec<Options> {
    let mut groups: Vec<(Options, Vec<Value>)> = Vec::new();
    let mut numbers: HashMap<Vec<u8>, usize> = HashMap::new();
    for (name, options) in parameters {
        let name = Value(ciborium::Value::Text(name));
        // Values that came out of a pickle nest less deep than those that have no bytes.
        let bytes = Value::map(options.clone()).to_bytes().unwrap_or_default();
        let at = *numbers.entry(bytes).or_insert(groups.len());
        match groups.get_mut(at) {
            Some((_, names)) => names.push(name),
            None => groups.push((options, vec![name])),
        }
    }
    let with_names = |(mut options, names): (Options, Vec<Value>)| {
        options.insert("params".to_owned(), Value::list(names));
        options
    };
    groups.into_iter().map(with_names).collect()
}
