//! Builds models from a checkpoint.

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use super::RawCheckpoint;
use crate::entry::join;
use crate::load::target::to_dtype;

impl RawCheckpoint {
    /// A candle [`VarBuilder`] over the tensors. It builds a model directly from the checkpoint, without initializing
    /// the weights first. Tensors are converted to the `dtype` of the builder, as by candle's own builders.
    ///
    /// ```no_run
    /// # use candle_core::{DType, Device};
    /// # use fabric_core::Fabric;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let checkpoint = Fabric::new().open("run/last.ckpt")?;
    /// let builder = checkpoint.subtree("model").var_builder(DType::F32, &Device::Cpu);
    /// let layer = candle_nn::linear(64, 10, builder.pp("fc1"))?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn var_builder(&self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), dtype, device.clone())
    }
}

impl SimpleBackend for RawCheckpoint {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        if let Some(info) = self.info(name)
            && info.shape() != shape.dims()
        {
            return Err(candle_core::Error::UnexpectedShape {
                msg: format!("shape mismatch for {}", join("", name)),
                expected: shape,
                got: info.shape().into(),
            });
        }
        self.get_unchecked(name, dtype, device)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        let tensor = self.tensor(name, device).map_err(candle_core::Error::wrap)?;
        to_dtype(&tensor, dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.index.tensors.contains_key(name)
    }
}
