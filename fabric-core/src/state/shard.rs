//! The `shard` attributes above a tensor, in the order in which they cut it.

use crate::entry::Dims;

/// How a tensor's parts lie over the ranks of a strategy: split along `dim`, over `axis` or the strategy's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shard {
    pub(crate) dim: usize,
    pub(crate) axis: Option<&'static str>,
}

/// The `shard` attributes above a tensor, the nearest first: the nearest one cuts the tensor first, and the others cut the
/// parts that it left. Attributes of one field are in the order in which the source has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shards {
    attributes: Vec<Shard>,
    /// The parameter, where the tensor is state of an optimizer.
    parameter: Option<CutParameter>,
}

/// The parameter that an optimizer's state belongs to.
#[derive(Clone, Debug)]
pub(crate) struct CutParameter {
    /// The entry that the attributes stand above.
    pub(crate) name: String,
    /// The shape of that entry's tensor on this rank.
    pub(crate) shape: Dims,
    /// The optimizer updates that tensor, and not another view of its memory.
    pub(crate) is_same_view: bool,
    /// How many attributes stand above the parameter. Those behind them stand above the optimizer.
    pub(crate) attributes: usize,
}

impl Shards {
    /// Attributes of a field nearer to the tensor than all others so far.
    pub(super) fn enter(&mut self, field: &[Shard]) {
        self.attributes.splice(0..0, field.iter().copied());
    }

    /// Those above an optimizer's state: the parameter's attributes, and then the optimizer's.
    pub(super) fn of_state(mut self, optimizer: &Self, parameter: Option<(String, Dims, bool)>) -> Self {
        self.parameter = parameter.map(|(name, shape, is_same_view)| CutParameter {
            name,
            shape,
            is_same_view,
            attributes: self.attributes.len(),
        });
        self.attributes.extend(&optimizer.attributes);
        self
    }

    pub(crate) fn attributes(&self) -> &[Shard] {
        &self.attributes
    }

    pub(crate) fn parameter(&self) -> Option<&CutParameter> {
        self.parameter.as_ref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn new(attributes: Vec<Shard>) -> Self {
        Self {
            attributes,
            parameter: None,
        }
    }
}
