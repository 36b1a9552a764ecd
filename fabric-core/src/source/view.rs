//! Tensors that are made of stored ones without reading them: joined, divided, transposed and reshaped.
//!
//! A view is a [`StoredTensor`] over the same places in the same files. Each part keeps its place and its checksums, and has
//! another box or other strides. Callers locate [framed](super::Check::Framed) tensors first, and all tensors of a view are of
//! one source.

mod reshape;

use super::{Part, StoredTensor};
use crate::entry::{Region, TensorInfo};

impl StoredTensor {
    /// Tensors one behind the other along a dimension.
    ///
    /// # Errors
    /// A clause that says how two tensors differ, or what the tensors lack.
    pub(crate) fn concatenated(tensors: &[&Self], dim: usize) -> Result<Self, String> {
        let first = *tensors.first().ok_or("there is no tensor to concatenate")?;
        first.viewed(&[dim])?;
        let (mut len, mut parts) = (0usize, Vec::new());
        for (number, tensor) in tensors.iter().enumerate() {
            tensor.viewed(&[])?;
            alike(first, tensor, number, Some(dim))?;
            parts.extend(tensor.parts_with(|part| {
                let mut region = part.region.clone();
                region.offset[dim] += len;
                Part { region, ..part.clone() }
            }));
            len = len.checked_add(tensor.info.shape()[dim]).ok_or_else(too_long)?;
        }
        let mut shape = first.info.shape().to_vec();
        shape[dim] = len;
        first.with(shape, parts)
    }

    /// The `len` indices of a dimension from `from` on.
    ///
    /// # Errors
    /// A clause that says what the tensor lacks.
    pub(crate) fn narrowed(&self, dim: usize, from: usize, len: usize) -> Result<Self, String> {
        self.viewed(&[dim])?;
        let all = self.info.shape()[dim];
        if from.checked_add(len).is_none_or(|end| end > all) {
            return Err(format!(
                "dimension {dim} has length {all}, and {len} indices from {from} on are wanted"
            ));
        }
        let mut region = Region::whole(self.info.shape());
        (region.offset[dim], region.size[dim]) = (from, len);
        Ok(self.cut_out(&region))
    }

    /// Tensors of one shape along a new dimension.
    ///
    /// # Errors
    /// A clause that says how two tensors differ, or what the tensors lack.
    pub(crate) fn stacked(tensors: &[&Self], dim: usize) -> Result<Self, String> {
        let first = *tensors.first().ok_or("there is no tensor to stack")?;
        let rank = first.info.shape().len();
        if dim > rank {
            return Err(format!(
                "dimension {dim} cannot be new in {}, which has {rank}",
                first.info
            ));
        }
        let (item, mut parts) = (first.viewed(&[])?, Vec::new());
        for (number, tensor) in tensors.iter().enumerate() {
            tensor.viewed(&[])?;
            alike(first, tensor, number, None)?;
            parts.extend(tensor.parts_with(|part| {
                let (mut region, mut layout) = (part.region.clone(), part.layout());
                region.offset.insert(dim, number);
                region.size.insert(dim, 1);
                layout.strides.insert(dim, 0);
                part.laid(region, layout, item)
            }));
        }
        let mut shape = first.info.shape().to_vec();
        shape.insert(dim, tensors.len());
        first.with(shape, parts)
    }

    /// One index of a dimension, without that dimension.
    ///
    /// # Errors
    /// A clause that says what the tensor lacks.
    pub(crate) fn selected(&self, dim: usize, index: usize) -> Result<Self, String> {
        let item = self.viewed(&[dim])?;
        let narrow = self.narrowed(dim, index, 1)?;
        let parts = narrow.parts_with(|part| {
            let (mut region, mut layout) = (part.region.clone(), part.layout());
            region.offset.remove(dim);
            region.size.remove(dim);
            layout.strides.remove(dim);
            part.laid(region, layout, item)
        });
        let mut shape = narrow.info.shape().to_vec();
        shape.remove(dim);
        narrow.with(shape, parts)
    }

