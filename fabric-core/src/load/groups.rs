//! Reads `param_groups`: hyper-parameters, and the parameters that they belong to.

use crate::hash::{HashMap, HashSet};
use crate::state::{NamedOptimizer, NamedParameter, ParamGroup};
use crate::value::{Value, ValueError};

/// The groups of a file. They must have the number and the parameters of the optimizer's own groups.
pub(crate) fn read<O>(optimizer: &NamedOptimizer<O>, stored: &Value) -> Result<Vec<ParamGroup>, ValueError> {
    let stored = stored.as_list().unwrap_or_default();
    if stored.len() != optimizer.groups.len() {
        return Err(ValueError::new(format!(
            "expected {} groups of parameters, the file has {}; LoadOptions::new().keep_hyperparameters() restores the state by the \
             names of the parameters, and leaves the groups",
            optimizer.groups.len(),
            stored.len()
        )));
    }
    check_members(optimizer, &stored)?;
    let group = |(group, own): (&Value, &ParamGroup)| {
        let entries = group
            .as_map()
            .ok_or_else(|| ValueError::new("expected a map for each group of parameters"))?;
        let options = entries.into_iter().filter(|(key, _)| key != "params");
        Ok(ParamGroup::stored(own.parameters.clone(), options.collect()))
    };
    stored.iter().zip(&optimizer.groups).map(group).collect()
}

/// Checks that the numbers of a file mean this optimizer's parameters, where they mean positions. Hyper-parameters and names are not
/// compared.
pub(crate) fn check_positions<O>(optimizer: &NamedOptimizer<O>, stored: &Value) -> Result<(), ValueError> {
    let groups = stored.as_list().unwrap_or_default();
    if optimizer.by_position {
        return read(optimizer, stored).map(drop);
    }
    if optimizer.by_name || !groups.iter().any(|group| Members::of(group).numbered) {
        return Ok(());
    }
    read(optimizer, stored).map(drop)
}

/// Checks that every parameter is in the same group: in another group it would silently train with other
/// hyper-parameters.
fn check_members<O>(optimizer: &NamedOptimizer<O>, stored: &[Value]) -> Result<(), ValueError> {
    let stored: Vec<Members> = stored.iter().map(Members::of).collect();
    let mut groups: HashMap<&str, usize> = HashMap::default();
    for (at, group) in stored.iter().enumerate() {
        for name in &group.names {
            groups.entry(name).or_insert(at);
        }
    }
    for (at, own) in optimizer.groups.iter().enumerate() {
        // Numbers are positions here, so a missing parameter would shift the following ones.
        if stored[at].numbered && !optimizer.by_name && stored[at].names.len() != own.parameters.len() {
            return Err(ValueError::new(format!(
                "expected {} parameters in group {at}, the file has {}; give the optimizer the same parameters",
                own.parameters.len(),
                stored[at].names.len()
            )));
        }
        for parameter in own.parameters.iter().filter_map(|&at| optimizer.parameters.get(at)) {
            let other = names(parameter).filter_map(|name| groups.get(name).copied()).min();
            if let Some(other) = other.filter(|other| *other != at) {
                return Err(ValueError::new(format!(
                    "expected parameter `{}` in group {at}, the file has it in group {other}; give the groups in the \
                     same order, or leave them with LoadOptions::new().keep_hyperparameters()",
                    parameter.name
                )));
            }
        }
    }
    Ok(())
}

/// The parameters of a group in a file.
#[derive(Default)]
struct Members {
    names: HashSet<String>,
    /// The file numbers the parameters, and does not name them.
    numbered: bool,
}

impl Members {
    fn of(group: &Value) -> Self {
        let entries = group.as_map().unwrap_or_default();
        let Some((_, params)) = entries.into_iter().find(|(key, _)| key == "params") else {
            return Self::default();
        };
        let params = params.as_list().unwrap_or_default();
        let numbered = params.iter().any(|name| name.decode::<u64>().is_ok());
        let name = |name: &Value| {
            name.decode::<String>()
                .or_else(|_| name.decode().map(|n: u64| n.to_string()))
        };
        Self {
            names: params.iter().filter_map(|param| name(param).ok()).collect(),
            numbered,
        }
    }
}

/// The names that a parameter may have in a file.
fn names(parameter: &NamedParameter) -> impl Iterator<Item = &str> {
    let names = std::iter::once(&parameter.name).chain(&parameter.aliases);
    names.chain(&parameter.words).map(String::as_str)
}
