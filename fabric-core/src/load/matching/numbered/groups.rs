//! Reads the parameters of the groups in a file.

use crate::source::Index;
use crate::state::{NamedOptimizer, Resolved};
use crate::value::Value;

/// The parameters of a group in a file.
pub(super) struct FileGroup {
    /// The numbers of the parameters, in order.
    pub(crate) numbers: Vec<u64>,
    /// The names of the parameters, one for each number.
    pub(crate) names: Option<Vec<String>>,
    /// The file names the parameters, and does not number them.
    pub(crate) is_named: bool,
}

/// The groups of an optimizer in a file; empty if the file has none.
pub(crate) fn of<V, O>(places: &Resolved<V, O>, optimizer: &NamedOptimizer<O>, index: &Index) -> Vec<FileGroup> {
    // The item of the groups follows that of the kind.
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