    /// The tensor with two dimensions exchanged.
    ///
    /// # Errors
    /// A clause that says what the tensor lacks.
    pub(crate) fn transposed(&self, a: usize, b: usize) -> Result<Self, String> {
        let item = self.viewed(&[a, b])?;
        let parts = self.parts_with(|part| {
            let (mut region, mut layout) = (part.region.clone(), part.layout());
            region.offset.swap(a, b);
            region.size.swap(a, b);
            layout.strides.swap(a, b);
            part.laid(region, layout, item)
        });
        let mut shape = self.info.shape().to_vec();
        shape.swap(a, b);
        self.with(shape, parts)
    }

    /// The elements, in row-major order, in another shape. A part whose elements are no box of the new shape is divided.
    ///
    /// # Errors
    /// A clause that says how the numbers of elements differ, what the tensor lacks, or that the parts are too many.
    pub(crate) fn reshaped(&self, shape: &[usize]) -> Result<Self, String> {
        let item = self.viewed(&[])?;
        let info = TensorInfo::of(self.info.dtype(), shape);
        let counts = (self.info.elements(), info.elements());
        if counts.0 != counts.1 || counts.0.is_none() {
            return Err(format!(
                "{} cannot have the shape {shape:?}, which has another size",
                self.info
            ));
        }
        let parts = if counts.0 == Some(0) {
            Vec::new()
        } else {
            reshape::divided(self, shape, item)?
        };
        Ok(Self { info, parts })
    }

    /// The bytes of an element, if the tensor can be viewed and has these dimensions.
    fn viewed(&self, dims: &[usize]) -> Result<usize, String> {
        let rank = self.info.shape().len();
        if let Some(dim) = dims.iter().find(|dim| **dim >= rank) {
            return Err(format!("{} has {rank} dimensions, and no dimension {dim}", self.info));
        }
        if self.is_framed() {
            return Err(format!("the bytes of {} are not located", self.info));
        }
        match self.info.dtype().bits() {
            bits if bits >= 8 => Ok(bits / 8),
            _ => Err(format!("{} has elements that are no whole bytes", self.info)),
        }
    }

    /// The parts that have elements, each changed by `view`.
    fn parts_with(&self, view: impl Fn(&Part) -> Part) -> Vec<Part> {
        let has_elements = |part: &&Part| !part.region.size.contains(&0);
        self.parts.iter().filter(has_elements).map(view).collect()
    }

    /// A tensor of the same element type with another shape and other parts.
    fn with(&self, shape: Vec<usize>, parts: Vec<Part>) -> Result<Self, String> {
        let info = TensorInfo::new(self.info.dtype(), shape);
        if info.byte_len().is_none() {
            return Err(too_long());
        }
        Ok(Self { info, parts })
    }
}

fn too_long() -> String {
    "together they are larger than memory can be".to_owned()
}

/// Refuses tensors of which the one at `number` has another element type than the first, or another shape; its length along
/// `dim` may be another.
fn alike(first: &StoredTensor, other: &StoredTensor, number: usize, dim: Option<usize>) -> Result<(), String> {
    let shapes = (first.info.shape(), other.info.shape());
    let same = |(at, (a, b)): (usize, (&usize, &usize))| a == b || Some(at) == dim;
    let same_shape = shapes.0.len() == shapes.1.len() && shapes.0.iter().zip(shapes.1).enumerate().all(same);
    if first.info.dtype() == other.info.dtype() && same_shape {
        return Ok(());
    }
    let aside = dim
        .map(|dim| format!(" apart from dimension {dim}"))
        .unwrap_or_default();
    Err(format!(
        "tensor {number} is {}, and the first is {}; element types and shapes must be equal{aside}",
        other.info, first.info
    ))
}

#[cfg(test)]
mod tests;
