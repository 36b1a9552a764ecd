//! Moves the bytes of a load that was found acceptable.

use std::borrow::Cow;
use std::sync::Arc;

use super::Places;
use crate::dist::load::AgreedParts;
use crate::entry::Region;
use crate::error::{Error, Result};
use crate::io::pages;
use crate::load::plan::{Filling, LoadPlan, Named, Wanted};
use crate::load::target::{Fill, fill_all, write_bytes};
use crate::progress::Meter;
use crate::raw::RawCheckpoint;
use crate::report::{Mismatch, MismatchKind};
use crate::source::read::{Shares, stream};
use crate::source::{Reader, Sought, StoredTensor};
use crate::state::Content;

/// Finds the bytes of every tensor of the plan, in its order: of those that this rank holds a part of, the parts that it
/// needs. Most indexes know where they are.
///
/// # Errors
/// If what lies around them is damaged, or is not what the index says.
pub(crate) fn locate<'r>(
    raw: &RawCheckpoint,
    plan: &LoadPlan<'r>,
    parts: &AgreedParts<'_>,
    shares: &Arc<Shares>,
) -> Result<Vec<Cow<'r, StoredTensor>>> {
    let known = |filling: &Filling<'_>| !filling.stored.is_framed() && parts.whole(filling.wanted).is_none();
    if plan.tensors.iter().all(known) {
        return Ok(plan
            .tensors
            .iter()
            .map(|filling| Cow::Borrowed(filling.stored))
            .collect());
    }
    let regions: Vec<_> = plan
        .tensors
        .iter()
        .map(|filling| parts.region(filling.wanted))
        .collect();
    let sought = plan.tensors.iter().zip(&regions).map(|(filling, region)| Sought {
        entry: filling.name,
        stored: filling.stored,
        wanted: region.as_ref().map(|(region, _)| region.clone()),
    });
    let located = raw.source.locate_all(&sought.collect::<Vec<_>>())?;
    let cut_out = |(tensor, region): (Cow<'r, StoredTensor>, Option<(Region, usize)>)| match region {
        None => tensor,
        Some((region, replica)) => {
            let shares = shares.clone();
            Cow::Owned(tensor.cut_out(&region, &Reader { replica, shares }))
        }
    };
    Ok(located.into_iter().zip(regions).map(cut_out).collect())
}

/// Fills every tensor of the plan.
///
/// # Errors
/// The first one met; entries that were begun by then are named in it.
pub(crate) fn move_tensors(
    raw: &RawCheckpoint,
    places: &Places<'_>,
    plan: &LoadPlan<'_>,
    located: &[Cow<'_, StoredTensor>],
    meter: Option<&Meter>,
) -> Result<()> {
    let mut fills: Vec<Fill<'_>> = plan
        .tensors
        .iter()
        .zip(located)
        .filter_map(|(filling, stored)| {
            let item = &places.items[filling.wanted];
            let Content::Tensor(tensor, _) = &item.content else {
                return None;
            };
            Some(Fill::live(&item.scope.name, tensor, stored, filling.cast))
        })
        .collect();
    fill_all(&*raw.source, &mut fills, meter).map_err(|source| {
        let begun = fills.iter().filter(|fill| fill.is_begun());
        wrapped(begun.map(|fill| fill.name.to_owned()).collect(), source)
    })
}

/// Names the entries that were written before the ranks found that the load has failed.
pub(crate) fn interrupted(places: &Places<'_>, plan: &LoadPlan<'_>, source: Error) -> Error {
    if matches!(source, Error::Interrupted { .. }) {
        return source;
    }
    let written = plan
        .tensors
        .iter()
        .map(|filling| places.items[filling.wanted].scope.name.clone());
    wrapped(written.collect(), source)
}

fn wrapped(mut written: Vec<String>, source: Error) -> Error {
    if written.is_empty() {
        return source;
    }
    written.sort();
    Error::Interrupted {
        written,
        source: Box::new(source),
    }
}

/// How many bytes will be read into tensors.
pub(crate) fn bytes(located: &[Cow<'_, StoredTensor>]) -> u64 {
    let bytes = located.iter().map(|stored| stored.info.byte_len().unwrap_or_default());
    bytes.map(|bytes| bytes as u64).sum()
}

/// Clears the state that the file does not have because there is none yet.
pub(crate) fn begin_at_zero(places: &Places<'_>, plan: &LoadPlan<'_>) -> Result<()> {
    for at in &plan.fresh {
        let item = &places.items[*at];
        if let Content::Tensor(tensor, _) = &item.content {
            let len = crate::TensorInfo::from(tensor).byte_len().unwrap_or_default();
            let zeros = pages::zeroed(len).map_err(|source| Error::Memory {
                purpose: format!("clear `{}`", item.scope.name),
                source,
            })?;
            write_bytes(&item.scope.name, tensor, &zeros)?;
        }
    }
    Ok(())
}

/// Reads pairs of entries that must be equal, where the index could not tell, and reports those that are not.
pub(crate) fn compare_ties(raw: &RawCheckpoint, wanted: &[Wanted<'_>], plan: &mut LoadPlan<'_>) -> Result<()> {
    for (at, one, other) in std::mem::take(&mut plan.equal) {
        let digest = |(name, stored): Named<'_>| {
            let mut running = crate::io::checksum::Running::new();
            stream(&*raw.source, name, stored, |bytes| {
                running.update(bytes);
                Ok(())
            })?;
            Ok::<_, Error>(running.finish())
        };
        if digest(one)? != digest(other)? {
            let name = wanted[at].name.to_owned();
            plan.report.restored.retain(|restored| *restored != name);
            plan.report.mismatched.push(Mismatch {
                name,
                kind: MismatchKind::Tied,
                found: "contents".into(),
                expected: format!("`{}`", one.0),
                skipped: false,
            });
        }
    }
    Ok(())
}
