//! What happens on the way.

use fabric_core::run::Resumed;

use super::RunState;
use crate::Result;

/// Whether training goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    Continue,
    /// It ends after this step, with a call of `on_train_end`.
    Stop,
}

impl Flow {
    /// Both must want to go on.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Continue, Self::Continue) => Self::Continue,
            _ => Self::Stop,
        }
    }
}

/// Called by the trainer at each of these moments; what is not of interest need not be implemented.
///
/// A callback that keeps something which a resumed run needs should keep it in the [`RunState`] instead, where it is
/// saved.
#[allow(unused_variables, reason = "the names tell an implementor what is given")]
pub trait Callback<T> {
    /// Before the first step; `resumed` says what was restored, if the run goes on from a checkpoint.
    ///
    /// # Errors
    /// Any; it ends the run.
    fn on_train_start(&mut self, state: &RunState<T>, resumed: Option<&Resumed>) -> Result<Flow> {
        Ok(Flow::Continue)
    }

    /// After each step.
    ///
    /// # Errors
    /// Any; it ends the run.
    fn on_step_end(&mut self, state: &RunState<T>, loss: f32) -> Result<Flow> {
        Ok(Flow::Continue)
    }

    /// After each epoch, with the validation metric.
    ///
    /// # Errors
    /// Any; it ends the run.
    fn on_epoch_end(&mut self, state: &RunState<T>, metric: f32) -> Result<Flow> {
        Ok(Flow::Continue)
    }

    /// After the last step.
    ///
    /// # Errors
    /// Any.
    fn on_train_end(&mut self, state: &RunState<T>) -> Result<Flow> {
        Ok(Flow::Continue)
    }
}
