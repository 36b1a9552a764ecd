//! The interface between an optimizer and a checkpoint.

mod group;

use candle_core::{Tensor, Var};

pub(crate) use self::group::PARAMS;
pub use self::group::ParamGroup;
use crate::value::ValueError;

/// An optimizer whose state can be saved and restored: one of [`optim`](crate::optim), your own, or a wrapper around one of another
/// crate.
///
/// A file stores state under the *name* of each parameter. The library finds the name by looking for the parameter's
/// memory among the modules of the state, so the order of an optimizer's parameters does not matter. For an optimizer
/// of your own, implement this trait and hand the optimizer to the visitor:
///
/// ```
/// use candle_core::{Tensor, Var};
/// use fabric_core::{
///     Checkpoint, OptimizerDescription, OptimizerState, ParamGroup, ParamState, Value, ValueError, Visitor, VisitorMut,
/// };
///
/// struct SignSgd { vars: Vec<Var>, lr: f64, last: Vec<Tensor> }
///
/// impl OptimizerState for SignSgd {
///     fn describe(&self) -> OptimizerDescription {
///         let parameters = self.vars.iter().zip(&self.last).map(|(var, last)| {
///             ParamState::new(var.clone()).tensor("last_sign", last)
///         });
///         OptimizerDescription::new("SignSgd", parameters.collect())
///             .group(ParamGroup::new((0..self.vars.len()).collect()).option("lr", self.lr))
///     }
///     fn check(&self, groups: &[ParamGroup]) -> Result<(), ValueError> {
///         groups.iter().try_for_each(|group| group.get::<f64>("lr").map(drop))
///     }
///     fn restore(&mut self, groups: Option<&[ParamGroup]>, _steps: &[Option<u64>]) {
///         if let Some(lr) = groups.and_then(|groups| groups.first()?.get("lr").ok()) {
///             self.lr = lr;
///         }
///     }
/// }
///
/// impl Checkpoint for SignSgd {
///     fn visit<'a>(&'a self, entries: &mut Visitor<'a>) { entries.optimizer("", self) }
///     fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) { entries.optimizer("", self) }
/// }
/// ```
///
/// # An optimizer of another crate
///
/// Rust lets a crate implement a trait only if the trait or the type is its own. Wrap the optimizer in a struct of your own, which is
/// then a field of a state:
///
/// ```
/// # use candle_core::{Device, Var, backprop::GradStore};
/// # use candle_nn::Optimizer;
/// # use fabric_core::{
/// #     Checkpoint, Fabric, OptimizerDescription, OptimizerState, ParamGroup, ParamState, ValueError, Visitor, VisitorMut,
/// # };
/// # mod other {
/// #     use candle_core::{Var, backprop::GradStore};
/// #     pub struct Momentum { pub vars: Vec<Var>, pub velocities: Vec<Var>, pub steps: u64, pub lr: f64 }
/// #     impl candle_nn::Optimizer for Momentum {
/// #         type Config = f64;
/// #         fn new(vars: Vec<Var>, lr: f64) -> candle_core::Result<Self> {
/// #             let zeros = |var: &Var| Var::zeros(var.shape(), var.dtype(), var.device());
/// #             let velocities = vars.iter().map(zeros).collect::<candle_core::Result<_>>()?;
/// #             Ok(Self { vars, velocities, steps: 0, lr })
/// #         }
/// #         fn step(&mut self, grads: &GradStore) -> candle_core::Result<()> {
/// #             self.steps += 1;
/// #             let lr = self.lr / self.steps as f64;
/// #             for (var, velocity) in self.vars.iter().zip(&self.velocities) {
/// #                 let Some(grad) = grads.get(var) else { continue };
/// #                 velocity.set(&((velocity.as_tensor() * 0.9)? + grad)?)?;
/// #                 var.set(&(var.as_tensor() - (velocity.as_tensor() * lr)?)?)?;
/// #             }
/// #             Ok(())
/// #         }
/// #         fn learning_rate(&self) -> f64 { self.lr }
/// #         fn set_learning_rate(&mut self, lr: f64) { self.lr = lr; }
/// #     }
/// # }
/// // Of the crate `other`: `pub struct Momentum { pub vars: Vec<Var>, pub velocities: Vec<Var>, pub steps: u64, pub lr: f64 }`
/// struct Saved(other::Momentum);
///
/// impl OptimizerState for Saved {
///     fn describe(&self) -> OptimizerDescription {
///         let parameters = self.0.vars.iter().zip(&self.0.velocities).map(|(var, velocity)| {
///             ParamState::new(var.clone()).tensor("momentum_buffer", velocity).step(self.0.steps)
///         });
///         OptimizerDescription::new("other::Momentum", parameters.collect())
///             .group(ParamGroup::new((0..self.0.vars.len()).collect()).option("lr", self.0.lr))
///     }
///     fn check(&self, groups: &[ParamGroup]) -> Result<(), ValueError> {
///         groups.iter().try_for_each(|group| group.get::<f64>("lr").map(drop))
///     }
///     fn restore(&mut self, groups: Option<&[ParamGroup]>, steps: &[Option<u64>]) {
///         if let Some(lr) = groups.and_then(|groups| groups.first()?.get("lr").ok()) {
///             self.0.lr = lr;
///         }
///         // One count for all parameters: the state of a parameter that begins anew has 0.
///         if let Some(steps) = steps.iter().flatten().max() {
///             self.0.steps = *steps;
///         }
///     }
/// }
///
/// impl Checkpoint for Saved {
///     fn visit<'a>(&'a self, entries: &mut Visitor<'a>) { entries.optimizer("", self) }
///     fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) { entries.optimizer("", self) }
/// }
///
/// #[derive(Checkpoint)]
/// struct State { weight: Var, optimizer: Saved }
///
/// # fn state(weight: f32, lr: f64) -> candle_core::Result<State> {
/// #     let weight = Var::new(&[weight, 1.], &Device::Cpu)?;
/// #     Ok(State { optimizer: Saved(other::Momentum::new(vec![weight.clone()], lr)?), weight })
/// # }
/// # fn train(state: &mut State) -> candle_core::Result<Vec<f32>> {
/// #     for _ in 0..3 {
/// #         let loss = state.weight.sqr()?.sum_all()?;
/// #         state.optimizer.0.backward_step(&loss)?;
/// #     }
/// #     state.weight.to_vec1()
/// # }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # std::env::set_current_dir(&directory)?;
/// # let mut saved = state(3., 0.1)?;
/// # train(&mut saved)?;
/// # let mut resumed = state(7., 0.5)?;
/// # let fabric = Fabric::new();
/// fabric.save("last.ckpt", &saved)?;
/// fabric.load("last.ckpt", &mut resumed)?;
/// assert_eq!(train(&mut resumed)?, train(&mut saved)?); // bit for bit
/// # Ok(())
/// # }
/// ```
///
/// The wrapper reads and writes everything that a step depends on, so the other crate must make its tensors, its count of steps and its
/// hyper-parameters public. The optimizers of candle-optimisers 0.10 keep theirs private: of these, `SGD` without momentum can be
/// wrapped, since it has no state but its parameters and hyper-parameters. [`Adam`](crate::optim::Adam),
/// [`RmsProp`](crate::optim::RmsProp) and [`Sgd`](crate::optim::Sgd) take the place of its `Adam`, `RMSprop` and `SGD`; nothing can save
/// its `Adadelta`, `Adagrad`, `Adamax`, `NAdam`, `RAdam` and `Lbfgs`.
pub trait OptimizerState {
    /// The kind of the optimizer, its parameters with their state tensors, and its hyper-parameters.
    fn describe(&self) -> OptimizerDescription;

