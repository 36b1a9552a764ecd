//! A checkpoint in one safetensors file: header, tensors, manifest.

use std::collections::BTreeMap;
use std::path::Path;

use super::SaveReport;
use super::read_out::read_out;
use crate::checksum::{self, BLOCK};
use crate::entry::Region;
use crate::error::{Error, Result};
use crate::format::MANIFEST;
use crate::format::manifest::{CBOR, FileRecord, Manifest, PartRecord, TensorRecord, TieRecord, ValueRecord};
use crate::format::safetensors::Layout;
use crate::plan;
use crate::plan::save::{Reading, SavePlan};
use crate::state::Content;
use crate::storage::WriteFile;
use crate::strategy::Strategy;

/// Runs from this length on are worth a thread.
const LONG: usize = 4 * BLOCK;

/// A file that is decided to the last byte but for its checksums.
pub(crate) struct Image<'a> {
    state: &'a Reading<'a>,
    layout: Layout,
    manifest: Manifest,
    /// For each tensor of the manifest, its place among the items of the state.
    items: Vec<usize>,
    report: SaveReport,
}

impl<'a> Image<'a> {
    /// Decides the file's layout.
    ///
    /// # Errors
    /// If the state has more entries or larger tensors than the format can hold.
    pub(crate) fn new(state: &'a Reading<'a>, plan: SavePlan, version: u32, path: &Path) -> Result<Self> {
        let refused = |what: String| Error::Options(format!("{} cannot be written: {what}", path.display()));
        let report = SaveReport {
            entries: plan.tensors.len() + plan.ties.len() + plan.values.len(),
            bytes: 0,
            filtered: plan.filtered.clone(),
        };
        let (mut manifest, items) = manifest(plan, version);
        let infos: Vec<_> = manifest
            .tensors
            .iter()
            .map(|tensor| (tensor.name.clone(), tensor.info()))
            .collect();
        let manifest_len = manifest.encoded_len().map_err(|error| refused(error.to_string()))?;
        let layout =
            Layout::new(infos, &BTreeMap::new(), Some(manifest_len)).map_err(|error| refused(error.to_string()))?;
        place(&mut manifest, &layout);
        Ok(Self {
            state,
            report: SaveReport {
                bytes: layout.file_len,
                ..report
            },
            layout,
            manifest,
            items,
        })
    }

    pub(crate) fn report(&self) -> SaveReport {
        self.report.clone()
    }

    /// Writes the whole file, each byte once.
    pub(crate) fn write(&mut self, file: &mut dyn WriteFile, path: &Path) -> Result<()> {
        let put = |file: &mut dyn WriteFile, bytes: &[u8]| file.write_all(bytes).map_err(Error::io("write", path));
        put(file, &self.layout.header)?;
        let mut order: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, tensor) in self.manifest.tensors.iter().enumerate() {
            order.insert(&tensor.name, at);
        }
        let order: Vec<usize> = self
            .layout
            .tensors
            .iter()
            .filter_map(|placed| order.get(placed.name.as_str()).copied())
            .collect();
        for at in order {
            let record = &mut self.manifest.tensors[at];
            let Content::Tensor(tensor, _) = &self.state.items[self.items[at]].content else {
                continue;
            };
            let mut sums = Vec::with_capacity(record.parts[0].sums.len() / checksum::LEN);
            read_out(&record.name, tensor, &mut |run| {
                sums.extend(write_run(file, path, run)?);
                Ok(())
            })?;
            record.parts[0].sums = checksum::to_bytes(&sums);
        }
        let manifest = self
            .manifest
            .encode()
            .map_err(|error| Error::Options(error.to_string()))?;
        put(file, &manifest)
    }
}

/// Writes a run of blocks and gives their checksums. For a long run a second thread computes them meanwhile: the system
/// takes longer to write a block than to read it.
fn write_run(file: &mut dyn WriteFile, path: &Path, run: &[u8]) -> Result<Vec<u64>> {
    let mut write = |block: &[u8]| file.write_all(block).map_err(Error::io("write", path));
    if run.len() < LONG {
        let blocks = run.chunks(BLOCK);
        return blocks.map(|block| write(block).map(|()| checksum::of(block))).collect();
    }
    std::thread::scope(|scope| {
        let sums = scope.spawn(|| checksum::sums(run));
        run.chunks(BLOCK).try_for_each(write)?;
        sums.join()
            .map_err(|_| Error::Options("the thread that computes checksums stopped".to_owned()))
    })
}

/// The plan as a manifest, without places and checksums.
fn manifest(plan: SavePlan, version: u32) -> (Manifest, Vec<usize>) {
    let mut tensors: Vec<(usize, plan::save::PlannedTensor)> = plan.tensors.into_iter().enumerate().collect();
    tensors.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let mut places = vec![0u32; tensors.len()];
    for (now, (before, _)) in (0u32..).zip(&tensors) {
        places[*before] = now;
    }
    let items = tensors.iter().map(|(_, tensor)| tensor.item).collect();
    let record = |(_, tensor): (usize, plan::save::PlannedTensor)| TensorRecord {
        name: tensor.name,
        dtype: tensor.info.dtype(),
        shape: tensor.info.shape().to_vec(),
        parts: vec![PartRecord::new(
            Region::whole(tensor.info.shape()),
            0,
            0,
            tensor.info.byte_len().unwrap_or_default() as u64,
        )],
    };
    let manifest = Manifest {
        writer: concat!("fabric-core ", env!("CARGO_PKG_VERSION")).to_owned(),
        strategy: Strategy::single_device().name().to_owned(),
        mesh: Vec::new(),
        state_version: version,
        files: vec![FileRecord::default()],
        tensors: tensors.into_iter().map(record).collect(),
        ties: plan
            .ties
            .into_iter()
            .map(|(name, at)| TieRecord {
                name,
                target: places[at],
            })
            .collect(),
        values: plan
            .values
            .into_iter()
            .map(|(name, bytes)| ValueRecord {
                name,
                rank: None,
                form: CBOR,
                bytes,
            })
            .collect(),
        filtered: plan.filtered,
    };
    (manifest, items)
}

/// Writes the places that the layout found into the manifest; its length does not depend on them.
fn place(manifest: &mut Manifest, layout: &Layout) {
    let starts: BTreeMap<&str, u64> = layout
        .tensors
        .iter()
        .map(|placed| (placed.name.as_str(), placed.start))
        .collect();
    for tensor in &mut manifest.tensors {
        tensor.parts[0].start = starts.get(tensor.name.as_str()).copied().unwrap_or_default();
    }
    debug_assert!(layout.tensors.last().is_some_and(|placed| placed.name == MANIFEST));
    manifest.files[0] = FileRecord {
        name: String::new(),
        header_len: layout.header.len() as u64,
        header_sum: checksum::of(&layout.header).to_le_bytes(),
        len: layout.file_len,
    };
}
