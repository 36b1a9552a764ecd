//! Reads the elements of a tensor block by block, without a tensor in memory.

use std::ops::{ControlFlow, Range};

use super::RawCheckpoint;
use crate::entry::{Element, Region, shown};
use crate::error::{Error, Result};
use crate::source::{check_tensors, read};

/// The number of elements that a caller gets at once.
const AT_ONCE: usize = 4096;

impl RawCheckpoint {
    /// Passes the elements of a tensor, or of a box of it, to `take` in row-major order, some thousands at a time, until `take`
    /// returns [`ControlFlow::Break`]. The tensor is not held in memory.
    ///
    /// `ranges` has a range of indices for each dimension, outermost first. Dimensions without a range are whole, so `&[]` stands for
    /// the whole tensor. Of a box, the parts of the file that hold it are read.
    ///
    /// Every block is verified before its elements are passed on, with two exceptions: a block of which the box needs a part, and a
    /// file of `torch.save`, whose checksums cover whole tensors, are verified at the end. If a call stops early or returns an error,
    /// such elements are unverified.
    ///
    /// ```
    /// # use std::ops::ControlFlow;
    /// # use candle_core::{Device, Tensor};
    /// # use fabric_core::{Element, Fabric};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("last.ckpt");
    /// # let weight = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
    /// # Fabric::new().save(&path, &std::collections::BTreeMap::from([("weight".to_owned(), weight)]))?;
    /// let mut column = Vec::new();
    /// Fabric::new().open(&path)?.elements("weight", &[0..2, 1..2], |elements| {
    ///     column.extend_from_slice(elements);
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(column, [Element::Single(2.), Element::Single(4.)]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If there is no such entry, it is a value, its elements are no single numbers (complex types) or share bytes (floats of four
    /// and six bits), a range does not lie in its dimension, or the bytes are damaged. [`Error::Limit`] for a view that shows far more
    /// bytes than the file has.
    pub fn elements(
        &self,
        name: &str,
        ranges: &[Range<usize>],
        mut take: impl FnMut(&[Element]) -> ControlFlow<()>,
    ) -> Result<()> {
        let dtype = self.stored(name)?.info.dtype();
        let width = dtype.bits().div_ceil(8).max(1);
        let mut elements = Vec::with_capacity(AT_ONCE);
        self.read_box(name, ranges, &mut |bytes| {
            for piece in bytes.chunks(AT_ONCE * width) {
                elements.clear();
                Element::decode(dtype, piece, &mut elements);
                if take(&elements).is_break() {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })
    }

    /// Passes the bytes of a box of a tensor to `take`, whole elements at a time.
    pub(super) fn read_box(
        &self,
        name: &str,
        ranges: &[Range<usize>],
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        let stored = self.stored(name)?;
        if !Element::can_be(stored.info.dtype()) {
            let what = format!(
                "has elements of type {}, which are no single numbers of whole bytes",
                stored.info.dtype()
            );
            let name = name.to_owned();
            return Err(Error::WrongType { name, what });
        }
        let wanted = region(name, stored.info.shape(), ranges)?;
        if wanted.size.contains(&0) {
            return Ok(());
        }
        let source = &*self.source;
        let located = source.locate(name, stored, Some(&wanted))?;
        let part = located.cut_out(&wanted);
        check_tensors(source, [&part])?;
        let mut stopped = false;
        let outcome = read::stream(source, name, &part, |bytes| {
            if take(bytes).is_break() {
                stopped = true;
                return Err(Error::Internal(
                    "a reader that stopped was taken for an error".to_owned(),
                ));
            }
            Ok(())
        });
        if stopped { Ok(()) } else { outcome }
    }
}

/// The box that ranges describe.
fn region(name: &str, shape: &[usize], ranges: &[Range<usize>]) -> Result<Region> {
    if ranges.len() > shape.len() {
        return Err(Error::Options(format!(
            "entry `{}` has {} dimensions, and {} ranges were given",
            shown(name),
            shape.len(),
            ranges.len()
        )));
    }
    let mut region = Region::whole(shape);
    for (dim, range) in ranges.iter().enumerate() {
        let len = shape.get(dim).copied().unwrap_or_default();
        if range.start > range.end || range.end > len {
            return Err(Error::Options(format!(
                "the range {}..{} does not lie in dimension {dim} of entry `{}`, which has length {len}",
                range.start,
                range.end,
                shown(name)
            )));
        }
        if let (Some(offset), Some(size)) = (region.offset.get_mut(dim), region.size.get_mut(dim)) {
            (*offset, *size) = (range.start, range.end - range.start);
        }
    }
    Ok(region)
}
