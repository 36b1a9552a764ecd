//! Checkpoints from one layout into another, without a state or a model: tensors go from file to file in pieces.

mod contents;
mod splits;

use std::path::Path;
use std::sync::Arc;

use self::contents::Stored;
use crate::dist::manifest::{coordinate, record};
use crate::dist::mesh::{Deal, Mesh, Split};
use crate::dist::save::generation::Generation;
use crate::dist::save::origin;
use crate::dist::save::rank_file;
use crate::dist::strategy::{Layout, Strategy};
use crate::entry::{Row, of_rank, shown, without_rank};
use crate::error::{Error, Result, StateError};
use crate::format::manifest::{Body, CBOR, Coordinate, Manifest, TieRecord, ValueRecord};
use crate::format::safetensors::Layout as FileLayout;
use crate::hash::HashMap;
use crate::options::Durability;
use crate::phases::Phases;
use crate::save::file::FileWriter;
use crate::save::heading::{head, look_for};
use crate::save::publish::publish;
use crate::save::{Destination, SaveReport};
use crate::source::{Index, Source, StoredTensor, check_tensors};
use crate::storage::Storage;
use crate::value::{Value, ValueError};

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
    check_tensors(&**source, whole.rows.iter().map(|row| row.bytes))?;
    let destination = Destination { storage, path, phases };
    let bytes = match strategy.layout() {
        Layout::OneFile => one_file(&destination, source, strategy, &mesh, &whole)?,
        Layout::Directory => directory(&destination, source, strategy, &mesh, &whole)?,
    };
    phases.saved(bytes);
    Ok(SaveReport {
        entries: whole.rows.len() + whole.ties.len() + whole.values.len(),
        bytes,
        filtered: source.index().filtered.iter().cloned().collect(),
        ..SaveReport::default()
    })
}

/// Everything that a source holds, each tensor once.
struct Whole<'s> {
    /// In the order of their bytes in a file.
    rows: Vec<Row<&'s StoredTensor>>,
    ties: Vec<TieRecord>,
    values: Vec<StoredValue>,
}

impl<'s> Whole<'s> {
    fn of(index: &'s Index) -> Result<Self> {
        let mut tensors: Vec<(&String, &StoredTensor)> = index.tensors.iter().collect();
        tensors.sort_by(|(a, a_stored), (b, b_stored)| FileLayout::compare((a, &a_stored.info), (b, &b_stored.info)));
        let values = index.values.iter().map(|(name, value)| StoredValue::of(name, value));
        let values = values.collect::<Result<Vec<_>>>()?;
        // The manifest has them once more.
        look_for(values.iter().map(|value| value.bytes.len()).sum())?;
        let mut whole = Self {
            rows: Vec::new(),
            ties: Vec::new(),
            values,
        };
        let mut by_place = HashMap::default();
        for (name, stored) in tensors {
            let places = stored.places();
            let number = u32::try_from(whole.rows.len()).unwrap_or(u32::MAX);
            // Tensors without any bytes lie in one place without being the same.
            let first = if stored.info.byte_len() == Some(0) {
                number
            } else {
                *by_place.entry((stored.info.clone(), places)).or_insert(number)
            };
            if first == number {
                whole.rows.push(Row {
                    name: name.as_str().into(),
                    whole: stored.info.clone(),
                    region: None,
                    bytes: stored,
                });
            } else {
                whole.ties.push(TieRecord {
                    name: name.clone(),
                    target: first,
                });
            }
        }
        whole.ties.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(whole)
    }

    /// The manifest of one file, without its tensors.
    fn manifest(&self, index: &Index, strategy: &Strategy, mesh: &Mesh) -> Manifest {
        Manifest {
            head: head(origin(strategy, mesh)),
            body: Body {
                structs: index.structs.clone(),
                values: self.values.iter().map(|value| value.in_mesh(mesh)).collect(),
                ties: self.ties.clone(),
                filtered: index.filtered.iter().cloned().collect(),
                ..Body::default()
            },
        }
    }
}

