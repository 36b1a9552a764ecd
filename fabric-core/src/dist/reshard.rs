//! Resharding: copies a checkpoint into another layout, without a state or a model, in blocks.

mod contents;
mod shardings;

use std::path::Path;
use std::sync::Arc;

use self::contents::StoredContents;
use self::shardings::sharding_over;
use crate::dist::manifest::{coordinate, record};
use crate::dist::mesh::{Mesh, Sharding, WriterAssignment};
use crate::dist::save::generation::Generation;
use crate::dist::save::rank_file;
use crate::dist::strategy::{Layout, Strategy};
use crate::entry::{Row, of_rank, shown, without_rank};
use crate::error::{Error, Result, StateError};
use crate::format::manifest::{Body, CBOR, Coordinate, Manifest, TieRecord, ValueRecord};
use crate::format::safetensors::FileLayout;
use crate::hash::HashMap;
use crate::options::Durability;
use crate::phases::Phases;
use crate::save::file::FileWriter;
use crate::save::manifest::manifest_head;
use crate::save::publish::publish;
use crate::save::{CommitTarget, SaveReport};
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
    let mut whole = Whole::of(source.index())?;
    check_tensors(&**source, whole.rows.iter().map(|row| row.bytes))?;
    let target = CommitTarget { storage, path, phases };
    let entries = whole.rows.len() + whole.ties.len() + whole.values.len();
    let manifest = whole.take_manifest(source.index(), strategy, &mesh);
    let bytes = match strategy.layout() {
        Layout::OneFile => one_file(&target, source, &whole.rows, manifest)?,
        Layout::Directory => directory(&target, source, strategy, &mesh, &whole.rows, manifest)?,
    };
    phases.saved(bytes);
    Ok(SaveReport {
        entries,
        bytes,
        filtered: source.index().filtered.iter().cloned().collect(),
        ..SaveReport::default()
    })
}

/// The contents of a source, each tensor once.
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
        let mut whole = Self {
            rows: Vec::new(),
            ties: Vec::new(),
            values,
        };
        let mut by_place = HashMap::default();
        for (name, stored) in tensors {
            let places = stored.extents();
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

    /// The manifest without its tensors. The values and the ties move into it.
    fn take_manifest(&mut self, index: &Index, strategy: &Strategy, mesh: &Mesh) -> Manifest {
        let values = std::mem::take(&mut self.values).into_iter();
        Manifest {
            head: manifest_head(strategy.origin()),
            body: Body {
                structs: index.structs.clone(),
                values: values.map(|value| value.in_mesh(mesh)).collect(),
                ties: std::mem::take(&mut self.ties),
                filtered: index.filtered.iter().cloned().collect(),
                ..Body::default()
            },
        }
    }
}

/// A value, and its rank, if its name has one.
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

    /// The record of the value in a manifest of this mesh. A value of a rank that the mesh does not have keeps its rank
    /// in its name, as a value that all ranks share; so does a value of any rank in the file of one process. No value
    /// is lost.
    fn in_mesh(self, mesh: &Mesh) -> ValueRecord {
        let (name, coordinate) = match self.rank {
            Some(rank) if mesh.world_size() == 1 || rank >= mesh.world_size() => {
                (of_rank(&self.name, rank), Coordinate::new())
            }
            Some(rank) => (self.name, coordinate(mesh, rank)),
            None => (self.name, Coordinate::new()),
        };
        ValueRecord {
            name,
            coordinate,
            form: CBOR,
            bytes: self.bytes,
        }
    }
}

fn one_file(
    target: &CommitTarget<'_>,
    source: &Arc<dyn Source>,
    rows: &[Row<&StoredTensor>],
    manifest: Manifest,
) -> Result<u64> {
    let mut writer = FileWriter::new(rows, manifest, target.path)?;
    let contents = StoredContents::new(&**source, rows.to_vec());
    publish(target, Durability::Durable, writer.len(), |file, path| {
        writer.write(&contents, file, path)?;
        contents.verify_shared_blocks()
    })?;
    Ok(writer.len())
}

fn directory(
    target: &CommitTarget<'_>,
    source: &Arc<dyn Source>,
    strategy: &Strategy,
    mesh: &Mesh,
    rows: &[Row<&StoredTensor>],
    mut manifest: Manifest,
) -> Result<u64> {
    let CommitTarget { storage, path, phases } = *target;
    let cuts = &source.index().cuts;
    let sharding = |row: &Row<&StoredTensor>| sharding_over(cuts.get(&*row.name), &row.whole, strategy, mesh);
    let shardings: Vec<Sharding> = rows.iter().map(sharding).collect();
    let sharded = || rows.iter().zip(&shardings);
    let tensors = sharded().map(|(row, sharding)| (row.whole.clone(), sharding.clone()));
    let assignment = WriterAssignment::new(mesh.clone(), tensors);
    let generation = Generation::create(storage, path)?;
    // One source of contents for all ranks: together they read every block as a whole.
    let mut contents = StoredContents::new(&**source, Vec::new());
    let mut bytes = 0;
    for rank in 0..mesh.world_size() {
        let written = rows.iter().enumerate().filter_map(|(number, row)| {
            let region = Some(assignment.region_written_by(number, rank)?);
            Some(Row { region, ..row.clone() })
        });
        contents.set_rows(written.collect());
        let (shard_dir, durability) = (generation.shard_dir(), Durability::Durable);
        bytes += rank_file::write(storage, shard_dir, rank, contents.rows(), &contents, durability, phases)?;
    }
    contents.verify_shared_blocks()?;
    let records = sharded().map(|(row, sharding)| record(&row.name, &row.whole, sharding));
    manifest.body.tensors = records.collect();
    let len = generation.commit(manifest, Durability::Durable, phases)?;
    Ok(bytes + len)
}
