//! Tensors that grew or shrank: the box that the file and the state have in common is restored.

use std::borrow::Cow;

use candle_core::Tensor;

use super::{Matching, Named};
use crate::entry::{Region, Selection, TensorInfo};
use crate::error::{Error, Result};
use crate::load::entries::{EntryTarget, StateEntry};
use crate::load::transfer::Transfer;
use crate::report::{Mismatch, MismatchKind};

/// An entry of another shape than in the file.
#[derive(Debug)]
pub(crate) struct Resized<'i> {
    /// The position of the entry.
    pub(crate) at: usize,
    /// The name in the file.
    pub(crate) stored_name: &'i str,
    /// The shape in the file.
    pub(crate) stored: Vec<usize>,
}

impl<'i> Matching<'_, 'i> {
    /// Plans to restore the common box of a tensor.
    pub(super) fn restore_common(&mut self, at: usize, info: &TensorInfo, (name, stored): Named<'i>) -> Result<()> {
        let common = common(stored.info.shape(), info.shape());
        self.plan
            .transfers
            .extend(transfer(&self.entries[at], (name, stored), &common)?);
        self.plan.resized.push(Resized {
            at,
            stored_name: name,
            stored: stored.info.shape().to_vec(),
        });
        self.plan.report.overlapping.push(Mismatch {
            name: self.entries[at].name.to_owned(),
            kind: MismatchKind::Overlap,
            found: format!("{:?}", stored.info.shape()),
            expected: format!("{:?}", info.shape()),
            skipped: true,
        });
        Ok(())
    }
}

/// The indices that two shapes of one rank have in common.
pub(crate) fn common(a: &[usize], b: &[usize]) -> Region {
    let size: Vec<usize> = a.iter().zip(b).map(|(a, b)| *a.min(b)).collect();
    Region::whole(&size)
}

/// The transfer of the common box, if the entry holds a part of it.
fn transfer<'i>(entry: &StateEntry<'i>, (name, stored): Named<'i>, common: &Region) -> Result<Option<Transfer<'i>>> {
    let EntryTarget::Tensor {
        tensor,
        info,
        selection,
        ..
    } = &entry.held
    else {
        return Ok(None);
    };
    let own = selection.map_or_else(|| Region::whole(info.shape()), |selection| selection.region.clone());
    let Some(region) = common.overlap(&own) else {
        return Ok(None);
    };
    let view = view(entry.name, tensor, &region.within(&own))?;
    if !tensor.device().is_cpu() && !view.is_contiguous() {
        let what =
            "on an accelerator, a tensor can grow or shrink along its first dimension; load it on the CPU, and move it";
        return Err(Error::Options(what.to_owned()));
    }
    let mut transfer = Transfer::of(entry, name, stored);
    if let Some(transfer) = &mut transfer {
        transfer.tensor = Cow::Owned(view);
        transfer.selection = Some(Cow::Owned(Selection {
            whole: stored.info.clone(),
            region,
        }));
    }
    Ok(transfer)
}

/// The box of a tensor, in its memory.
pub(crate) fn view(name: &str, tensor: &Tensor, region: &Region) -> Result<Tensor> {
    let mut view = tensor.clone();
    for (dim, (&from, &len)) in region.offset.iter().zip(&region.size).enumerate() {
        view = view.narrow(dim, from, len).map_err(Error::candle(name))?;
    }
    Ok(view)
}
