//! Checkpoints from one layout into another, without a state or a model: tensors go from file to file in pieces.

mod contents;
mod splits;

use std::path::Path;
use std::sync::Arc;

use self::contents::Stored;
use crate::dist::mesh::{Deal, Mesh, Split};
use crate::dist::save::generation::Generation;
use crate::dist::save::rank_file;
use crate::dist::strategy::{Layout, Strategy};
use crate::entry::without_rank;
use crate::error::{Error, Result};
use crate::format::directory::SplitRecord;
use crate::format::manifest::{CBOR, TieRecord, ValueRecord};
use crate::hash::HashMap;
use crate::options::Durability;
use crate::phases::Phases;
use crate::save::SaveReport;
use crate::save::heading::Heading;
use crate::save::image::{Closing, Image, Piece};
use crate::save::publish::publish;
use crate::source::{Index, Source, StoredTensor, check_tensors};
use crate::storage::Storage;
use crate::value::Value;

/// Writes what `source` holds to `path`, as `strategy` lays it out.
pub(crate) fn reshard(
    storage: &dyn Storage,
    source: &Arc<dyn Source>,
    path: &Path,
    strategy: &Strategy,
    phases: &Phases,
) -> Result<SaveReport> {
    let mesh = strategy.grid().map_err(Error::Strategy)?;
    let whole = Whole::of(source.index())?;
    check_tensors(&**source, whole.tensors.iter().map(|(_, stored)| *stored))?;
    let bytes = match strategy.layout() {
        Layout::OneFile => one_file(storage, source, path, strategy, &mesh, &whole, phases)?,
        Layout::Directory => directory(storage, source, path, strategy, &mesh, &whole, phases)?,
    };
    phases.saved(bytes);
    Ok(SaveReport {
        entries: whole.tensors.len() + whole.ties.len() + whole.values.len(),
        bytes,
        filtered: source.index().filtered.iter().cloned().collect(),
        ..SaveReport::default()
    })
}

/// Everything that a source holds, each tensor once.
struct Whole<'s> {
    /// Sorted by name.
    tensors: Vec<(&'s str, &'s StoredTensor)>,
    ties: Vec<TieRecord>,
    values: Vec<ValueRecord>,
}

impl<'s> Whole<'s> {
    fn of(index: &'s Index) -> Result<Self> {
        let mut whole = Self {
            tensors: Vec::new(),
            ties: Vec::new(),
            values: index
                .values
                .iter()
                .map(|(name, value)| record(name, value))
                .collect::<Result<_>>()?,
        };
        let mut by_place = HashMap::default();
        for (name, stored) in &index.tensors {
            let places = stored.places();
            let number = u32::try_from(whole.tensors.len()).unwrap_or(u32::MAX);
            // Tensors without any bytes lie in one place without being the same.
            let first = if stored.info.byte_len() == Some(0) {
                number
            } else {
                *by_place.entry((stored.info.clone(), places)).or_insert(number)
            };
            if first == number {
                whole.tensors.push((name, stored));
            } else {
                whole.ties.push(TieRecord {
                    name: name.clone(),
                    target: first,
                });
            }
        }
        Ok(whole)
    }

    /// What manifests say beside the tensors.
    fn heading(&self, index: &Index, strategy: &Strategy, mesh: &Mesh) -> Heading {
        Heading {
            state_version: index.state_version,
            ties: self.ties.clone(),
            values: self.values.clone(),
            filtered: index.filtered.iter().cloned().collect(),
            ..Heading::new(strategy, mesh)
        }
    }
}

fn record(name: &str, value: &Value) -> Result<ValueRecord> {
    let bytes = value.to_bytes().map_err(|error| {
        Error::State(crate::StateError::Value {
            name: name.to_owned(),
            what: error.to_string(),
        })
    })?;
    let (name, rank) = match without_rank(name) {
        Some((name, rank)) if !name.is_empty() => (name, u32::try_from(rank).ok()),
        _ => (name, None),
    };
    Ok(ValueRecord {
        name: name.to_owned(),
        rank,
        form: CBOR,
        bytes,
    })
}

