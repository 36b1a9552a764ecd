//! Rebuilds flattened hyper-parameters: `param_groups.<parameter>.<option>`, one leaf for each parameter and option.
//!
//! PyTorch writes this form if a program asks for an optimizer's state with `flatten_optimizer_state_dict`. The file
//! does not say which parameters formed a group, so parameters with equal options become one group, in the order of the
//! file.

use std::collections::{BTreeMap, HashMap};

use super::{GROUPS, Leaf};
use crate::entry::join;
use crate::value::Value;

/// The options of one parameter, by name.
type Options = BTreeMap<String, Value>;

/// Replaces the flattened hyper-parameters in `leaves` by whole `param_groups`.
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
        // Entry names are unique, so the parameter has this option once.
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

/// The optimizer, the parameter and the option; `None` if groups are numbered, or the name is no hyper-parameter.
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

/// Groups parameters with equal options, in the order of the first parameter of each group.
fn groups(parameters: Vec<(String, Options)>) -> Vec<Options> {
    let mut groups: Vec<(Options, Vec<Value>)> = Vec::new();
    let mut numbers: HashMap<Vec<u8>, usize> = HashMap::new();
    for (name, options) in parameters {
        let name = Value(ciborium::Value::Text(name));
        // A value from a pickle never nests so deep that its encoding fails.
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
