//! The entries of a state that a load restores: one row for each, from the walk to the commit.

use candle_core::Tensor;

use super::own::OwnValue;
use crate::entry::{Selection, TensorInfo};
use crate::hash::HashMap;
use crate::source::Index;
use crate::state::{AnySlot, Content, Item, NamedOptimizer, OptimizerPart, StorageKey, ValueSlot};

/// The boxes of whole tensors that entries hold, by the positions of the entries. All other entries are whole tensors.
pub(crate) type Selections = HashMap<usize, Selection>;

/// An entry of the state.
pub(crate) struct StateEntry<'e> {
    pub(crate) name: &'e str,
    /// The other names that the entry may have in a file.
    pub(crate) alternatives: &'e [String],
    pub(crate) held: EntryTarget<'e>,
    /// The schema's own filter skips the entry.
    pub(crate) filtered: bool,
    /// Entries with the same number may be absent together.
    pub(crate) optional: Option<usize>,
    /// The parameter that this optimizer state belongs to.
    pub(crate) state_of: Option<StateOf>,
    /// The names of a value that differs between processes; `None` for other entries.
    pub(crate) own: Option<&'e OwnValue>,
    /// An attribute allows the entry to be a part of a tensor.
    pub(crate) is_sharded: bool,
}

/// The place in the state.
pub(crate) enum EntryTarget<'e> {
    Tensor {
        tensor: &'e Tensor,
        /// The element type and the shape of the whole tensor.
        info: TensorInfo,
        memory: StorageKey,
        selection: Option<&'e Selection>,
    },
    Value(&'e mut (dyn ValueSlot + 'e)),
    /// A value of the optimizer with this number.
    Optimizer {
        optimizer: usize,
        part: OptimizerPart,
    },
}

/// A parameter of an optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateOf {
    pub(crate) optimizer: usize,
    pub(crate) parameter: usize,
    /// A program of PyTorch wrote the file, and PyTorch creates state at the first step.
    pub(crate) may_be_absent: bool,
}

/// The meaning of an entry's absence from the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    Missing,
    /// The absence is the value `None`, if the file can hold values.
    Meant,
    /// The field takes its default.
    Default,
    /// This library alone writes the entry, so foreign files lack it.
    Fine,
    /// Only a file that can hold no values may lack the entry.
    Tensorless,
}

impl StateEntry<'_> {
    /// All names that the entry may have in a file.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        std::iter::once(self.name).chain(self.alternatives.iter().map(String::as_str))
    }

    /// The name of the entry in the schema.
    pub(crate) fn declared(&self) -> &str {
        self.own.map_or(self.name, |own| &own.declared[0])
    }

    pub(crate) fn absence(&self) -> Absence {
        match &self.held {
            EntryTarget::Value(slot) if slot.has_default() => Absence::Default,
            EntryTarget::Value(slot) if slot.absence_is_a_value() => Absence::Meant,
            EntryTarget::Value(slot) if slot.record_of() == Some(true) => Absence::Fine,
            EntryTarget::Value(slot) if slot.record_of() == Some(false) => Absence::Tensorless,
            EntryTarget::Optimizer {
                part: OptimizerPart::Kind,
                ..
            } => Absence::Fine,
            _ => Absence::Missing,
        }
    }
}

/// The entries of a walked state, in the order of the walk.
pub(crate) fn entries<'e, O>(
    items: &'e mut [Item<AnySlot<'_>>],
    optimizers: &[NamedOptimizer<O>],
    own: &'e HashMap<usize, OwnValue>,
    selections: &'e Selections,
    index: &Index,
) -> Vec<StateEntry<'e>> {
    let entry = |(at, item): (usize, &'e mut Item<AnySlot<'_>>)| StateEntry {
        name: &item.scope.name,
        alternatives: &item.scope.alternatives,
        held: held(&mut item.content, selections.get(&at)),
        filtered: item.filtered,
        optional: item.scope.optional,
        state_of: None,
        own: own.get(&at),
        is_sharded: !item.scope.shards.is_empty(),
    };
    let mut entries: Vec<StateEntry<'e>> = items.iter_mut().enumerate().map(entry).collect();
    for (number, optimizer) in optimizers.iter().enumerate() {
        // The item of the groups follows that of the kind.
        let groups = &entries[optimizer.kind_item + 1];
        let may_be_absent = optimizer.foreign && groups.names().any(|name| index.contains(name));
        for (parameter, at) in optimizer.parameters.iter().enumerate() {
            let state = StateOf {
                optimizer: number,
                parameter,
                may_be_absent,
            };
            entries[at.items.clone()]
                .iter_mut()
                .for_each(|entry| entry.state_of = Some(state));
        }
    }
    entries
}

fn held<'e>(content: &'e mut Content<AnySlot<'_>>, selection: Option<&'e Selection>) -> EntryTarget<'e> {
    match content {
        Content::Tensor(tensor, _) => EntryTarget::Tensor {
            info: selection.map_or_else(|| (&*tensor).into(), |selection| selection.whole.clone()),
            memory: StorageKey::of(tensor),
            tensor,
            selection,
        },
        Content::Value(slot) => EntryTarget::Value(&mut **slot),
        Content::Optimizer { optimizer, part, .. } => EntryTarget::Optimizer {
            optimizer: *optimizer,
            part: *part,
        },
    }
}