fn one_file(
    storage: &dyn Storage,
    source: &Arc<dyn Source>,
    path: &Path,
    strategy: &Strategy,
    mesh: &Mesh,
    whole: &Whole<'_>,
    phases: &Phases,
) -> Result<u64> {
    let pieces = whole.tensors.iter().map(|(name, stored)| Piece {
        name: (*name).into(),
        whole: stored.info.clone(),
        region: None,
    });
    let mut image = Image::new(
        pieces.collect(),
        Closing::Whole(whole.heading(source.index(), strategy, mesh).of_file()),
        path,
    )?;
    let contents = Stored::new(
        &**source,
        whole.tensors.iter().map(|(name, stored)| (*name, *stored, None)),
    );
    publish(storage, path, Durability::Durable, image.len(), phases, |file, path| {
        image.write(&contents, file, path)?;
        contents.settle()
    })?;
    Ok(image.len())
}

fn directory(
    storage: &dyn Storage,
    source: &Arc<dyn Source>,
    path: &Path,
    strategy: &Strategy,
    mesh: &Mesh,
    whole: &Whole<'_>,
    phases: &Phases,
) -> Result<u64> {
    let index = source.index();
    let splits: Vec<Split> = whole
        .tensors
        .iter()
        .map(|(name, stored)| splits::split(index.cuts.get(*name), &stored.info, strategy, mesh))
        .collect();
    let dealt = whole.tensors.iter().zip(&splits);
    let deal = Deal::new(
        mesh.clone(),
        dealt.map(|((_, stored), split)| (stored.info.clone(), split.clone())),
    );
    let generation = Generation::begin(storage, path)?;
    // One for all ranks: together they read every block as a whole.
    let mut contents = Stored::new(&**source, []);
    let mut bytes = 0;
    for rank in 0..mesh.world_size() {
        let (mut pieces, mut stored_pieces) = (Vec::new(), Vec::new());
        for (number, (name, stored)) in whole.tensors.iter().enumerate() {
            let Some(region) = deal.own(number, rank) else { continue };
            stored_pieces.push((*name, *stored, Some(region.clone())));
            pieces.push(Piece {
                name: (*name).into(),
                whole: stored.info.clone(),
                region: Some(region),
            });
        }
        contents.turn_to(stored_pieces);
        bytes += rank_file::write(
            storage,
            generation.place(),
            rank,
            pieces,
            &contents,
            Durability::Durable,
            phases,
        )?;
    }
    contents.settle()?;
    let tensors = whole.tensors.iter().zip(&splits);
    let split = |((name, stored), split): (&(&str, &StoredTensor), &Split)| {
        SplitRecord::new((*name).to_owned(), &stored.info, split)
    };
    let heading = Heading {
        values: in_world(&whole.values, mesh),
        ..whole.heading(source.index(), strategy, mesh)
    };
    let manifest = heading.of_directory(generation.place().generation(), tensors.map(split).collect());
    let manifest = manifest.encode().map_err(|error| Error::Internal(error.to_string()))?;
    generation.commit(&manifest, Durability::Durable, phases)?;
    Ok(bytes + manifest.len() as u64)
}

/// Values of ranks that the new mesh does not have keep their names, as values that all ranks share: nothing is lost.
fn in_world(values: &[ValueRecord], mesh: &Mesh) -> Vec<ValueRecord> {
    let kept = |value: &ValueRecord| match value.rank {
        Some(rank) if rank as usize >= mesh.world_size() => ValueRecord {
            name: crate::entry::of_rank(&value.name, rank as usize),
            rank: None,
            ..value.clone()
        },
        _ => value.clone(),
    };
    values.iter().map(kept).collect()
}
