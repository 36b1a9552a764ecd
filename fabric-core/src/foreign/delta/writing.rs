//! Writes a delta: compares each block of the new file with that of the base.

use std::path::Path;
use std::sync::Arc;

use super::base::Base;
use super::options::{DeltaOptions, DeltaReport};
use crate::error::{Error, Result};
use crate::foreign::export::safetensors::SafetensorsImage;
use crate::foreign::export::{Copier, chosen};
use crate::format::delta::{Changes, DeltaError, Form, FrameHead, Head, width};
use crate::format::safetensors::Placed;
use crate::io::checksum::{self, BLOCK, Running};
use crate::load::raw::RawCheckpoint;
use crate::phases::Phases;
use crate::save::publish::publish;
use crate::save::{CommitTarget, WRITER};
use crate::source::{Block, Source};
use crate::storage::{Storage, WriteFile};

/// Writes to `path` the delta from `base` to the file of `raw`, or of the entries that the options select.
pub(crate) fn export_delta(
    storage: &dyn Storage,
    raw: &RawCheckpoint,
    base: &Arc<dyn Source>,
    path: &Path,
    mut options: DeltaOptions,
) -> Result<DeltaReport> {
    let base = Base::of(base)?;
    let (chosen, index) = chosen(raw, options.subtree.as_deref(), options.dtype)?;
    let image = SafetensorsImage::new(&index)?;
    let layout = &image.layout;
    let head = Head::new(WRITER, base.name(), base.list(), &layout.header, layout.file_len);
    let head = head.to_bytes().map_err(|error| refused(&error))?;
    let phases = Phases::of_export(raw.origin(), path);
    let copier = Copier::new(&chosen, options.progress.take());
    let target = CommitTarget {
        storage,
        path,
        phases: &phases,
    };
    let mut report = DeltaReport {
        full_bytes: layout.file_len,
        tensors: layout.tensors.len(),
        removed: base
            .names()
            .filter(|name| !index.tensors.contains_key(*name))
            .cloned()
            .collect(),
        left_out: image.report().left_out,
        ..DeltaReport::default()
    };
    let outcome = phases.within(|| {
        copier.announce(index.tensors.keys());
        publish(&target, options.durability, head.len() as u64, |file, path| {
            let mut writer = DeltaWriter::new(file, path);
            writer.head(&head)?;
            let mut comparison = Comparison::new(base, writer, &mut report);
            for placed in &layout.tensors {
                comparison.tensor(&copier, placed)?;
            }
            comparison.finish()
        })
    });
    copier.meter.unwind();
    outcome.inspect_err(|error| phases.failed(error))?;
    report.overflowed = copier.overflowed.into_inner().into_iter().collect();
    phases.saved(report.bytes);
    Ok(report)
}

fn refused(error: &DeltaError) -> Error {
    Error::Options(format!("the tensors cannot be listed in a delta: {error}"))
}

/// The comparison of a base with a new file.
struct Comparison<'w> {
    base: Base<'w>,
    writer: DeltaWriter<'w>,
    report: &'w mut DeltaReport,
    changes: Changes,
    /// The block of the base; zeros if there is none.
    old: Vec<u8>,
    payload: Vec<u8>,
}

impl<'w> Comparison<'w> {
    fn new(base: Base<'w>, writer: DeltaWriter<'w>, report: &'w mut DeltaReport) -> Self {
        Self {
            base,
            writer,
            report,
            changes: Changes::default(),
            old: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// Compares a tensor of the new file.
    fn tensor(&mut self, copier: &Copier<'_>, placed: &Placed) -> Result<()> {
        let Placed { name, info, .. } = placed;
        let before = self.report.changed_elements;
        let mut blocks = self.base.blocks(name, info);
        let is_whole = blocks.is_none();
        copier.copy(name, info.dtype(), &mut |bytes| {
            bytes.chunks(BLOCK).try_for_each(|new| {
                let old = blocks
                    .as_mut()
                    .map(|blocks| blocks.next().filter(|old| old.len == new.len()));
                match old {
                    None => self.block(placed, None, new),
                    Some(Some(old)) => self.block(placed, Some(old), new),
                    Some(None) => Err(uneven(name)),
                }
            })
        })?;
        self.report.changed_tensors += usize::from(is_whole || self.report.changed_elements > before);
        if is_whole {
            self.report.whole.push(name.clone());
        }
        Ok(())
    }

    /// Compares a block, with that of the base if there is one.
    fn block(&mut self, placed: &Placed, old: Option<Block>, new: &[u8]) -> Result<()> {
        match old {
            Some(old) => self.base.read(&placed.name, old, &mut self.old)?,
            None => {
                self.old.clear();
                self.old.resize(new.len(), 0);
            }
        }
        let width = width(placed.info.dtype());
        self.report.elements += (new.len() / width) as u64;
        let base = old.map_or(0, |_| checksum::of(&self.old));
        if old.is_some() && self.old == new {
            return self.writer.frame(Form::Same, (base, base), &[]);
        }
        self.payload.clear();
        let changed = self.changes.encode(width, &self.old, new, &mut self.payload);
        self.report.changed_elements += match old {
            Some(_) => changed as u64,
            None => (new.len() / width) as u64,
        };
        let sums = (base, checksum::of(new));
        if self.payload.len() < new.len() {
            self.writer.frame(Form::Changes, sums, &self.payload)
        } else {
            self.writer.frame(Form::Plain, sums, new)
        }
    }

    fn finish(mut self) -> Result<()> {
        self.writer.flush()?;
        self.report.bytes = self.writer.len;
        self.report.whole.sort();
        Ok(())
    }
}

fn uneven(entry: &str) -> Error {
    Error::Internal(format!("the blocks of entry `{entry}` are not those of the base"))
}

/// Writes the bytes of a delta, with checksums.
struct DeltaWriter<'w> {
    file: &'w mut dyn WriteFile,
    path: &'w Path,
    sum: Running,
    held: Vec<u8>,
    len: u64,
}

impl<'w> DeltaWriter<'w> {
    fn new(file: &'w mut dyn WriteFile, path: &'w Path) -> Self {
        Self {
            file,
            path,
            sum: Running::new(),
            held: Vec::new(),
            len: 0,
        }
    }

    fn head(&mut self, head: &[u8]) -> Result<()> {
        self.put(head)?;
        self.checksum()
    }

    /// Writes a frame with the checksums of the block of the base and of the new block.
    fn frame(&mut self, form: Form, (base, result): (u64, u64), payload: &[u8]) -> Result<()> {
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let head = FrameHead {
            form,
            len,
            base,
            result,
        };
        self.put(&head.to_bytes())?;
        self.put(payload)?;
        self.checksum()
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.sum.update(bytes);
        self.hold(bytes)
    }

    fn checksum(&mut self) -> Result<()> {
        let sum = self.sum.finish();
        self.hold(&sum.to_le_bytes())
    }

    /// Collects small frames, so that one write has many.
    fn hold(&mut self, bytes: &[u8]) -> Result<()> {
        if self.held.len() + bytes.len() > BLOCK {
            self.flush()?;
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.file.write_all(&self.held).map_err(Error::io("write", self.path))?;
        self.len += self.held.len() as u64;
        self.held.clear();
        Ok(())
    }
}
