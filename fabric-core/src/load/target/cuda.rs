//! Fills contiguous tensors on CUDA through pinned buffers.

use std::ops::Range;

use candle_core::Tensor;

use super::in_place::on_cuda;
use super::lanes::in_lanes;
use super::window;
use crate::device::cuda::{CopyLane, DeviceFill};
use crate::error::Result;
use crate::source::read::{PartialSums, Stretches, stream_noting};
use crate::source::{Source, StoredTensor};

/// The range of bytes in its storage that a tensor on CUDA shows; `None` for other devices, and for elements that are
/// not contiguous.
pub(super) fn run_of(tensor: &Tensor) -> Option<Range<usize>> {
    let run = || window(tensor.layout(), tensor.dtype().into());
    tensor.device().is_cuda().then(run).flatten()
}

/// Fills `tensor` from the source, which has the tensor's element type.
pub(crate) fn write(
    source: &dyn Source,
    name: &str,
    (tensor, window): (&Tensor, Range<usize>),
    stored: &StoredTensor,
    threads: usize,
    sums: &PartialSums,
) -> Result<()> {
    let stored = &*source.locate(name, stored, None)?;
    on_cuda(name, tensor, |storage| {
        let fill = DeviceFill::new(name, storage, window);
        match Stretches::of(source, name, stored)? {
            Some(stretches) => {
                let threads = threads.min(fill.windows().count()).max(1);
                let read = |lane: &mut CopyLane<'_, '_>, window: Range<usize>| {
                    lane.fill_window(&window, |into| stretches.read(window.start, into))
                };
                let lanes = in_lanes(threads, fill.windows(), || fill.lane(), read)?;
                lanes.into_iter().try_for_each(CopyLane::finish)?;
                stretches.finish()
            }
            None => {
                let (mut lane, mut at) = (fill.lane()?, 0);
                stream_noting(source, name, stored, sums, |bytes| {
                    lane.fill_bytes(at, bytes)?;
                    at += bytes.len();
                    Ok(())
                })?;
                lane.finish()
            }
        }
    })
}

/// Fills `tensor` with bytes of its element type.
pub(crate) fn write_bytes(name: &str, tensor: &Tensor, window: Range<usize>, bytes: &[u8]) -> Result<()> {
    on_cuda(name, tensor, |storage| {
        let fill = DeviceFill::new(name, storage, window);
        let mut lane = fill.lane()?;
        lane.fill_bytes(0, bytes)?;
        lane.finish()
    })
}
