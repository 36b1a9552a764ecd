//! One file of a checkpoint: header, tensors, manifest. All of a state, or the part of one rank.

use std::collections::BTreeMap;
use std::path::Path;

use crate::checksum::{self, BLOCK};
use crate::entry::{Region, TensorInfo};
use crate::error::{Error, Result};
use crate::format::MANIFEST;
use crate::format::manifest::{FileRecord, Manifest, ManifestError, PartRecord, ShardManifest, TensorRecord};
use crate::format::safetensors::Layout;
use crate::storage::WriteFile;

/// Runs from this length on are worth a thread.
const LONG: usize = 4 * BLOCK;

/// Where the bytes of a file's tensors come from.
pub(crate) trait Contents {
    /// Hands every byte of a piece to `take`, in row-major order, in runs of whole blocks: each but the last is a multiple
    /// of [`BLOCK`] long.
    fn read(&self, piece: usize, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>;
}

/// A box of a tensor that a file holds.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) name: String,
    /// The whole tensor.
    pub(crate) whole: TensorInfo,
    pub(crate) region: Region,
}

/// What the file says of itself at its end.
pub(crate) enum Closing {
    Whole(Manifest),
    Shard(ShardManifest),
}

/// A file that is decided to the last byte but for its checksums.
pub(crate) struct Image {
    layout: Layout,
    closing: Closing,
}

impl Image {
    /// Decides the file's layout. Pieces are sorted by name; `closing` is complete but for them and the file.
    ///
    /// # Errors
    /// If there are more pieces or larger tensors than the format can hold.
    pub(crate) fn new(pieces: Vec<Piece>, mut closing: Closing, path: &Path) -> Result<Self> {
        let refused = |what: String| Error::Options(format!("{} cannot be written: {what}", path.display()));
        let infos: Vec<(String, TensorInfo)> = pieces
            .iter()
            .map(|piece| {
                (
                    piece.name.clone(),
                    TensorInfo::new(piece.whole.dtype(), piece.region.size.clone()),
                )
            })
            .collect();
        *closing.tensors() = pieces
            .into_iter()
            .zip(&infos)
            .map(|(piece, (_, info))| record(piece, info))
            .collect();
        let manifest_len = closing.encoded_len().map_err(|error| refused(error.to_string()))?;
        let layout =
            Layout::new(infos, &BTreeMap::new(), Some(manifest_len)).map_err(|error| refused(error.to_string()))?;
        place(&mut closing, &layout);
        Ok(Self { layout, closing })
    }

    /// The length of the file.
    pub(crate) fn len(&self) -> u64 {
        self.layout.file_len
    }

    /// Writes the whole file, each byte once.
    pub(crate) fn write(&mut self, contents: &dyn Contents, file: &mut dyn WriteFile, path: &Path) -> Result<()> {
        let put = |file: &mut dyn WriteFile, bytes: &[u8]| file.write_all(bytes).map_err(Error::io("write", path));
        put(file, &self.layout.header)?;
        for at in self.order() {
            let record = &mut self.closing.tensors()[at];
            let mut sums = Vec::with_capacity(record.parts[0].sums.len() / checksum::LEN);
            contents.read(at, &mut |run| {
                sums.extend(write_run(file, path, run)?);
                Ok(())
            })?;
            record.parts[0].sums = checksum::to_bytes(&sums);
        }
        let manifest = self
            .closing
            .encode()
            .map_err(|error| Error::Options(error.to_string()))?;
        put(file, &manifest)
    }

    /// The pieces in the order of their bytes.
    fn order(&mut self) -> Vec<usize> {
        let mut by_name: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, tensor) in self.closing.tensors().iter().enumerate() {
            by_name.insert(&tensor.name, at);
        }
        let placed = self.layout.tensors.iter();
        placed
            .filter_map(|placed| by_name.get(placed.name.as_str()).copied())
            .collect()
    }
}

impl Closing {
    fn tensors(&mut self) -> &mut Vec<TensorRecord> {
        match self {
            Self::Whole(manifest) => &mut manifest.tensors,
            Self::Shard(manifest) => &mut manifest.tensors,
        }
    }

    fn set_file(&mut self, file: FileRecord) {
        match self {
            Self::Whole(manifest) => manifest.files = vec![file],
            Self::Shard(manifest) => manifest.file = file,
        }
    }

    fn encoded_len(&mut self) -> Result<u64, ManifestError> {
        self.set_file(FileRecord::default());
        match self {
            Self::Whole(manifest) => manifest.encoded_len(),
            Self::Shard(manifest) => manifest.encoded_len(),
        }
    }

    fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        match self {
            Self::Whole(manifest) => manifest.encode(),
            Self::Shard(manifest) => manifest.encode(),
        }
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

/// A piece without its place and checksums.
fn record(piece: Piece, info: &TensorInfo) -> TensorRecord {
    let len = info.byte_len().unwrap_or_default() as u64;
    TensorRecord {
        name: piece.name,
        dtype: piece.whole.dtype(),
        shape: piece.whole.shape().to_vec(),
        parts: vec![PartRecord::new(piece.region, 0, 0, len)],
    }
}

/// Writes the places that the layout found into the manifest; its length does not depend on them.
fn place(closing: &mut Closing, layout: &Layout) {
    let starts: BTreeMap<&str, u64> = layout
        .tensors
        .iter()
        .map(|placed| (placed.name.as_str(), placed.start))
        .collect();
    for tensor in closing.tensors() {
        tensor.parts[0].start = starts.get(tensor.name.as_str()).copied().unwrap_or_default();
    }
    debug_assert!(layout.tensors.last().is_some_and(|placed| placed.name == MANIFEST));
    closing.set_file(FileRecord {
        name: String::new(),
        header_len: layout.header.len() as u64,
        header_sum: checksum::of(&layout.header).to_le_bytes(),
        len: layout.file_len,
    });
}
