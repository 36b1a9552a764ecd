//! Copies out of the memory of an accelerator, block by block.

use candle_core::Layout;
use candle_core::backend::{BackendDevice, BackendStorage};

use super::pack::{Packer, Stop};
use crate::bytes;
use crate::checksum::BLOCK;
use crate::entry::DType;

/// As much is copied at a time.
const LONGEST: usize = 8 * BLOCK;

/// Copies what the layout shows, in row-major order. The storage is used as it is, behind the guard that its owner holds:
/// operations on the tensor would take its lock.
pub(super) fn copy<S>(
    storage: &S,
    layout: &Layout,
    dtype: DType,
    failed: &dyn Fn(candle_core::Error) -> Stop,
    packer: &mut Packer<'_>,
) -> Result<(), Stop>
where
    S: BackendStorage,
    S::Device: BackendDevice<Storage = S>,
{
    let item = (dtype.bits() / 8).max(1);
    let dims = layout.dims();
    let outer = dims.iter().position(|&len| len > 1);
    match outer {
        Some(dim) if layout.shape().elem_count() * item > LONGEST => {
            let half = dims[dim] / 2;
            for (from, len) in [(0, half), (half, dims[dim] - half)] {
                copy(
                    storage,
                    &layout.narrow(dim, from, len).map_err(failed)?,
                    dtype,
                    failed,
                    packer,
                )?;
            }
            Ok(())
        }
        _ => packer.put(bytes::of(&block(storage, layout).map_err(failed)?)),
    }
}

fn block<S>(storage: &S, layout: &Layout) -> candle_core::Result<candle_core::CpuStorage>
where
    S: BackendStorage,
    S::Device: BackendDevice<Storage = S>,
{
    let mut block = storage.device().zeros_impl(layout.shape(), storage.dtype())?;
    storage.copy_strided_src(&mut block, 0, layout)?;
    block.to_cpu_storage()
}
