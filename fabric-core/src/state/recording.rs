//! Records the tensors that a model is built from, for models that hide them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use super::tensors::{Listed, tensors_only};
use super::{Keys, Role, same_view};

/// Records each tensor that a [`VarBuilder`] returns, and implements [`Checkpoint`](crate::Checkpoint).
///
/// `GroupNorm`, `LSTM`, `GRU`, `Sequential` and the models of candle-transformers keep their tensors private, so no
/// derive can reach them. Build such a model through a recording, and put the recording into the state in place of the
/// model:
///
/// ```
/// use candle_core::{DType, Device};
/// use candle_nn::{VarBuilder, VarMap, rnn};
/// use fabric_core::{Checkpoint, Recording};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let variables = VarMap::new();
/// let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
/// let (builder, recording) = Recording::of(builder);
/// let lstm = rnn::lstm(8, 16, rnn::LSTMConfig::default(), builder)?;
///
/// #[derive(Checkpoint)]
/// struct State { lstm: Recording, step: u64 }
/// let state = State { lstm: recording, step: 0 };
/// let names: Vec<String> = fabric_core::named_parameters(&state).into_iter().map(|(name, _)| name).collect();
/// assert!(names.contains(&"lstm.weight_ih_l0".to_string()));
/// # Ok(())
/// # }
/// ```
///
/// A recording works over any backend, with or without a [`VarMap`](candle_nn::VarMap). It has one limit: a constructor
/// that *transforms* a tensor (concatenates it, transposes it into new memory, converts its element type) keeps other
/// memory than the recorded tensor, and a load into the recorded tensor does not change the model.
///
/// Two requests for one name with the same shape and element type get the same tensor.
#[derive(Clone, Default)]
pub struct Recording {
    handed_out: Arc<Mutex<Vec<(String, Tensor)>>>,
}

impl Recording {
    /// Wraps `builder`: the returned recording records every tensor that the returned builder returns. Names are
    /// relative to `builder`, whatever its prefix.
    #[must_use]
    pub fn of(builder: VarBuilder<'_>) -> (VarBuilder<'_>, Self) {
        let recording = Self::default();
        let (dtype, device) = (builder.dtype(), builder.device().clone());
        let backend = Recorder {
            builder,
            recording: recording.clone(),
        };
        (VarBuilder::from_backend(Box::new(backend), dtype, device), recording)
    }

    /// The recorded tensors with their names, in the order of the first requests.
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, Tensor)>> {
        self.handed_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, name: &str, shape: Option<&Shape>, dtype: DType) -> Option<Tensor> {
        let handed_out = self.lock();
        let (_, tensor) = handed_out.iter().find(|(known, tensor)| {
            known == name && tensor.dtype() == dtype && shape.is_none_or(|shape| tensor.shape() == shape)
        })?;
        Some(tensor.clone())
    }

    fn remember(&self, name: &str, tensor: &Tensor) {
        let mut handed_out = self.lock();
        if !handed_out
            .iter()
            .any(|(known, other)| known == name && same_view(other, tensor))
        {
            handed_out.push((name.to_owned(), tensor.clone()));
        }
    }
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.lock().iter().map(|(name, _)| name.clone()).collect();
        f.debug_tuple("Recording").field(&names).finish()
    }
}

tensors_only! {
    Recording, Keys::ANY => |recording| {
        let tensors = recording.tensors().into_iter();
        tensors.map(|(name, tensor)| (name, tensor, Role::Parameter)).collect::<Listed>()
    };
}

/// The backend that records the requests of a model's constructor and passes them on to the wrapped builder.
struct Recorder<'a> {
    builder: VarBuilder<'a>,
    recording: Recording,
}

impl SimpleBackend for Recorder<'_> {
    fn get(&self, shape: Shape, name: &str, init: Init, dtype: DType, _: &Device) -> Result<Tensor> {
        if let Some(tensor) = self.recording.known(name, Some(&shape), dtype) {
            return Ok(tensor);
        }
        let tensor = self.builder.get_with_hints_dtype(shape, name, init, dtype)?;
        self.recording.remember(name, &tensor);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, _: &Device) -> Result<Tensor> {
        if let Some(tensor) = self.recording.known(name, None, dtype) {
            return Ok(tensor);
        }
        let tensor = self.builder.get_unchecked_dtype(name, dtype)?;
        self.recording.remember(name, &tensor);
        Ok(tensor)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.builder.contains_tensor(name)
    }
}
