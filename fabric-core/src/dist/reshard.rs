//! Resharding: copies a checkpoint into another layout, without a state or a model, in blocks.

mod contents;
mod shardings;

use self::contents::StoredContents;
use self::shardings::sharding_over;
use crate::dist::manifest::{coordinate, record};
use crate::dist::mesh::{Mesh, Sharding, WriterAssignment};
use crate::dist::save::generation::{self, Generation};
use crate::dist::save::rank_file;
use crate::dist::strategy::{Layout, Strategy};
use crate::entry::{DType, Row, check_name, of_rank, shown, without_rank};
use crate::error::{Error, Result, StateError};
use crate::format::manifest::{Body, CBOR, Coordinate, Manifest, ManifestHead, TieRecord, ValueRecord};
use crate::format::safetensors::FileLayout;
use crate::hash::HashMap;
use crate::load::cast;
use crate::load::raw::RawCheckpoint;
use crate::options::{Durability, ReshardOptions};
use crate::progress::Meter;
use crate::save::file::FileWriter;
use crate::save::manifest::manifest_head;
use crate::save::publish::publish;
use crate::save::{CommitTarget, SaveReport};
use crate::source::{Index, StoredTensor, check_tensors};
use crate::value::{Value, ValueError};

/// Writes the entries of `raw` to the target, as `strategy` lays them out.
pub(crate) fn reshard(
    target: &CommitTarget<'_>,
    raw: &RawCheckpoint,
    strategy: &Strategy,
    options: ReshardOptions,
) -> Result<SaveReport> {
    let mesh = strategy.grid().map_err(Error::Strategy)?;
    options.dtype.map(cast::check_target).transpose()?;
    let chosen = match &options.subtree {
        Some(name) => raw.subtree(name),
        None => raw.clone(),
    };
    if let Some(name) = options.subtree.as_ref().filter(|_| chosen.is_empty()) {
        return Err(raw.no_subtree(name));
    }
    let index = &*chosen.index;
    let mut whole = Whole::of(index, options.dtype)?;
    check_tensors(&*raw.source, whole.rows.iter().map(|row| row.bytes))?;
    let entries = whole.rows.len() + whole.ties.len() + whole.values.len();
    let manifest = whole.take_manifest(index, strategy, &mesh)?;
    let job = Job {
        index,
        rows: &whole.rows,
        dry_run: options.dry_run,
        durability: options.durability,
        meter: Meter::new(options.progress),
        contents: StoredContents::new(&*raw.source),
    };
    job.meter
        .announce(whole.rows.iter().map(|row| stored_len(row.bytes)).sum());
    let written = match strategy.layout() {
        Layout::OneFile => one_file(target, job, manifest),
        Layout::Directory => directory(target, job, strategy, &mesh, manifest),
    };
    let (bytes, overflowed) = written?;
    Ok(SaveReport {
        entries,
        bytes,
        filtered: index.filtered.iter().cloned().collect(),
        overflowed,
        not_read: index.not_read(),
        ..SaveReport::default()
    })
}

/// The length of a tensor in its own element type.
fn stored_len(stored: &StoredTensor) -> u64 {
    stored.info.byte_len().unwrap_or_default() as u64
}

/// The rows to write, and how.
struct Job<'s> {
    index: &'s Index,
    rows: &'s [Row<&'s StoredTensor>],
    dry_run: bool,
    durability: Durability,
    meter: Meter,
    contents: StoredContents<'s>,
}

/// The contents of a source, each tensor once.
struct Whole<'s> {
    /// In the order of their bytes in a file.
    rows: Vec<Row<&'s StoredTensor>>,
    ties: Vec<TieRecord>,
    values: Vec<StoredValue>,
}