    /// Checks that the hyper-parameters of a file fit this optimizer. A load calls it before it changes anything, with
    /// as many groups as [`describe`](Self::describe) returned.
    ///
    /// # Errors
    /// If a hyper-parameter is missing, has the wrong type, or asks for state that this optimizer does not keep.
    fn check(&self, groups: &[ParamGroup]) -> Result<(), ValueError>;

    /// Takes over the hyper-parameters, which passed [`check`](Self::check), and the step counts, one for each
    /// parameter. `groups` or a step count is `None` if the file had none. The load has already written the state
    /// tensors in place. A parameter whose state begins anew has zeros in its state tensors, and the step count 0.
    fn restore(&mut self, groups: Option<&[ParamGroup]>, steps: &[Option<u64>]);
}

/// The contents of an optimizer for a checkpoint.
#[derive(Clone, Debug)]
pub struct OptimizerDescription {
    pub(crate) kind: &'static str,
    pub(crate) parameters: Vec<ParamState>,
    pub(crate) groups: Vec<ParamGroup>,
}

impl OptimizerDescription {
    /// Describes an optimizer of this kind over these parameters, in the order in which the optimizer got them. Its
    /// state loads only into an optimizer of the same kind.
    #[must_use]
    pub fn new(kind: &'static str, parameters: Vec<ParamState>) -> Self {
        Self {
            kind,
            parameters,
            groups: Vec::new(),
        }
    }

    /// Adds a group of parameters that share hyper-parameters.
    #[must_use]
    pub fn group(mut self, group: ParamGroup) -> Self {
        self.groups.push(group);
        self
    }
}

/// One parameter and its optimizer state.
#[derive(Clone, Debug)]
pub struct ParamState {
    pub(crate) var: Var,
    pub(crate) name: Option<String>,
    pub(crate) tensors: Vec<(&'static str, Tensor)>,
    pub(crate) step: Option<u64>,
}

impl ParamState {
    /// A parameter without optimizer state.
    #[must_use]
    pub fn new(var: Var) -> Self {
        Self {
            var,
            name: None,
            tensors: Vec::new(),
            step: None,
        }
    }

    /// Sets the name for a parameter that no module of the state holds.
    #[must_use]
    pub fn named(mut self, name: Option<String>) -> Self {
        self.name = name;
        self
    }

    /// Adds a state tensor under PyTorch's name for it, such as `"exp_avg"`. A load writes the tensor in place.
    #[must_use]
    pub fn tensor(mut self, name: &'static str, tensor: &Tensor) -> Self {
        self.tensors.push((name, tensor.clone()));
        self
    }

    /// Sets the number of steps that the optimizer has taken for this parameter.
    #[must_use]
    pub fn step(mut self, step: u64) -> Self {
        self.step = Some(step);
        self
    }
}
