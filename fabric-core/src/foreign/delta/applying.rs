//! Applies a delta: makes each block of the new file of that of the base.

use std::path::Path;
use std::sync::Arc;

use super::base::Base;
use super::options::{ApplyOptions, ApplyReport};
use super::reading::{DeltaReader, Frame, damaged};
use crate::error::{Error, Result};
use crate::format::delta::{Changes, DeltaError, Form, Head, width};
use crate::format::safetensors::{Header, Placed};
use crate::io::checksum::{self, BLOCK};
use crate::phases::Phases;
use crate::progress::Meter;
use crate::save::CommitTarget;
use crate::save::publish::publish;
use crate::source::open::open_file;
use crate::source::{Block, ReadLimit, Source};
use crate::storage::{Storage, WriteFile};

/// Writes to `path` the file that the delta at `delta` makes of `base`.
pub(crate) fn apply_delta(
    storage: &dyn Storage,
    limit: ReadLimit,
    base: &Arc<dyn Source>,
    delta: &Path,
    path: &Path,
    mut options: ApplyOptions,
) -> Result<ApplyReport> {
    let base = Base::of(base)?;
    let file = open_file(storage, delta)?;
    let mut reader = DeltaReader::new(&*file, delta)?;
    let head = reader.head(limit)?;
    let bytes = head.header().map_err(|error| damaged(delta, error))?;
    let header = Header::parse(&bytes, head.file_len)
        .map_err(|error| Error::corrupt(delta, format!("it makes no safetensors file: {error}")))?;
    if base.list() != head.base_list {
        let what = "its tensors have other names, element types or shapes";
        return Err(wrong_base(base, delta, &head, what.to_owned()));
    }
    limit.check_new_file(delta, head.file_len, base.bytes().saturating_add(reader.len))?;
    let phases = Phases::of_apply(delta, path);
    let meter = Meter::new(options.progress.take());
    meter.announce(head.file_len - header.len);
    let target = CommitTarget {
        storage,
        path,
        phases: &phases,
    };
    let report = ApplyReport {
        tensors: header.tensors.len(),
        bytes: head.file_len,
        delta_bytes: reader.len,
    };
    let outcome = phases.within(|| {
        publish(&target, options.durability, head.file_len, |file, path| {
            file.write_all(&bytes).map_err(Error::io("write", path))?;
            let mut application = Application {
                base,
                delta,
                head: &head,
                reader,
                meter: &meter,
                changes: Changes::default(),
                block: Vec::new(),
            };
            let mut put = |bytes: &[u8]| put(file, path, bytes);
            for placed in &header.tensors {
                application.tensor(placed, &mut put)?;
            }
            application.reader.finish()
        })
    });
    meter.unwind();
    outcome.inspect_err(|error| phases.failed(error))?;
    phases.saved(report.bytes);
    Ok(report)
}

fn put(file: &mut dyn WriteFile, path: &Path, bytes: &[u8]) -> Result<()> {
    file.write_all(bytes).map_err(Error::io("write", path))
}

fn wrong_base(base: Base<'_>, delta: &Path, head: &Head, what: String) -> Error {
    Error::WrongBase {
        base: base.path().to_path_buf(),
        delta: delta.to_path_buf(),
        made_against: head.base.clone(),
        what,
    }
}

/// The application of a delta to a base.
struct Application<'a> {
    base: Base<'a>,
    delta: &'a Path,
    head: &'a Head,
    reader: DeltaReader<'a>,
    meter: &'a Meter,
    changes: Changes,
    /// The block of the base, and then that of the new file.
    block: Vec<u8>,
}

impl Application<'_> {
    /// Makes a tensor of the new file.
    fn tensor(&mut self, placed: &Placed, put: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut blocks = self.base.blocks(&placed.name, &placed.info);
        let mut left = placed.end - placed.start;
        while left > 0 {
            let len = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
            let old = blocks.as_mut().and_then(Iterator::next);
            self.block(placed, old, len)?;
            put(&self.block)?;
            self.meter.add(&placed.name, len as u64)?;
            left -= len as u64;
        }
        Ok(())
    }

    /// Makes a block of `len` bytes, of that of the base if there is one.
    fn block(&mut self, placed: &Placed, old: Option<Block>, len: usize) -> Result<()> {
        match old {
            Some(old) => self.base.read(&placed.name, old, &mut self.block)?,
            None => {
                self.block.clear();
                self.block.resize(len, 0);
            }
        }
        let Frame { head, payload, at } = self.reader.frame(len, old.is_some())?;
        if let Some(old) = old
            && checksum::of(&self.block) != head.base
        {
            let (name, end) = (&placed.name, old.start + old.len as u64);
            let what = format!(
                "entry `{name}`, block {} (bytes {}..{end} of the file) has other contents",
                old.number, old.start
            );
            return Err(wrong_base(self.base, self.delta, self.head, what));
        }
        let damaged = |error| damaged(self.delta, error);
        match head.form {
            Form::Same => {}
            Form::Plain => self.block.copy_from_slice(payload),
            Form::Changes => {
                let applied = self.changes.apply(width(placed.info.dtype()), payload, &mut self.block);
                applied.ok_or_else(|| damaged(DeltaError::Changes { at, block: len }))?;
            }
        }
        if head.form != Form::Same && checksum::of(&self.block) != head.result {
            return Err(damaged(DeltaError::Result { at }));
        }
        Ok(())
    }
}
