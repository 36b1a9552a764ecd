//! Verifying a checkpoint without a state.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::Fabric;
use crate::error::{Error, Result};
use crate::options::VerifyOptions;
use crate::phases::{Phase, Phases};
use crate::progress::Meter;
use crate::report::{Damage, VerifyReport};
use crate::source::read::read_through;
use crate::source::{Sought, Source, StoredTensor, open};

impl Fabric {
    /// Reads every byte of a checkpoint, compares all checksums, and reports every damaged place.
    ///
    /// It takes all that [`open`](Self::open) reads, and needs no state and little memory. In a directory it looks at the file
    /// of every rank: a file that is missing, or of another save, is damage. Of a checkpoint of this library every byte that
    /// means anything is compared. Of the formats of others, [`VerifyReport::unchecked`] and
    /// [`VerifyReport::unchecked_index`] count the bytes without a checksum.
    ///
    /// Each process verifies by itself: on several ranks, one of them makes the call.
    ///
    /// ```
    /// # use candle_core::{DType, Device, Tensor};
    /// # use fabric_core::{Checkpoint, Fabric};
    /// # #[derive(Checkpoint)] struct State { weight: Tensor }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("last.ckpt");
    /// # let state = State { weight: Tensor::ones(300, DType::F32, &Device::Cpu)? };
    /// let fabric = Fabric::new();
    /// fabric.save(&path, &state)?;
    /// assert!(fabric.verify(&path)?.is_whole());
    ///
    /// let mut bytes = std::fs::read(&path)?;
    /// let middle = bytes.len() / 2;
    /// bytes[middle] ^= 1;
    /// std::fs::write(&path, bytes)?;
    /// for damage in fabric.verify(&path)?.damaged {
    ///     println!("{damage}"); // the file, the entry, the block, its bytes
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) if nothing is at `path`,
    /// [`Error::UnknownFormat`](crate::Error::UnknownFormat) if it is no checkpoint,
    /// [`Error::NewerFormat`](crate::Error::NewerFormat), and [`Error::Io`](crate::Error::Io) if a file cannot be read. Damage is
    /// no error.
    pub fn verify(&self, path: impl AsRef<Path>) -> Result<VerifyReport> {
        self.verify_with(path, VerifyOptions::new())
    }

    /// Verifies a checkpoint as [`verify`](Self::verify) does, with options.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_with(&self, path: impl AsRef<Path>, options: VerifyOptions) -> Result<VerifyReport> {
        let _within = self.background.enter("Fabric::verify")?;
        self.background.join_last();
        let path = path.as_ref();
        let (phases, absolute) = (Phases::of_verify(path, self.rank()), self.absolute(path));
        let meter = Meter::new(options.progress);
        let found = Found::default();
        let outcome = phases.within(|| {
            let path = absolute.path()?;
            let mut report = VerifyReport::default();
            if let Some(source) = self.open_to_verify(path, &found, &phases)? {
                report.entries = source.index().len();
                let tensors = phases.time(Phase::Match, || locate(&*source, &found))?;
                if !options.quick {
                    report.unchecked_index = source.unchecked_index();
                    read(&*source, &tensors, &meter, &found, &mut report, &phases)?;
                }
            }
            Ok(report)
        });
        meter.unwind();
        let mut report = outcome
            .map_err(|error| absolute.named(error))
            .inspect_err(|error| phases.failed(error))?;
        let damaged = found
            .into_errors()
            .into_iter()
            .map(|error| Damage::of(absolute.named(error)));
        report.set_damaged(damaged.collect::<Result<Vec<_>>>()?);
        phases.verified(report.bytes);
        Ok(report)
    }

    /// Opens a checkpoint; `None` if the index is damaged.
    fn open_to_verify(
        &self,
        path: &Path,
        found: &Found,
        phases: &Phases,
    ) -> Result<Option<std::sync::Arc<dyn Source>>> {
        let error = match phases.time(Phase::Index, || open(&self.storage, path, self.limit)) {
            Ok(source) => return Ok(Some(source)),
            Err(error) => error,
        };
        // Of the path itself, these errors say that it is no checkpoint; of another file, that it is damaged or lost.
        if let Error::NotFound { path: at, .. } | Error::UnknownFormat { path: at, .. } = &error
            && at.components().eq(path.components())
        {
            return Err(error);
        }
        found.add(error).map(|()| None)
    }
}

/// The errors that tell of damage.
#[derive(Debug, Default)]
struct Found(Mutex<Vec<Error>>);

impl Found {
    /// Keeps the error of damage.
    ///
    /// # Errors
    /// Any other error.
    fn add(&self, error: Error) -> Result<()> {
        if !is_damage(&error) {
            return Err(error);
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(error);
        Ok(())
    }

    fn into_errors(self) -> Vec<Error> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_damage(error: &Error) -> bool {
    matches!(
        error,
        Error::Corrupt { .. } | Error::Checksum { .. } | Error::NotFound { .. } | Error::UnknownFormat { .. }
    )
}

/// The tensors of a source with the places of their bytes, as far as these can be found.
fn locate<'s>(source: &'s dyn Source, found: &Found) -> Result<Vec<(&'s str, Cow<'s, StoredTensor>)>> {
    let tensors = || {
        source
            .index()
            .tensors
            .iter()
            .map(|(entry, stored)| (entry.as_str(), stored))
    };
    let sought = tensors().map(|(entry, stored)| Sought {
        entry,
        stored,
        wanted: None,
    });
    if let Ok(located) = source.locate_all(&sought.collect::<Vec<_>>()) {
        return Ok(tensors().map(|(entry, _)| entry).zip(located).collect());
    }
    // Something is damaged: each part by itself, so that nothing hides the rest.
    let each = tensors().map(|(entry, stored)| {
        let (mut parts, mut outcome) = (Vec::new(), Ok(()));
        source.locate_parts(entry, stored, &mut |part| match part {
            Ok(part) => parts.push(part),
            Err(error) if outcome.is_ok() => outcome = found.add(error),
            Err(_) => {}
        });
        let info = stored.info.clone();
        outcome.map(|()| (entry, Cow::Owned(StoredTensor { info, parts })))
    });
    each.collect()
}

fn read(
    source: &dyn Source,
    tensors: &[(&str, Cow<'_, StoredTensor>)],
    meter: &Meter,
    found: &Found,
    report: &mut VerifyReport,
    phases: &Phases,
) -> Result<()> {
    let reading = phases.begin(Phase::Read);
    let tensors = tensors.iter().map(|(entry, stored)| (*entry, &**stored));
    let read = read_through(source, tensors, meter, |error| found.add(error))?;
    reading.bytes(read.bytes);
    (report.blocks, report.bytes, report.unchecked) = (read.blocks, read.bytes, read.unchecked);
    Ok(())
}