/// A value, and the rank that it belongs to, if its name says one.
struct StoredValue {
    name: String,
    rank: Option<usize>,
    bytes: Vec<u8>,
}

impl StoredValue {
    fn of(name: &str, value: &Value) -> Result<Self> {
        let refused = |error: ValueError| {
            error.or(&format!("save value `{}`", shown(name)), |error| {
                let (name, what) = (name.to_owned(), error.to_string());
                StateError::Value { name, what }.into()
            })
        };
        let bytes = value.to_bytes().map_err(refused)?;
        let (name, rank) = match without_rank(name) {
            Some((name, rank)) if !name.is_empty() => (name, Some(rank)),
            _ => (name, None),
        };
        Ok(Self {
            name: name.to_owned(),
            rank,
            bytes,
        })
    }

    /// The record of a manifest of this mesh. A value of a rank that the mesh does not have, and of any rank in the file of one
    /// process, keeps the name with the rank in it, as a value that all ranks share: nothing is lost.
    fn in_mesh(&self, mesh: &Mesh) -> ValueRecord {
        let (name, coordinate) = match self.rank {
            Some(rank) if mesh.world_size() == 1 || rank >= mesh.world_size() => {
                (of_rank(&self.name, rank), Coordinate::new())
            }
            Some(rank) => (self.name.clone(), coordinate(mesh, rank)),
            None => (self.name.clone(), Coordinate::new()),
        };
        ValueRecord {
            name,
            coordinate,
            form: CBOR,
            bytes: self.bytes.clone(),
        }
    }
}

fn one_file(
    destination: &Destination<'_>,
    source: &Arc<dyn Source>,
    strategy: &Strategy,
    mesh: &Mesh,
    whole: &Whole<'_>,
) -> Result<u64> {
    let manifest = whole.manifest(source.index(), strategy, mesh);
    let mut writer = FileWriter::new(&whole.rows, manifest, destination.path)?;
    let contents = Stored::new(&**source, whole.rows.clone());
    publish(destination, Durability::Durable, writer.len(), |file, path| {
        writer.write(&contents, file, path)?;
        contents.settle()
    })?;
    Ok(writer.len())
}

fn directory(
    destination: &Destination<'_>,
    source: &Arc<dyn Source>,
    strategy: &Strategy,
    mesh: &Mesh,
    whole: &Whole<'_>,
) -> Result<u64> {
    let Destination { storage, path, phases } = *destination;
    let index = source.index();
    let split = |row: &Row<&StoredTensor>| splits::split(index.cuts.get(&*row.name), &row.whole, strategy, mesh);
    let splits: Vec<Split> = whole.rows.iter().map(split).collect();
    let dealt = whole.rows.iter().zip(&splits);
    let deal = Deal::new(
        mesh.clone(),
        dealt.map(|(row, split)| (row.whole.clone(), split.clone())),
    );
    let generation = Generation::begin(storage, path)?;
    // One for all ranks: together they read every block as a whole.
    let mut contents = Stored::new(&**source, Vec::new());
    let mut bytes = 0;
    for rank in 0..mesh.world_size() {
        let rows = whole.rows.iter().enumerate().filter_map(|(number, row)| {
            let region = Some(deal.own(number, rank)?);
            Some(Row { region, ..row.clone() })
        });
        contents.turn_to(rows.collect());
        let (place, durability) = (generation.place(), Durability::Durable);
        bytes += rank_file::write(storage, place, rank, contents.rows(), &contents, durability, phases)?;
    }
    contents.settle()?;
    let mut manifest = whole.manifest(index, strategy, mesh);
    let records = whole.rows.iter().zip(&splits);
    let records = records.map(|(row, split)| record(&row.name, &row.whole, split));
    manifest.body.tensors = records.collect();
    let len = generation.commit(manifest, Durability::Durable, phases)?;
    Ok(bytes + len)
}
