//! The description of a checkpoint as a whole.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::RawCheckpoint;
use crate::error::Result;
use crate::format::manifest::StructRecord;
use crate::source::{About, Format};

/// The facts about a checkpoint as a whole, which [`RawCheckpoint::description`] returns.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Description {
    /// The format of the file or the directory.
    pub format: Format,
    /// The library that wrote the checkpoint, and its version: `fabric-core 0.1.0`. `None` if the format does not store it.
    pub writer: Option<String>,
    /// The name of the [`Strategy`](crate::Strategy) that the checkpoint was saved under. `None` for formats of other programs.
    pub strategy: Option<String>,
    /// The axes of the mesh of ranks that saved, with the number of ranks along each; empty for one process, and for formats of
    /// other programs.
    pub mesh: Vec<(String, u64)>,
    /// The structs of the saved state, sorted by their paths; empty if the file does not store them.
    pub structs: Vec<StructDescription>,
    /// The facts of a checkpoint that a [`Run`](crate::run::Run) saved.
    pub run: Option<RunDescription>,
    /// The number of files that the checkpoint consists of, a file with the index among them. A directory may lack files that its
    /// manifest names; these are not counted.
    pub files: usize,
    /// The length of these files, in bytes.
    pub bytes: u64,
}

/// A struct of a saved state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StructDescription {
    /// The path below which the fields of the struct are; empty for the state itself.
    pub path: String,
    /// The name of the type, without its module and its generic arguments.
    pub name: String,
    /// The version of the struct, which its author counts from 1.
    pub version: u32,
}

/// The facts that a [`Run`](crate::run::Run) stores in a checkpoint.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunDescription {
    /// The step that the checkpoint was saved at.
    pub step: u64,
    /// The time of the save, by the clock of the machine that saved.
    pub time: SystemTime,
    /// The metrics that the checkpoint was saved with.
    pub metrics: BTreeMap<String, f64>,
    /// The name of the machine that saved, if the run stored it.
    pub host: Option<String>,
}

/// The structs of a file by their paths. Of those at one path, the outer one comes first.
fn described(structs: &[StructRecord]) -> Vec<StructDescription> {
    let structs = structs.iter().map(|record| StructDescription {
        path: record.path.clone(),
        name: record.name.clone(),
        version: record.version,
    });
    let mut structs: Vec<StructDescription> = structs.collect();
    structs.sort_by(|a, b| a.path.cmp(&b.path));
    structs
}

impl RawCheckpoint {
    /// The structs of the saved state with their versions, sorted by path; empty if the file does not store them. Several structs may
    /// have one path: a newtype and its contents, or a struct and one that it flattens. The outer one comes first. A
    /// [`subtree`](Self::subtree) has the structs at its name and below, with paths relative to it.
    ///
    /// ```
    /// # use candle_core::{DType, Device, Tensor};
    /// # use fabric_core::{Checkpoint, Fabric};
    /// #[derive(Checkpoint)]
    /// #[checkpoint(version = 3)]
    /// struct Attention { qkv: Tensor }
    ///
    /// #[derive(Checkpoint)]
    /// struct Model { layers: Vec<Attention> }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("last.ckpt");
    /// # let qkv = Tensor::ones((6, 2), DType::F32, &Device::Cpu)?;
    /// # let fabric = Fabric::new();
    /// fabric.save(&path, &Model { layers: vec![Attention { qkv }] })?;
    /// let raw = fabric.open(&path)?;
    /// let versions = raw.versions().into_iter().map(|found| format!("{} {} {}", found.path, found.name, found.version));
    /// assert_eq!(versions.collect::<Vec<_>>(), [" Model 1", "layers.0 Attention 3"]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn versions(&self) -> Vec<StructDescription> {
        described(&self.index.structs)
    }

    /// The format of the checkpoint, its writer, its strategy, the versions of its structs, its files, and the facts of a run. A
    /// [`subtree`](Self::subtree) or a remainder has the description of the checkpoint that it is from.
    ///
    /// The call reads no tensor. In a directory of this library it looks at the length of every file.
    ///
    /// ```
    /// # use fabric_core::{Fabric, Format};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("last.ckpt");
    /// # let ones = candle_core::Tensor::ones(7, candle_core::DType::F32, &candle_core::Device::Cpu)?;
    /// # let state = std::collections::BTreeMap::from([("w".to_owned(), ones)]);
    /// let fabric = Fabric::new();
    /// fabric.save(&path, &state)?;
    /// let description = fabric.open(&path)?.description()?;
    /// assert_eq!(description.format, Format::FabricFile);
    /// assert_eq!(description.files, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the length of a file cannot be read.
    pub fn description(&self) -> Result<Description> {
        let About {
            format,
            writer,
            strategy,
            mesh,
            run,
            files,
            bytes,
            unchecked_index: _,
        } = self.source.about()?;
        Ok(Description {
            format,
            writer,
            strategy,
            mesh,
            structs: described(&self.source.index().structs),
            run: run.map(|facts| RunDescription {
                step: facts.step,
                time: facts.time,
                metrics: facts.metrics,
                host: facts.host,
            }),
            files,
            bytes,
        })
    }
}
