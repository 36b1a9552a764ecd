//! The optimizer's state of the rows that a tensor of the state has, and that of the file lacks.
//!
//! A first moment of zero and a second moment of the restored rows' mean let the new rows learn with steps as long as those of the
//! others from the first step on. With a second moment of zero, the first steps of Adam would be as long as its learning rate
//! allows, whatever the gradients.

use std::ops::{ControlFlow, Range};

use candle_core::{Device, Tensor};

use super::entries::{EntryTarget, StateEntry};
use super::matching::resized::{Resized, common, view};
use super::target::{to_dtype, with_plain, write_bytes};
use crate::entry::{Element, Region};
use crate::error::{Error, Result};
use crate::load::raw::RawCheckpoint;

/// Fills the new rows of an optimizer's state. `file` has the entries under the names of the plan.
pub(super) fn fill(file: &RawCheckpoint, entry: &StateEntry<'_>, resized: &Resized<'_>) -> Result<()> {
    let EntryTarget::Tensor {
        tensor,
        info,
        selection,
        ..
    } = &entry.held
    else {
        return Ok(());
    };
    let grown = |dim: &usize| info.shape()[*dim] > resized.stored[*dim];
    let grown: Vec<usize> = (0..info.shape().len()).filter(grown).collect();
    if entry.state_of.is_none() || grown.is_empty() {
        return Ok(());
    }
    let common = common(&resized.stored, info.shape());
    let contents = if is_second_moment(entry.name) {
        mean(file, resized.stored_name, &common, &grown)?
    } else {
        zeros(entry.name, &common, &grown)?
    };
    let own = selection.map_or_else(|| Region::whole(info.shape()), |selection| selection.region.clone());
    for slab in slabs(info.shape(), &resized.stored, &grown) {
        let Some(part) = slab.overlap(&own) else { continue };
        let target = view(entry.name, tensor, &part.within(&own))?;
        let contents = rows(&contents, &part, &grown, &target).map_err(Error::candle(entry.name))?;
        with_plain(entry.name, &contents, |elements| {
            write_bytes(entry.name, &target, elements)
        })??;
    }
    Ok(())
}

/// Returns true for the mean of squared gradients: `exp_avg_sq`, `max_exp_avg_sq`, `square_avg`.
fn is_second_moment(entry: &str) -> bool {
    entry
        .rsplit('.')
        .next()
        .is_some_and(|key| key.contains("_sq") || key.contains("square"))
}

/// The boxes that the state has and the file lacks. They do not overlap.
fn slabs<'s>(shape: &'s [usize], stored: &'s [usize], grown: &'s [usize]) -> impl Iterator<Item = Region> + 's {
    grown.iter().enumerate().map(move |(number, &dim)| {
        let mut slab = Region::whole(shape);
        slab.offset[dim] = stored[dim];
        slab.size[dim] = shape[dim] - stored[dim];
        for &before in &grown[..number] {
            slab.size[before] = stored[before];
        }
        slab
    })
}

/// The shape of the common box, with one index along each dimension that grew.
fn row_shape(common: &Region, grown: &[usize]) -> Vec<usize> {
    let sizes = common.size.iter().enumerate();
    sizes
        .map(|(dim, &size)| if grown.contains(&dim) { 1 } else { size })
        .collect()
}

fn zeros(name: &str, common: &Region, grown: &[usize]) -> Result<Tensor> {
    let shape = row_shape(common, grown);
    Tensor::zeros(shape, candle_core::DType::F64, &Device::Cpu).map_err(Error::candle(name))
}

/// The mean of the restored elements along the dimensions that grew.
#[allow(clippy::cast_precision_loss, reason = "a number of rows is below 2^53")]
fn mean(file: &RawCheckpoint, stored_name: &str, common: &Region, grown: &[usize]) -> Result<Tensor> {
    let shape = row_shape(common, grown);
    let mut sums = vec![0f64; shape.iter().product()];
    let count: usize = grown.iter().map(|&dim| common.size[dim]).product();
    let ranges: Vec<Range<usize>> = common.size.iter().map(|&size| 0..size).collect();
    let mut index = vec![0; shape.len()];
    file.elements(stored_name, &ranges, |elements: &[Element]| {
        for element in elements {
            let place = index
                .iter()
                .zip(&shape)
                .fold(0, |place, (&at, &len)| place * len + if len == 1 { 0 } else { at });
            sums[place] += element.to_f64();
            advance(&mut index, &common.size);
        }
        ControlFlow::Continue(())
    })?;
    let means: Vec<f64> = sums.iter().map(|sum| sum / count.max(1) as f64).collect();
    Tensor::from_vec(means, shape, &Device::Cpu).map_err(Error::candle(stored_name))
}

/// The next index in row-major order.
fn advance(index: &mut [usize], size: &[usize]) {
    for (at, &size) in index.iter_mut().zip(size).rev() {
        *at += 1;
        if *at < size {
            return;
        }
        *at = 0;
    }
}

/// The contents of a box of new rows, in the element type of its target.
fn rows(contents: &Tensor, part: &Region, grown: &[usize], target: &Tensor) -> candle_core::Result<Tensor> {
    let mut row = contents.clone();
    for (dim, (&from, &len)) in part.offset.iter().zip(&part.size).enumerate() {
        if !grown.contains(&dim) {
            row = row.narrow(dim, from, len)?;
        }
    }
    to_dtype(&row, target.dtype())?.broadcast_as(target.shape())
}
