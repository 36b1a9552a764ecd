//! Copies out of the memory of an accelerator, block by block.

use candle_core::Layout;
use candle_core::backend::{BackendDevice, BackendStorage};

use super::staging_writer::{StagingWriter, Stop};
use crate::entry::DType;
use crate::io::bytes;
use crate::io::checksum::BLOCK;

/// The longest copy in bytes.
const LONGEST: usize = 8 * BLOCK;

/// Copies the elements of a layout in row-major order. Uses the storage behind the guard that its owner holds:
/// operations on the tensor would take its lock.
pub(super) fn copy<S>(
    storage: &S,
    layout: &Layout,
    dtype: DType,
    failed: &dyn Fn(candle_core::Error) -> Stop,
    writer: &mut StagingWriter<'_>,
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
                    writer,
                )?;
            }
            Ok(())
        }
        _ => writer.write(bytes::of(&block(storage, layout).map_err(failed)?)),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use candle_core::{DType as CandleDType, Device, Storage, Tensor};

    use super::*;
    use crate::save::background::staging::Staging;

    /// Candle's CPU storage implements the trait of accelerators, and stands in for one here.
    #[test]
    fn any_box_is_copied_in_row_major_order_in_bounded_blocks() {
        let whole = Tensor::arange(0u32, 3 << 20, &Device::Cpu).and_then(|t| t.reshape((3, 1 << 10, 1 << 10)));
        let whole = whole.and_then(|t| t.to_dtype(CandleDType::F32)).expect("12 MiB");
        let narrow = whole.narrow(1, 3, 700).and_then(|t| t.transpose(0, 2)).expect("a view");
        let scalar = Tensor::new(7f32, &Device::Cpu).expect("a scalar");
        for tensor in [whole, narrow, scalar] {
            let expected: Vec<f32> = tensor.flatten_all().and_then(|t| t.to_vec1()).expect("f32");
            let staging = Arc::new(Staging::new(64 * BLOCK));
            let (sender, receiver) = channel();
            let mut writer = StagingWriter::new(&staging, &sender);
            writer.start_row(0, expected.len() * 4);
            let (guard, layout) = tensor.storage_and_layout();
            let Storage::Cpu(storage) = &*guard else {
                panic!("it is on the CPU");
            };
            let failed = |error: candle_core::Error| panic!("{error}");
            copy(storage, layout, DType::F32, &failed, &mut writer).expect("copied");
            writer.finish().expect("somebody listens");
            let mut found = Vec::new();
            for filled in receiver.try_iter() {
                let filled = filled.expect("nothing fails");
                for run in filled.runs {
                    found.extend_from_slice(&filled.chunk[run.bytes]);
                }
            }
            assert!(found == bytemuck::cast_slice::<f32, u8>(&expected));
        }
    }
}
