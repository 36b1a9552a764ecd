//! The facts about a checkpoint as a whole: its format, the library that wrote it, its files.

use std::fmt;

use crate::format::facts::Facts;
use crate::format::manifest::ManifestHead;

/// The format of an opened checkpoint.
///
/// ```
/// # use fabric_core::Format;
/// assert_eq!(Format::FabricDirectory.to_string(), "Fabric directory");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A checkpoint of this library in one file.
    FabricFile,
    /// A checkpoint of this library in a directory, with one file for each rank that wrote.
    FabricDirectory,
    /// A file of `torch.save`: a zip archive, which PyTorch writes since version 1.6.
    TorchSave,
    /// A file of `torch.save` in the form before PyTorch 1.6.
    TorchSaveLegacy,
    /// A directory of PyTorch's Distributed Checkpoint.
    DistributedCheckpoint,
    /// A safetensors file of another program.
    Safetensors,
    /// Several files of weights as model hubs have them: the shards of an index file, or numbered files. A directory with one
    /// file of weights has the format of this file.
    HuggingFaceDirectory,
}

impl Format {
    /// The name of the format, for people.
    fn name(self) -> &'static str {
        match self {
            Self::FabricFile => "Fabric file",
            Self::FabricDirectory => "Fabric directory",
            Self::TorchSave => "torch.save",
            Self::TorchSaveLegacy => "torch.save (legacy)",
            Self::DistributedCheckpoint => "PyTorch distributed checkpoint",
            Self::Safetensors => "safetensors",
            Self::HuggingFaceDirectory => "Hugging Face directory",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The facts that a source knows.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) format: Format,
    pub(crate) writer: Option<String>,
    pub(crate) strategy: Option<String>,
    pub(crate) mesh: Vec<(String, u64)>,
    pub(crate) run: Option<Facts>,
    pub(crate) files: usize,
    /// The length of the files, in bytes.
    pub(crate) bytes: u64,
    /// The bytes of the index if it has no checksum.
    pub(crate) unchecked_index: u64,
}

impl About {
    /// The facts about a checkpoint of another program.
    pub(crate) fn of(format: Format) -> Self {
        Self {
            format,
            writer: None,
            strategy: None,
            mesh: Vec::new(),
            run: None,
            files: 0,
            bytes: 0,
            unchecked_index: 0,
        }
    }

    /// The facts in the head of a manifest.
    pub(crate) fn of_head(format: Format, head: &ManifestHead) -> Self {
        Self {
            writer: Some(head.writer.clone()),
            strategy: Some(head.strategy.clone()),
            mesh: head.mesh.clone(),
            run: Facts::of(&head.facts),
            ..Self::of(format)
        }
    }

    /// The facts of a checkpoint whose index is a file by itself.
    pub(crate) fn with_index(mut self, len: u64) -> Self {
        self.count(len);
        self
    }

    /// The facts of a checkpoint whose index has this many bytes, and no checksum.
    pub(crate) fn with_unchecked(mut self, len: u64) -> Self {
        self.unchecked_index = len;
        self
    }

    /// Adds a file of this length.
    pub(crate) fn count(&mut self, len: u64) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(len);
    }
}
