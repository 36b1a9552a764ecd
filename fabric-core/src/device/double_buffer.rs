//! A double buffer: while one buffer is filled or emptied, the other is copied between the host and a device.
//!
//! A copy runs asynchronously once begun. So one thread is enough: it begins a copy, and goes on with the buffer whose
//! copy began before.

use std::collections::VecDeque;
use std::ops::Range;

use crate::error::{Error, Result};

/// Memory of the host that a device copies from or to.
pub(super) trait Buffer {
    /// Waits until no copy of the memory runs, and returns the memory.
    ///
    /// # Errors
    /// If the last copy failed.
    fn wait(&mut self) -> candle_core::Result<&mut [u8]>;
}

/// Two buffers. The drop waits for their copies, whatever has happened.
pub(super) struct DoubleBuffer<'n, B: Buffer> {
    /// The name of the entry whose bytes are copied.
    name: &'n str,
    buffers: [B; 2],
    next: usize,
}

impl<'n, B: Buffer> DoubleBuffer<'n, B> {
    pub(super) fn new(name: &'n str, buffers: [B; 2]) -> Self {
        Self { name, buffers, next: 0 }
    }

    /// Copies to the device: fills the first `len` bytes of the next buffer, then begins its copy, which may still run
    /// when this returns.
    ///
    /// # Errors
    /// The errors of `fill` and `begin`, and of the last copy of the buffer.
    pub(super) fn send(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<()>,
        begin: impl FnOnce(&mut B) -> candle_core::Result<()>,
    ) -> Result<()> {
        let at = self.next;
        self.next = (at + 1) % self.buffers.len();
        let buffer = &mut self.buffers[at];
        fill(first(self.name, buffer, len)?)?;
        begin(buffer).map_err(Error::candle(self.name))
    }

    /// Waits for both copies.
    ///
    /// # Errors
    /// If a copy failed.
    pub(super) fn finish(mut self) -> Result<()> {
        let mut waited = self.buffers.iter_mut().map(|buffer| buffer.wait().map(drop));
        waited.try_for_each(|waited| waited.map_err(Error::candle(self.name)))
    }

    /// Copies from the device: begins a copy of each window, two at a time, and hands the bytes to `take`, in order.
    ///
    /// # Errors
    /// The errors of `begin` and `take`, and of the copies. `take` is not called after an error.
    pub(super) fn receive<E: From<Error>>(
        mut self,
        mut windows: impl Iterator<Item = Range<usize>>,
        mut begin: impl FnMut(&mut B, Range<usize>) -> candle_core::Result<()>,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut under_way = VecDeque::with_capacity(self.buffers.len());
        for (at, window) in (0..self.buffers.len()).zip(windows.by_ref()) {
            under_way.push_back((at, window.len()));
            begin(&mut self.buffers[at], window).map_err(Error::candle(self.name))?;
        }
        while let Some((at, len)) = under_way.pop_front() {
            take(first(self.name, &mut self.buffers[at], len)?)?;
            if let Some(window) = windows.next() {
                under_way.push_back((at, window.len()));
                begin(&mut self.buffers[at], window).map_err(Error::candle(self.name))?;
            }
        }
        Ok(())
    }
}

impl<B: Buffer> Drop for DoubleBuffer<'_, B> {
    fn drop(&mut self) {
        for buffer in &mut self.buffers {
            // After an error the memory must not be under a copy either. What failed has been said, or is the lesser
            // evil.
            let _ = buffer.wait();
        }
    }
}

/// All of a range, in windows of `len` bytes each but the last. None is empty.
pub(super) fn windows(all: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    let end = all.end;
    all.step_by(len)
        .map(move |from| from..end.min(from.saturating_add(len)))
}

/// The first `len` bytes of a buffer, as soon as no copy of it is under way.
fn first<'b, B: Buffer>(name: &str, buffer: &'b mut B, len: usize) -> Result<&'b mut [u8]> {
    let bytes = buffer.wait().map_err(Error::candle(name))?;
    let whole = bytes.len();
    bytes
        .get_mut(..len)
        .ok_or_else(|| Error::Internal(format!("{len} bytes of `{name}` do not fit in a buffer of {whole}")))
}

#[cfg(test)]
mod tests;