impl<'s> Whole<'s> {
    /// The entries of an index; floats are to have the element type `dtype`.
    fn of(index: &'s Index, dtype: Option<DType>) -> Result<Self> {
        let mut tensors: Vec<(&String, &StoredTensor)> = index.tensors.iter().collect();
        let info = |name: &String, stored: &StoredTensor| {
            let own = index.edits.casts.get(name).unwrap_or(&stored.info);
            cast::converted(own, dtype)
        };
        tensors.sort_by(|(a, a_stored), (b, b_stored)| {
            FileLayout::compare((a, &info(a, a_stored)), (b, &info(b, b_stored)))
        });
        let values = index.values.iter().map(|(name, value)| StoredValue::of(name, value));
        let values = values.collect::<Result<Vec<_>>>()?;
        let mut whole = Self {
            rows: Vec::new(),
            ties: Vec::new(),
            values,
        };
        let mut by_place = HashMap::default();
        for (name, stored) in tensors {
            let number = u32::try_from(whole.rows.len()).unwrap_or(u32::MAX);
            // Tensors without any bytes lie in one place without being the same.
            let first = if stored.info.byte_len() == Some(0) {
                number
            } else {
                *by_place
                    .entry((stored.info.clone(), info(name, stored), stored.extents()))
                    .or_insert(number)
            };
            if first == number {
                whole.rows.push(Row {
                    name: name.as_str().into(),
                    whole: info(name, stored),
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
    fn take_manifest(&mut self, index: &Index, strategy: &Strategy, mesh: &Mesh) -> Result<Manifest> {
        let values = std::mem::take(&mut self.values).into_iter();
        Ok(Manifest {
            head: ManifestHead {
                facts: index.facts()?,
                ..manifest_head(strategy.origin())
            },
            body: Body {
                structs: index.structs.clone(),
                values: values.map(|value| value.in_mesh(mesh)).collect(),
                ties: std::mem::take(&mut self.ties),
                filtered: index.filtered.iter().cloned().collect(),
                ..Body::default()
            },
        })
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
        check_name(name).map_err(|what| StateError::Name {
            name: name.to_owned(),
            what,
        })?;
        let refused = |error: ValueError| {
            error.or(&format!("save value `{}`", shown(name)), |error| {
                let (name, what) = (name.to_owned(), error.to_string());
                StateError::Value { name, what }.into()
            })
        };
        let bytes = value.to_bytes().map_err(refused)?;
        let (name, rank) = match without_rank(name) {
            Some((name, rank)) if check_name(name).is_ok() => (name, Some(rank)),
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

/// The length of the files in bytes, and the names of the tensors with numbers that became infinite.
type Written = (u64, Vec<String>);

fn one_file(target: &CommitTarget<'_>, mut job: Job<'_>, manifest: Manifest) -> Result<Written> {
    let mut writer = FileWriter::new(job.rows, manifest, target.path)?;
    if !job.dry_run {
        job.contents.set_rows(job.rows.to_vec());
        let contents = job.contents.counted(&job.meter);
        let published = publish(target, job.durability, writer.len(), |file, path| {
            writer.write(&contents, file, path)?;
            contents.stored.verify_shared_blocks()
        });
        job.meter.unwind();
        published?;
    }
    Ok((writer.len(), job.contents.overflowed()))
}

fn directory(
    target: &CommitTarget<'_>,
    mut job: Job<'_>,
    strategy: &Strategy,
    mesh: &Mesh,
    mut manifest: Manifest,
) -> Result<Written> {
    let cuts = &job.index.cuts;
    let sharding = |row: &Row<&StoredTensor>| sharding_over(cuts.get(&*row.name), &row.whole, strategy, mesh);
    let shardings: Vec<Sharding> = job.rows.iter().map(sharding).collect();
    let sharded = || job.rows.iter().zip(&shardings);
    let tensors = sharded().map(|(row, sharding)| (row.whole.clone(), sharding.clone()));
    let assignment = WriterAssignment::new(mesh.clone(), tensors);
    let records = sharded().map(|(row, sharding)| record(&row.name, &row.whole, sharding));
    manifest.body.tensors = records.collect();
    let rows_of = |rank: usize| -> Vec<Row<&StoredTensor>> {
        let written = job.rows.iter().enumerate().filter_map(|(number, row)| {
            let region = Some(assignment.region_written_by(number, rank)?);
            Some(Row { region, ..row.clone() })
        });
        written.collect()
    };
    if job.dry_run {
        let ranks = (0..mesh.world_size()).map(|rank| rank_file::len(target.path, rank, &rows_of(rank)));
        let bytes: u64 = ranks.sum::<Result<u64>>()?;
        return Ok((bytes + generation::manifest_len(manifest)?, Vec::new()));
    }
    let CommitTarget { storage, path, phases } = *target;
    let write = || -> Result<u64> {
        let generation = Generation::create(storage, path)?;
        let mut bytes = 0;
        for rank in 0..mesh.world_size() {
            // One source of contents for all ranks: together they read every block as a whole.
            job.contents.set_rows(rows_of(rank));
            let (shard_dir, durability) = (generation.shard_dir(), job.durability);
            let (rows, contents) = (job.contents.rows(), job.contents.counted(&job.meter));
            bytes += rank_file::write(storage, shard_dir, rank, rows, &contents, durability, phases)?;
        }
        job.contents.verify_shared_blocks()?;
        Ok(bytes + generation.commit(manifest, job.durability, phases)?)
    };
    let written = write();
    job.meter.unwind();
    Ok((written?, job.contents.overflowed()))
}
