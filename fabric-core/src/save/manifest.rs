//! The manifest of a save, before its tensors have places in a file.

use super::WRITER;
use super::plan::SavePlan;
use crate::format::manifest::{
    Body, CBOR, Coordinate, Fact, Manifest, ManifestHead, StructRecord, TieRecord, ValueRecord,
};
use crate::state::StructPlace;

/// The strategy that a checkpoint was saved under, as its manifest records it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) strategy: String,
    /// The axes of the mesh, with their sizes.
    pub(crate) mesh: Vec<(String, u64)>,
}

/// A value of some ranks: name, coordinate, CBOR bytes.
pub(crate) type RankValue = (String, Coordinate, Vec<u8>);

impl SavePlan {
    /// Turns the plan into a manifest without tensors. The values move into the manifest; `per_rank` are the `per_rank`
    /// values of all ranks.
    pub(crate) fn into_manifest(self, origin: Origin, per_rank: Vec<RankValue>) -> Manifest {
        let shared = self.values.into_iter();
        let shared = shared.map(|(name, bytes)| value_record(name, Coordinate::new(), bytes));
        let own = per_rank.into_iter();
        let own = own.map(|(name, coordinate, bytes)| value_record(name, coordinate, bytes));
        let ties = self.ties.into_iter().map(|tie| TieRecord {
            name: tie.name,
            target: u32::try_from(tie.target).unwrap_or(u32::MAX),
        });
        let facts = self.facts.into_iter().map(|(key, value)| Fact { key, value });
        Manifest {
            head: ManifestHead {
                facts: facts.collect(),
                ..manifest_head(origin)
            },
            body: Body {
                structs: self.structs,
                values: shared.chain(own).collect(),
                ties: ties.collect(),
                filtered: self.filtered,
                ..Body::default()
            },
        }
    }
}

/// The head of the manifest of one file.
pub(crate) fn manifest_head(origin: Origin) -> ManifestHead {
    ManifestHead {
        writer: WRITER.to_owned(),
        strategy: origin.strategy,
        mesh: origin.mesh,
        ..ManifestHead::default()
    }
}

/// The record of a struct of a state.
pub(super) fn struct_record(place: StructPlace) -> StructRecord {
    StructRecord {
        path: place.names.own,
        name: place.name.to_owned(),
        version: place.version,
    }
}

fn value_record(name: String, coordinate: Coordinate, bytes: Vec<u8>) -> ValueRecord {
    ValueRecord {
        name,
        coordinate,
        form: CBOR,
        bytes,
    }
}
