//! Reads which parameters the groups of a file hold.

use crate::source::Index;
use crate::state::{NamedOptimizer, Resolved};
use crate::value::Value;

/// The parameters of a group in a file.
pub(crate) struct FileGroup {
    /// Their numbers, in order.
    pub(crate) numbers: Vec<u64>,
    /// Their names beside the numbers, as many.
    pub(crate) names: Option<Vec<String>>,
    /// The file has names in place of numbers.
    pub(crate) is_named: bool,
}

/// The groups of an optimizer in a file; none if the file has none.
pub(crate) fn of<V, O>(places: &Resolved<V, O>, optimizer: &NamedOptimizer<O>, index: &Index) -> Vec<FileGroup> {
    // The groups stand behind the kind.
    let scope = &places.items[optimizer.kind_item + 1].scope;
    let mut names = std::iter::once(&scope.name).chain(&scope.alternatives);
    let stored = names.find_map(|name| index.values.get(name)).and_then(Value::as_list);
    stored.unwrap_or_default().iter().map(FileGroup::of).collect()
}

impl FileGroup {
    fn of(group: &Value) -> Self {
        let options = group.as_map().unwrap_or_default();
        let list = |key: &str| {
            let (_, value) = options.iter().find(|(name, _)| name == key)?;
            value.as_list()
        };
        let params = list("params").unwrap_or_default();
        let numbers: Vec<u64> = params.iter().filter_map(|param| param.decode().ok()).collect();
        let names = list("param_names").and_then(|names| {
            let names: Option<Vec<String>> = names.iter().map(|name| name.decode().ok()).collect();
            names.filter(|names| names.len() == numbers.len())
        });
        Self {
            is_named: !params.is_empty() && numbers.len() != params.len(),
            numbers,
            names,
        }
    }
}
