//! Learning rates by step.

use serde::{Deserialize, Serialize};

use crate::state::plain_values;

/// A learning rate for each step of a training: a plain value, saved and restored like a number.
///
/// ```
/// use candle_core::{DType, Device, Var};
/// use fabric_core::Checkpoint;
/// use fabric_core::optim::{AdamW, Optimizer, Schedule};
///
/// #[derive(Checkpoint)]
/// struct TrainState { weight: Var, optimizer: AdamW, schedule: Schedule, step: u64 }
///
/// # fn main() -> candle_core::Result<()> {
/// let weight = Var::zeros(3, DType::F32, &Device::Cpu)?;
/// let schedule = Schedule::cosine(3e-4, 10_000).floor(3e-5).warm_up(500);
/// let optimizer = AdamW::new_lr(vec![weight.clone()], schedule.at(0))?;
/// let mut state = TrainState { weight, optimizer, schedule, step: 0 };
/// // In the loop, before each step of the optimizer:
/// state.optimizer.set_learning_rate(state.schedule.at(state.step));
/// # Ok(())
/// # }
/// ```
///
/// Steps are counted from 0. A warm-up comes before the other steps: with `warm_up(500)`, step 500 is step 0 of the rest. The
/// curves are those of PyTorch's `lr_scheduler`, where it has them; a curve that has ended keeps its last learning rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    lr: f64,
    floor: f64,
    warm_up_steps: u64,
    warm_up_factor: f64,
    curve: Curve,
}

/// The learning rate after the warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Curve {
    Constant,
    Linear { steps: u64 },
    Cosine { steps: u64 },
    Stairs { steps: u64, gamma: f64 },
}

plain_values!(Schedule);

impl Schedule {
    fn new(lr: f64, curve: Curve) -> Self {
        Self {
            lr,
            floor: 0.,
            warm_up_steps: 0,
            warm_up_factor: 0.,
            curve,
        }
    }

    /// The learning rate `lr` at every step.
    #[must_use]
    pub fn constant(lr: f64) -> Self {
        Self::new(lr, Curve::Constant)
    }

    /// A line from `lr` at step 0 to the [floor](Self::floor) at step `steps`: PyTorch's `LinearLR` with `start_factor=1`,
    /// `end_factor=floor / lr` and `total_iters=steps`.
    #[must_use]
    pub fn linear(lr: f64, steps: u64) -> Self {
        Self::new(lr, Curve::Linear { steps })
    }

    /// Half a cosine wave from `lr` at step 0 to the [floor](Self::floor) at step `steps`: PyTorch's `CosineAnnealingLR` with
    /// `T_max=steps` and `eta_min=floor`, up to its first minimum ("SGDR: Stochastic Gradient Descent with Warm Restarts",
    /// Loshchilov and Hutter, 2017, equation 5).
    #[must_use]
    pub fn cosine(lr: f64, steps: u64) -> Self {
        Self::new(lr, Curve::Cosine { steps })
    }

    /// `lr`, multiplied by `gamma` after each `steps` steps, and never below the [floor](Self::floor): PyTorch's `StepLR` with
    /// `step_size=steps`.
    #[must_use]
    pub fn step(lr: f64, steps: u64, gamma: f64) -> Self {
        Self::new(lr, Curve::Stairs { steps, gamma })
    }

    /// Sets the lowest learning rate after the warm-up; 0 by default.
    #[must_use]
    pub fn floor(mut self, lr: f64) -> Self {
        self.floor = lr;
        self
    }

    /// Begins with a line from 0 at step 0 to the full learning rate at step `steps`, as the warm-up of Hugging Face's
    /// `get_cosine_schedule_with_warmup`. The curve follows.
    #[must_use]
    pub fn warm_up(self, steps: u64) -> Self {
        self.warm_up_from(0., steps)
    }

    /// Begins with a line from `factor` times the learning rate: PyTorch's `LinearLR` with `start_factor=factor` and
    /// `total_iters=steps`, followed by the curve in a `SequentialLR`.
    #[must_use]
    pub fn warm_up_from(mut self, factor: f64, steps: u64) -> Self {
        (self.warm_up_factor, self.warm_up_steps) = (factor, steps);
        self
    }

    /// The learning rate of a step.
    #[must_use]
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warm_up_steps {
            let part = fraction(step, self.warm_up_steps);
            return self.lr * (self.warm_up_factor + (1. - self.warm_up_factor) * part);
        }
        let step = step - self.warm_up_steps;
        let above = self.lr - self.floor;
        match self.curve {
            Curve::Constant => self.lr,
            Curve::Linear { steps } => self.lr - above * fraction(step, steps),
            Curve::Cosine { steps } => {
                let angle = std::f64::consts::PI * fraction(step, steps);
                self.floor + above * f64::midpoint(1., angle.cos())
            }
            Curve::Stairs { steps, gamma } => {
                let stairs = step.checked_div(steps).unwrap_or(0);
                let power = gamma.powi(i32::try_from(stairs).unwrap_or(i32::MAX));
                (self.lr * power).max(self.floor)
            }
        }
    }
}

/// How much of `steps` is behind at `step`, at most 1.
#[allow(clippy::cast_precision_loss, reason = "no training has 2^53 steps")]
fn fraction(step: u64, steps: u64) -> f64 {
    if step >= steps { 1. } else { step as f64 / steps as f64 }
}
