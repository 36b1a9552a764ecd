//! The `shard` attributes above a tensor that take effect under a strategy, and states to which they cannot apply.

use crate::dist::mesh::Mesh;
use crate::dist::strategy::Strategy;
use crate::entry::TensorInfo;
use crate::error::StateError;
use crate::state::{CutParameter, Shards};

/// An attribute that takes effect under the strategy: over an axis of more than one rank.
pub(super) struct ActiveShard {
    pub(super) dim: usize,
    pub(super) axis: usize,
    /// The place of the attribute among those above the tensor.
    attribute: usize,
}

impl ActiveShard {
    /// The attributes that take effect, the nearest first. Of several attributes over one axis the nearest takes
    /// effect, even if the tensor does not have its dimension.
    ///
    /// # Errors
    /// If an attribute names no axis and the strategy has no default axis, or if the mesh lacks the axis.
    pub(super) fn of(name: &str, shards: &Shards, strategy: &Strategy, mesh: &Mesh) -> Result<Vec<Self>, StateError> {
        let refused = |what: String| StateError::Tensor {
            name: name.to_owned(),
            what,
        };
        let mut active: Vec<Self> = Vec::new();
        for (attribute, shard) in shards.attributes().iter().enumerate() {
            let dim = shard.dim;
            let axis = match shard.axis.or(strategy.own_axis()) {
                Some(axis) => mesh.axis(axis),
                None if mesh.world_size() > 1 => {
                    return Err(refused(format!(
                        "is split over no named axis, and the mesh {mesh} has several; name one in the attribute, \
                         shard(dim = {dim}, axis = \"…\"), or call Strategy::shard_axis",
                    )));
                }
                None => None,
            };
            if let (None, Some(axis), true) = (axis, shard.axis, strategy.lists_its_axes()) {
                return Err(refused(unlisted(dim, axis, mesh)));
            }
            if let Some(axis) = axis.filter(|&axis| mesh.size(axis) > 1)
                && active.iter().all(|nearer| nearer.axis != axis)
            {
                active.push(Self { dim, axis, attribute });
            }
        }
        Ok(active)
    }
}

fn unlisted(dim: usize, axis: &str, mesh: &Mesh) -> String {
    let listed = mesh.axes().iter().map(|(name, size)| format!("(\"{name}\", {size})"));
    let listed: Vec<String> = listed.chain([format!("(\"{axis}\", 1)")]).collect();
    format!(
        "is split by shard(dim = {dim}, axis = \"{axis}\"), and the mesh {mesh} has no axis `{axis}`; correct the axis, or list \
         it with size 1 if nothing is sharding over it: Strategy::mesh([{}])",
        listed.join(", ")
    )
}

/// Refuses optimizer state that cannot be sharded as its parameter is: factored state, and state of another view of the
/// parameter's memory. State without dimensions is not sharded, and attributes on the optimizer may shard its state
/// further.
///
/// # Errors
/// Names the parameter and the axis.
pub(super) fn check_state(
    name: &str,
    info: &TensorInfo,
    parameter: &CutParameter,
    active: &[ActiveShard],
    mesh: &Mesh,
) -> Result<(), StateError> {
    let of_parameter = |active: &&ActiveShard| active.attribute < parameter.attributes;
    let cut = active
        .iter()
        .filter(of_parameter)
        .find(|active| active.dim < parameter.shape.len());
    let Some(cut) = cut.filter(|_| !info.shape().is_empty()) else {
        return Ok(());
    };
    let cut_further = |dim: usize| active.iter().any(|active| !of_parameter(&active) && active.dim == dim);
    let mut lengths = info.shape().iter().zip(parameter.shape.iter()).enumerate();
    let is_like = info.shape().len() == parameter.shape.len()
        && lengths.all(|(dim, (len, whole))| len == whole || cut_further(dim));
    let why = match (parameter.is_same_view, is_like) {
        (true, true) => return Ok(()),
        (true, false) => "state of another shape than its parameter cannot be cut in that way",
        (false, _) => "the optimizer updates another view of that parameter's memory, whose cut is not known",
    };
    Err(StateError::Tensor {
        name: name.to_owned(),
        what: format!(
            "has the shape {:?}, and its parameter `{}` the shape {:?}, a part along dimension {} over the axis `{}`: {why}; let \
             the optimizer update the tensors that are fields of the state and keep state of their shapes, or leave the \
             optimizer out with SaveOptions::exclude",
            info.shape(),
            parameter.name,
            &parameter.shape[..],
            cut.dim,
            mesh.axes()[cut.axis].0,
        ),
    })
}
