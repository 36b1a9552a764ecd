//! What the `shard` attributes above a tensor mean under a strategy, and where they can mean nothing.

use crate::dist::mesh::Mesh;
use crate::dist::strategy::Strategy;
use crate::entry::TensorInfo;
use crate::error::StateError;
use crate::state::{CutParameter, Shards};

/// An attribute that has a meaning under the strategy, over an axis of more than one rank.
pub(crate) struct Meant {
    pub(crate) dim: usize,
    pub(crate) axis: usize,
    /// Its place among the attributes.
    attribute: usize,
}

impl Meant {
    /// The attributes with a meaning, the nearest first. Of several over one axis only the nearest has one, also if the tensor
    /// does not have its dimension.
    ///
    /// # Errors
    /// If the strategy does not say which axis is meant, or its mesh does not list the axis.
    pub(crate) fn of(name: &str, shards: &Shards, strategy: &Strategy, mesh: &Mesh) -> Result<Vec<Self>, StateError> {
        let refused = |what: String| StateError::Tensor {
            name: name.to_owned(),
            what,
        };
        let mut meant: Vec<Self> = Vec::new();
        for (attribute, shard) in shards.attributes().iter().enumerate() {
            let dim = shard.dim;
            let axis = match shard.axis.or(strategy.own_axis()) {
                Some(axis) => mesh.axis(axis),
                None if mesh.world_size() > 1 => {
                    return Err(refused(format!(
                        "is split over the strategy's own axis, and the mesh {mesh} has several; name one in the attribute, \
                         shard(dim = {dim}, axis = \"…\"), or call Strategy::shard_axis",
                    )));
                }
                None => None,
            };
            if let (None, Some(axis), true) = (axis, shard.axis, strategy.lists_its_axes()) {
                return Err(refused(unlisted(dim, axis, mesh)));
            }
            if let Some(axis) = axis.filter(|&axis| mesh.size(axis) > 1)
                && meant.iter().all(|nearer| nearer.axis != axis)
            {
                meant.push(Self { dim, axis, attribute });
            }
        }
        Ok(meant)
    }
}

fn unlisted(dim: usize, axis: &str, mesh: &Mesh) -> String {
    let listed = mesh.axes().iter().map(|(name, size)| format!("(\"{name}\", {size})"));
    let listed: Vec<String> = listed.chain([format!("(\"{axis}\", 1)")]).collect();
    format!(
        "is split by shard(dim = {dim}, axis = \"{axis}\"), and the mesh {mesh} has no axis `{axis}`; correct the axis, or list \
         it with size 1 if nothing is split over it: Strategy::mesh([{}])",
        listed.join(", ")
    )
}

/// Refuses state that cannot be cut as its parameter is: factored state, and state of another view of the parameter's memory.
/// A state without dimensions is not cut, and the optimizer's own attributes may have cut the state further.
///
/// # Errors
/// That one; it names the parameter and the axis.
pub(crate) fn check_state(
    name: &str,
    info: &TensorInfo,
    parameter: &CutParameter,
    meant: &[Meant],
    mesh: &Mesh,
) -> Result<(), StateError> {
    let of_parameter = |meant: &&Meant| meant.attribute < parameter.attributes;
    let cut = meant
        .iter()
        .filter(of_parameter)
        .find(|meant| meant.dim < parameter.shape.len());
    let Some(cut) = cut.filter(|_| !info.shape().is_empty()) else {
        return Ok(());
    };
    let cut_further = |dim: usize| meant.iter().any(|meant| !of_parameter(&meant) && meant.dim == dim);
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
