//! Sums over the ranks of a process group, and their gradients.
//!
//! Two functions are each other's gradient: handing a tensor to all ranks, and summing one from all ranks. A layer that is
//! cut in parts takes its input by the first and gives its output by the second (Shoeybi et al., *Megatron-LM*, 2019, where
//! they are called f and g).

use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor, Var, bail};
use fabric_core::group::ProcessGroup;

/// The sum of a tensor over all ranks, outside of any gradient. Its terms are added in the order of ranks, so it is the
/// same on all of them, bit for bit.
///
/// # Errors
/// If the tensor is not of type `f32`, or the ranks do not come together.
pub fn all_reduce(group: &dyn ProcessGroup, tensor: &Tensor) -> Result<Tensor> {
    let terms: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
    Tensor::from_vec(sum(group, &terms)?, tensor.shape(), tensor.device())
}

/// Hands `input`, which is the same on all ranks, to a layer that is cut in parts: nothing happens on the way there, and
/// on the way back the gradients of the parts are summed.
///
/// # Errors
/// If the input is not of type `f32`.
pub fn to_parts(group: &Arc<dyn ProcessGroup>, input: &Tensor) -> Result<Tensor> {
    input.contiguous()?.apply_op1(ToParts(Arc::clone(group)))
}

/// Sums what the parts of a layer give: on the way back, each of them gets the gradient of the sum.
///
/// # Errors
/// If the output is not of type `f32`, or the ranks do not come together.
pub fn from_parts(group: &Arc<dyn ProcessGroup>, output: &Tensor) -> Result<Tensor> {
    output.contiguous()?.apply_op1(FromParts(Arc::clone(group)))
}

/// The mean of a tensor over all ranks, outside of any gradient.
///
/// # Errors
/// As [`all_reduce`].
pub fn mean(group: &dyn ProcessGroup, tensor: &Tensor) -> Result<Tensor> {
    all_reduce(group, tensor)? / ranks(group)?
}

/// Replaces the gradients of some parameters by their mean over all ranks, with a single message.
///
/// # Errors
/// If a gradient is missing or not of type `f32`, or the ranks do not come together.
pub fn average_gradients(group: &dyn ProcessGroup, parameters: &[Var], gradients: &mut GradStore) -> Result<()> {
    let mut flat = Vec::with_capacity(parameters.len());
    for parameter in parameters {
        match gradients.get(parameter) {
            Some(gradient) => flat.push(gradient.flatten_all()?),
            None => bail!("a parameter of shape {:?} has no gradient", parameter.shape()),
        }
    }
    let mean = mean(group, &Tensor::cat(&flat, 0)?)?;
    let mut start = 0;
    for parameter in parameters {
        let count = parameter.elem_count();
        gradients.insert(parameter, mean.narrow(0, start, count)?.reshape(parameter.shape())?);
        start += count;
    }
    Ok(())
}

struct ToParts(Arc<dyn ProcessGroup>);

struct FromParts(Arc<dyn ProcessGroup>);

impl CustomOp1 for ToParts {
    fn name(&self) -> &'static str {
        "to-parts"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let values = contiguous(storage, layout)?.to_vec();
        Ok((CpuStorage::F32(values), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        all_reduce(&*self.0, gradient).map(Some)
    }
}

impl CustomOp1 for FromParts {
    fn name(&self) -> &'static str {
        "from-parts"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let sum = sum(&*self.0, contiguous(storage, layout)?)?;
        Ok((CpuStorage::F32(sum), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(gradient.clone()))
    }
}

/// The number of ranks, to divide by.
fn ranks(group: &dyn ProcessGroup) -> Result<f64> {
    u32::try_from(group.world_size()).map(f64::from).map_err(Error::wrap)
}

fn contiguous<'s>(storage: &'s CpuStorage, layout: &Layout) -> Result<&'s [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("the values are not in one run"),
    }
}

fn sum(group: &dyn ProcessGroup, terms: &[f32]) -> Result<Vec<f32>> {
    let bytes: Vec<u8> = terms.iter().flat_map(|term| term.to_le_bytes()).collect();
    let all = group.all_gather("sum", &bytes).map_err(Error::wrap)?;
    let mut sums = vec![0.0; terms.len()];
    for bytes in all {
        let (terms, rest) = bytes.as_chunks();
        if terms.len() != sums.len() || !rest.is_empty() {
            bail!("a rank sums {} bytes, this one {} values", bytes.len(), sums.len())
        }
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum += f32::from_le_bytes(*term);
        }
    }
    Ok(sums)
}
