//! The task: predict a wine's mark.

use candle_core::{DType, Device, Tensor};
use candle_nn::{VarBuilder, VarMap};
use fabric_core::optim::{AdamW, Optimizer, ParamsAdamW};
use fabric_core::{Checkpoint, named_parameters};

use crate::Result;
use crate::mlp::Mlp;
use crate::trainer::Task;
use crate::wine::{FEATURES, MARKS, Split, Wine};

/// Width of the hidden layers.
pub const HIDDEN: usize = 64;

const BATCH: usize = 64;

/// A model that predicts the mark of a wine, with the wines.
#[derive(Checkpoint, Debug)]
pub struct Quality {
    /// The model.
    pub model: Mlp,
    /// The wines; a file need not hold what the program brings along.
    #[checkpoint(skip)]
    pub wine: Wine,
}

impl Quality {
    /// The task with a fresh model.
    ///
    /// # Errors
    /// If the device has no memory for it.
    pub fn new(device: &Device) -> Result<Self> {
        Ok(Self {
            model: fresh(MARKS, device)?,
            wine: Wine::load(device)?,
        })
    }
}

/// A model with new variables for so many classes.
///
/// # Errors
/// If the device has no memory for it.
pub fn fresh(classes: usize, device: &Device) -> Result<Mlp> {
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, device);
    Ok(Mlp::new(FEATURES, HIDDEN, classes, &builder)?)
}

impl Task for Quality {
    type Batch = Split;

    fn optimizer(&self) -> Result<AdamW> {
        let parameters = named_parameters(&self.model)
            .into_iter()
            .map(|(_, parameter)| parameter);
        let params = ParamsAdamW {
            lr: 2e-3,
            ..ParamsAdamW::default()
        };
        Ok(AdamW::new(parameters.collect(), params)?)
    }

    fn steps_per_epoch(&self) -> u64 {
        (self.wine.train.len() / BATCH) as u64
    }

    fn batch(&self, step: u64) -> Result<Split> {
        Ok(self.wine.train.batch(usize::try_from(step)?, BATCH)?)
    }

    fn loss(&self, batch: &Split) -> Result<Tensor> {
        Ok(batch.loss(&self.model)?)
    }

    fn validate(&self) -> Result<f32> {
        Ok(self.wine.validation.loss(&self.model)?.to_scalar()?)
    }
}
