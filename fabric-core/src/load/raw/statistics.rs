//! Statistics of the tensors of a checkpoint.

use std::ops::{ControlFlow, Range};

use super::RawCheckpoint;
use crate::error::Result;
use crate::load::statistics::{Accumulator, Statistics};

impl RawCheckpoint {
    /// Statistics of a tensor: its smallest and largest element, its mean, its norm, and how many elements are NaN, infinite and
    /// zero.
    ///
    /// The tensor is read and verified block by block, with a few MiB of memory whatever its size is; a row of a tensor that is cut
    /// along other dimensions than the first one, and a view whose elements are not contiguous, are held as a whole.
    ///
    /// Elements are added as `f64` in an order that depends on their positions in the tensor alone, blocks of 4096 elements with
    /// compensation for rounding (Neumaier). So the numbers are equal, bit for bit, whatever format the tensor lies in and however it
    /// is cut into files.
    ///
    /// ```
    /// # use candle_core::{Device, Tensor};
    /// # use fabric_core::Fabric;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("last.ckpt");
    /// # let weight = Tensor::new(&[[3f32, f32::NAN], [-4., 1.]], &Device::Cpu)?;
    /// # Fabric::new().save(&path, &std::collections::BTreeMap::from([("weight".to_owned(), weight)]))?;
    /// let statistics = Fabric::new().open(&path)?.statistics("weight")?;
    /// assert_eq!((statistics.min, statistics.max, statistics.nan), (Some(-4.0), Some(3.0), 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`elements`](Self::elements).
    pub fn statistics(&self, name: &str) -> Result<Statistics> {
        self.statistics_of(name, &[])
    }

    /// Statistics of a box of a tensor, with a range of indices for each dimension as in [`elements`](Self::elements).
    ///
    /// # Errors
    /// As [`elements`](Self::elements).
    pub fn statistics_of(&self, name: &str, ranges: &[Range<usize>]) -> Result<Statistics> {
        let mut accumulator = Accumulator::new(self.stored(name)?.info.dtype());
        self.read_box(name, ranges, &mut |bytes| {
            accumulator.take(bytes);
            ControlFlow::Continue(())
        })?;
        Ok(accumulator.finish())
    }
}
