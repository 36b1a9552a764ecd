//! Finds the parameter that a number means in a file of PyTorch: `optimizer.state.3.exp_avg`.
//!
//! PyTorch numbers the parameters in the order in which its optimizer was given them. If the file has their names
//! (`param_names`), the names decide. Otherwise the keys of the model in the same file decide, if they can only be
//! those parameters: one group, as many keys as it has parameters, with the shapes of their state. Otherwise the load
//! assumes that the state has its parameters in the file's order, and the report says so.

mod groups;
mod keys;
mod names;

use crate::source::Index;
use crate::source::names::Renamed;
use crate::state::{NamedOptimizer, Resolved};

/// A file's entries under the names that a state looks up, and the file's own names.
#[derive(Clone, Copy)]
pub(crate) struct Names<'i> {
    pub(crate) index: &'i Index,
    pub(crate) renamed: Option<&'i Renamed>,
}

impl<'i> Names<'i> {
    /// The name of an entry in the file.
    fn origin(&self, name: &'i str) -> &'i str {
        self.renamed.and_then(|renamed| renamed.origin(name)).unwrap_or(name)
    }

    /// The names of the tensors that a state looks up, in the order in which the program wrote them.
    fn in_order(&self) -> Vec<&'i str> {
        let names = self.index.order.iter().map(String::as_str);
        names.filter(|name| self.index.tensors.contains_key(*name)).collect()
    }
}

/// Lets the optimizers of a state find entries that a file of PyTorch numbers, or that have shorter names. Returns the
/// assumptions as sentences.
pub(crate) fn accept_numbers<V, O>(places: &mut Resolved<V, O>, file: Names<'_>) -> Vec<String> {
    places.find_foreign(|name| file.index.contains(name));
    let mut assumed = Vec::new();
    for at in 0..places.optimizers.len() {
        if places.optimizers[at].foreign {
            let numbering = numbering(places, at, file);
            assumed.extend(numbering.assumed);
            places.optimizers[at].by_name = numbering.by_name;
            places.accept_pytorch_names(at, &numbering.numbers);
        } else {
            assumed.extend(own_numbers(places, at, file.index));
        }
    }
    assumed
}

/// The assumption about a checkpoint of this library whose optimizer had no names for its parameters: the numbers in the
/// file are the positions in which this optimizer has its parameters.
fn own_numbers<V, O>(places: &Resolved<V, O>, at: usize, index: &Index) -> Option<String> {
    let optimizer = &places.optimizers[at];
    let mut parameters = optimizer.parameters.iter().enumerate();
    let is_nameless =
        parameters.all(|(at, parameter)| parameter.place == usize::MAX && parameter.name == at.to_string());
    let numbers = optimizer.positions();
    let is_assumption = is_nameless && numbers.len() > 1 && has_state(optimizer, &numbers, index);
    is_assumption.then(|| assumption(places, optimizer, false))
}

/// The number of each parameter of an optimizer, and the rule that gave it.
struct Numbering {
    numbers: Vec<Option<u64>>,
    by_name: bool,
    assumed: Option<String>,
}

fn numbering<V, O>(places: &Resolved<V, O>, at: usize, file: Names<'_>) -> Numbering {
    let optimizer = &places.optimizers[at];
    let groups = groups::of(places, optimizer, file.index);
    if groups.iter().any(|group| group.is_named) {
        return Numbering::known(vec![None; optimizer.parameters.len()]);
    }
    let numbered = groups.iter().all(|group| group.names.is_some()) && !groups.is_empty();
    if let Some(numbers) = numbered
        .then(|| names::numbers(places, optimizer, &groups, file))
        .flatten()
    {
        return Numbering::known(numbers);
    }
    if let Some(numbers) = keys::numbers(places, optimizer, &groups, file) {
        return Numbering::known(numbers);
    }
    let numbers = optimizer.positions();
    let is_assumption = numbers.len() > 1 && has_state(optimizer, &numbers, file.index);
    Numbering {
        assumed: is_assumption.then(|| assumption(places, optimizer, numbered)),
        numbers,
        by_name: false,
    }
}

impl Numbering {
    fn known(numbers: Vec<Option<u64>>) -> Self {
        Self {
            numbers,
            by_name: true,
            assumed: None,
        }
    }
}

/// Returns true if the file has state under any of these numbers.
fn has_state<O>(optimizer: &NamedOptimizer<O>, numbers: &[Option<u64>], index: &Index) -> bool {
    let below = |state: &String, number: u64| {
        let below = format!("{state}.{number}.");
        let mut tensors = index.tensors.range(below.clone()..);
        tensors.next().is_some_and(|(name, _)| name.starts_with(&below))
    };
    let states = &optimizer.state;
    let mut numbers = numbers.iter().flatten();
    numbers.any(|&number| states.iter().any(|state| below(state, number)))
}

fn assumption<V, O>(places: &Resolved<V, O>, optimizer: &NamedOptimizer<O>, named: bool) -> String {
    let groups = &places.items[optimizer.kind_item + 1].scope.name;
    let why = if named {
        "has other names for its parameters than the state, and numbers"
    } else {
        "has numbers for its parameters, and no names"
    };
    let order = if optimizer
        .parameters
        .iter()
        .all(|parameter| parameter.place == usize::MAX)
    {
        "in which this optimizer was given its parameters"
    } else {
        "in which the state declares its parameters"
    };
    format!(
        "`{groups}` {why}: the numbers were taken for the order {order}; names make this certain: \
         model.named_parameters() in PyTorch, `from_named` here"
    )
}
