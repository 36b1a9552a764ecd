//! Remembers the tensors that a model is built from, for models that hide them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use super::tensors::{Listed, tensors_only};
use super::{Keys, Role, same_view};

/// Remembers each tensor that a [`VarBuilder`] hands out, and is itself a [`Checkpoint`](crate::Checkpoint).
///
/// `GroupNorm`, `LSTM`, `GRU`, `Sequential` and the models of candle-transformers keep their tensors private, so no
/// derive can reach them. Build such a model through a recording, and put the recording into the state in its place:
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
/// It works over any backend, with or without a [`VarMap`](candle_nn::VarMap). What it cannot see: a constructor that
/// *transforms* what it was handed (concatenates, transposes into new memory, converts the element type) keeps other
/// memory than the recorded one, and loading into the recorded tensor does not reach it.
///
/// A name that is asked for twice with the same shape and element type gets the same tensor both times.
#[derive(Clone, Default)]
pub struct Recording {
    handed_out: Arc<Mutex<Vec<(String, Tensor)>>>,
}

impl Recording {
    /// Wraps a builder: everything that the returned one hands out is remembered by the returned recording. Names are
    /// relative to `builder`, whatever prefix it has.
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

    /// The tensors handed out so far with their names, in the order in which they were first asked for.
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

/// The backend between a model's constructor and the real builder.
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
