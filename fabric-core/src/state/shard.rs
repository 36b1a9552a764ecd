//! The `shard` attributes that apply to a tensor, in the order in which they split it.

use crate::entry::Dims;

/// One `shard` attribute: splits a tensor along `dim`, over the mesh axis `axis` or else the strategy's shard axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shard {
    pub(crate) dim: usize,
    pub(crate) axis: Option<&'static str>,
}

/// The `shard` attributes that apply to a tensor. The attribute nearest to the tensor comes first and splits the
/// tensor; each further one splits the parts that the attributes before it leave. Attributes of one field are in the
/// order of the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shards {
    attributes: Vec<Shard>,
    /// The parameter, for a tensor of optimizer state.
    parameter: Option<CutParameter>,
}

/// The parameter of a tensor of optimizer state.
#[derive(Clone, Debug)]
pub(crate) struct CutParameter {
    /// The name of the parameter's entry.
    pub(crate) name: String,
    /// The shape of the parameter's tensor on this rank.
    pub(crate) shape: Dims,
    /// True if the optimizer updates exactly that tensor, false if it updates another view of its memory.
    pub(crate) is_same_view: bool,
    /// The number of attributes of the parameter; the optimizer's attributes follow them.
    pub(crate) attributes: usize,
}

impl Shards {
    /// Adds the attributes of a field that is nearer to the tensor than all fields so far.
    pub(super) fn enter(&mut self, field: &[Shard]) {
        self.attributes.splice(0..0, field.iter().copied());
    }

    /// The attributes of optimizer state: the parameter's attributes, then the optimizer's.
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
