//! The data, and the position in it.

use candle_core::{Device, Tensor};
use fabric_core::Checkpoint;

use super::random::Random;
use crate::Result;
use crate::parallel::text::{TEXT, numbers};

/// Characters that the model sees at once.
pub const CONTEXT: usize = 16;

/// Sequences of one batch.
pub const BATCH: usize = 4;

/// Reads every sequence of the text once in an epoch, in an order that is random in every epoch.
///
/// The order follows from the seed and the epoch, so a checkpoint has three numbers, and neither the text nor the order.
#[derive(Checkpoint, Debug)]
pub struct Reader {
    seed: u64,
    epoch: u64,
    /// Batches that were read in this epoch.
    batches: u64,
}

impl Reader {
    /// A reader that has read nothing.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            epoch: 0,
            batches: 0,
        }
    }

    /// The next batch: `[BATCH, CONTEXT]` characters by their number in the vocabulary, and those that follow each.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn next_batch(&mut self) -> Result<(Tensor, Tensor)> {
        let text = numbers(TEXT);
        let mut starts: Vec<usize> = (0..text.len() - CONTEXT).collect();
        if self.batches >= (starts.len() / BATCH) as u64 {
            (self.epoch, self.batches) = (self.epoch + 1, 0);
        }
        Random::new(self.seed.wrapping_add(self.epoch)).shuffle(&mut starts);
        let read = usize::try_from(self.batches)? * BATCH;
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        for &start in &starts[read..read + BATCH] {
            inputs.extend_from_slice(&text[start..start + CONTEXT]);
            targets.extend_from_slice(&text[start + 1..=start + CONTEXT]);
        }
        self.batches += 1;
        let shape = (BATCH, CONTEXT);
        Ok((
            Tensor::from_vec(inputs, shape, &Device::Cpu)?,
            Tensor::from_vec(targets, shape, &Device::Cpu)?,
        ))
    }
}
