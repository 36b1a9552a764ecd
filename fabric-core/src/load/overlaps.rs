//! Compares tensors of a state that share elements under different views: a matrix and its transpose, or some of its
//! rows. The file has all of each tensor, and must have equal contents for shared elements.

use candle_core::Tensor;

use super::matching::LoadPlan;
use super::target::{Elements, convert};
use super::transfer::Transfer;
use crate::entry::DType;
use crate::error::{Error, Result};
use crate::hash::HashMap;
use crate::io::pages;
use crate::load::raw::RawCheckpoint;
use crate::report::{Mismatch, MismatchKind};
use crate::source::read::stream;
use crate::state::StorageKey;

/// A tensor that the load fills, and the range of its elements in the storage.
struct View<'p, 't> {
    /// The position of the tensor in the plan.
    position: usize,
    transfer: &'p Transfer<'t>,
    tensor: &'t Tensor,
    first: usize,
    end: usize,
}

impl View<'_, '_> {
    fn elements(&self) -> impl Iterator<Item = usize> {
        let layout = self.tensor.layout();
        let mut elements = Elements::new(layout);
        (0..layout.shape().elem_count()).map(move |_| elements.next())
    }
}

/// Compares the file's contents for elements that several tensors share, and reports each tensor that contradicts an
/// earlier one. Tensors that are split between processes are not compared.
pub(crate) fn compare(raw: &RawCheckpoint, plan: &mut LoadPlan<'_>) -> Result<()> {
    let mut storages: HashMap<usize, Vec<View<'_, '_>>> = HashMap::default();
    for (position, transfer) in plan.transfers.iter().enumerate() {
        let tensor = &*transfer.tensor;
        let layout = tensor.layout();
        let is_comparable =
            transfer.selection.is_none() && DType::from(tensor.dtype()).bits() >= 8 && !layout.has_internal_overlap();
        if tensor.elem_count() == 0 || !is_comparable {
            continue;
        }
        let steps = layout.dims().iter().zip(layout.stride());
        let last: usize = steps.map(|(dim, stride)| (dim - 1) * stride).sum();
        let first = layout.start_offset();
        let storage = StorageKey::of(tensor).storage();
        storages.entry(storage).or_default().push(View {
            position,
            transfer,
            tensor,
            first,
            end: first + last + 1,
        });
    }
    let mut found = Vec::new();
    for views in storages.into_values().filter(|views| views.len() > 1) {
        for neighbours in neighbours(views) {
            found.extend(contradictions(raw, &neighbours)?);
        }
    }
    for (name, other) in found {
        plan.report.restored.retain(|restored| *restored != name);
        plan.report.mismatched.push(Mismatch {
            name,
            kind: MismatchKind::Tied,
            found: "contents".into(),
            expected: format!("`{other}`"),
            skipped: false,
        });
    }
    Ok(())
}

/// The views of a storage, in groups that may share elements, in the order of the plan.
fn neighbours<'p, 't>(mut views: Vec<View<'p, 't>>) -> Vec<Vec<View<'p, 't>>> {
    views.sort_by_key(|view| view.first);
    let mut groups: Vec<Vec<View<'p, 't>>> = Vec::new();
    let mut end = 0;
    for view in views {
        let view_end = view.end;
        match groups.last_mut().filter(|_| view.first < end) {
            Some(group) => group.push(view),
            None => groups.push(vec![view]),
        }
        end = end.max(view_end);
    }
    groups.retain(|group| group.len() > 1);
    for group in &mut groups {
        group.sort_by_key(|view| view.position);
    }
    groups
}

/// Each view for which the file contradicts an earlier view, with that earlier view.
fn contradictions(raw: &RawCheckpoint, views: &[View<'_, '_>]) -> Result<Vec<(String, String)>> {
    let first = views.iter().map(|view| view.first).min().unwrap_or_default();
    let end = views.iter().map(|view| view.end).max().unwrap_or_default();
    let mut is_known = room(end - first)?;
    let known = |view: &View<'_, '_>, is_known: &mut [u8]| {
        let mut elements = view.elements();
        elements.any(|at| std::mem::replace(&mut is_known[at - first], 1) == 1)
    };
    if !views.iter().any(|view| known(view, &mut is_known)) {
        return Ok(Vec::new());
    }
    is_known.fill(0);
    let item = DType::from(views[0].tensor.dtype()).bits() / 8;
    let mut contents = room((end - first) * item)?;
    let mut found = Vec::new();
    for (position, view) in views.iter().enumerate() {
        let differs = first_difference(raw, view, first, &mut is_known, &mut contents)?;
        if let Some(at) = differs {
            let mut before = views[..position].iter();
            let other = before.find(|other| other.elements().any(|element| element == at));
            found.extend(other.map(|other| (view.transfer.name.to_owned(), other.transfer.name.to_owned())));
        }
    }
    Ok(found)
}

/// Adds the file's contents for a view to the known contents of the storage. Returns the first element that differs
/// from a known one.
fn first_difference(
    raw: &RawCheckpoint,
    view: &View<'_, '_>,
    first: usize,
    is_known: &mut [u8],
    contents: &mut [u8],
) -> Result<Option<usize>> {
    let Transfer {
        stored_name: name,
        stored,
        cast,
        ..
    } = view.transfer;
    let item = DType::from(view.tensor.dtype()).bits() / 8;
    let mut elements = view.elements();
    let mut differs = None;
    stream(&*raw.source, name, stored, |block| {
        let converted = if *cast {
            Some(convert(name, block, stored.info.dtype(), view.tensor)?)
        } else {
            None
        };
        let block = converted.as_deref().unwrap_or(block);
        for (element, at) in block.chunks_exact(item).zip(&mut elements) {
            let place = at - first;
            let own = &mut contents[place * item..(place + 1) * item];
            if std::mem::replace(&mut is_known[place], 1) == 0 {
                own.copy_from_slice(element);
            } else if own != element {
                differs.get_or_insert(at);
            }
        }
        Ok(())
    })?;
    Ok(differs)
}

fn room(len: usize) -> Result<Vec<u8>> {
    pages::zeroed(len).map_err(|source| Error::Memory {
        purpose: "compare tensors that share memory".to_owned(),
        source,
    })
}
