//! The manifest of a save, before its tensors have places.

use super::WRITER;
use super::plan::SavePlan;
use crate::error::{Error, Result};
use crate::format::manifest::{Body, CBOR, Coordinate, Head, Manifest, StructRecord, TieRecord, ValueRecord};
use crate::io::pages;
use crate::state::AnyState;

/// The strategy that a checkpoint was saved under, as its manifest says it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) strategy: String,
    /// The axes of the mesh, with their sizes.
    pub(crate) mesh: Vec<(String, u64)>,
}

/// A value of some ranks: name, coordinate, CBOR bytes.
pub(crate) type RankValue = (String, Coordinate, Vec<u8>);

/// Looks for memory for values of `len` bytes in all.
///
/// # Errors
/// If there is none.
pub(crate) fn look_for(len: usize) -> Result<()> {
    pages::look(len).map_err(|source| Error::Memory {
        purpose: "write the values of the checkpoint".to_owned(),
        source,
    })
}

/// All of a manifest of one file but its tensors and their places.
///
/// # Errors
/// If there is no memory for the values.
pub(crate) fn heading(
    plan: &SavePlan,
    origin: Origin,
    state: StructRecord,
    per_rank: Vec<RankValue>,
) -> Result<Manifest> {
    look_for(plan.values.iter().map(|(_, bytes)| bytes.len()).sum())?;
    let shared = plan
        .values
        .iter()
        .map(|(name, bytes)| value(name.clone(), Coordinate::new(), bytes.clone()));
    let own = per_rank
        .into_iter()
        .map(|(name, coordinate, bytes)| value(name, coordinate, bytes));
    let ties = plan.ties.iter().map(|tie| TieRecord {
        name: tie.name.clone(),
        target: u32::try_from(tie.target).unwrap_or(u32::MAX),
    });
    Ok(Manifest {
        head: head(origin),
        body: Body {
            structs: vec![state],
            values: shared.chain(own).collect(),
            ties: ties.collect(),
            filtered: plan.filtered.clone(),
            ..Body::default()
        },
    })
}

/// The head of the manifest of one file.
pub(crate) fn head(origin: Origin) -> Head {
    Head {
        writer: WRITER.to_owned(),
        strategy: origin.strategy,
        mesh: origin.mesh,
        ..Head::default()
    }
}

/// The outermost struct of a state.
pub(crate) fn outermost(state: &dyn AnyState) -> StructRecord {
    let name = state.type_name();
    let name = name.split('<').next().unwrap_or(name);
    StructRecord {
        path: String::new(),
        name: name.rsplit("::").next().unwrap_or(name).to_owned(),
        version: state.version(),
    }
}

fn value(name: String, coordinate: Coordinate, bytes: Vec<u8>) -> ValueRecord {
    ValueRecord {
        name,
        coordinate,
        form: CBOR,
        bytes,
    }
}
