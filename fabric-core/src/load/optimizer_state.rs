//! The optimizer's state of each parameter, for a surgery that no option describes.

use candle_core::Tensor;

use super::target::{with_plain, write_bytes};
use crate::entry::join;
use crate::error::{Error, Result, StateError};
use crate::state::{Checkpoint, Content, Visitor, VisitorMut, resolve};

/// The state that an optimizer keeps of one parameter, under the names that a checkpoint has for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NamedOptimizerState {
    /// The name of the optimizer in the state: `optimizer`.
    pub optimizer: String,
    /// The name of the parameter: `model.fc1.weight`.
    pub parameter: String,
    /// The tensors by PyTorch's names, `exp_avg` for instance. They share their memory with the optimizer.
    pub tensors: Vec<(String, Tensor)>,
    /// The number of steps; `None` for an optimizer that does not count them.
    pub step: Option<u64>,
}

impl NamedOptimizerState {
    /// The tensor of this name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        let mut tensors = self.tensors.iter();
        tensors.find(|(own, _)| own == name).map(|(_, tensor)| tensor)
    }

    /// Writes new contents into the optimizer's tensor of this name. `contents` has its shape and its element type.
    ///
    /// # Errors
    /// [`Error::Options`] if there is no such tensor, or the shape or the type is another one.
    pub fn set(&self, name: &str, contents: &Tensor) -> Result<()> {
        let level = join(&join(&self.optimizer, "state"), &self.parameter);
        let Some(own) = self.tensor(name) else {
            let names: Vec<_> = self.tensors.iter().map(|(own, _)| format!("`{own}`")).collect();
            let names = names.join(", ");
            return Err(Error::Options(format!(
                "the state `{level}` has {}, and no `{name}`",
                if names.is_empty() { "no tensors" } else { &names }
            )));
        };
        if (own.dims(), own.dtype()) != (contents.dims(), contents.dtype()) {
            return Err(Error::Options(format!(
                "`{level}.{name}` is {:?} {:?}, and the new contents {:?} {:?}",
                own.dtype(),
                own.dims(),
                contents.dtype(),
                contents.dims()
            )));
        }
        with_plain(name, contents, |elements| write_bytes(&level, own, elements))?
    }
}

/// The state that the optimizers of `state` keep of each parameter, in the order of the optimizers and of their parameters. On a rank,
/// the tensors are the parts that the rank holds.
///
/// ```
/// # use candle_core::{Device, Var};
/// # use candle_nn::Optimizer;
/// # use fabric_core::{Checkpoint, optim::AdamW};
/// # #[derive(Checkpoint)] struct State { weight: Var, optimizer: AdamW }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let weight = Var::new(&[1f32, 2.], &Device::Cpu)?;
/// # let mut state = State { optimizer: AdamW::new_lr(vec![weight.clone()], 0.1)?, weight };
/// # let loss = state.weight.sqr()?.sum_all()?;
/// # state.optimizer.backward_step(&loss)?;
/// for moments in fabric_core::named_optimizer_state(&state)? {
///     println!("{} after {:?} steps", moments.parameter, moments.step);
///     let first = moments.tensor("exp_avg").expect("AdamW has it");
///     moments.set("exp_avg", &(first * 0.5)?)?;
/// }
/// fabric_core::set_optimizer_steps(&mut state, |parameter, step| {
///     if parameter == "weight" { Some(0) } else { step }
/// })?;
/// assert_eq!(fabric_core::named_optimizer_state(&state)?[0].step, Some(0));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the state cannot be saved either: two entries have one name, or an optimizer has a parameter that the state lacks.
pub fn named_optimizer_state<S: Checkpoint + ?Sized>(state: &S) -> Result<Vec<NamedOptimizerState>, StateError> {
    let mut visitor = Visitor::new();
    state.visit(&mut visitor);
    let places = resolve(visitor.finish())?;
    let mut states = Vec::new();
    for optimizer in &places.optimizers {
        let kind = &places.items[optimizer.kind_item].scope.name;
        let name = kind.strip_suffix("kind").unwrap_or_default().trim_end_matches('.');
        for parameter in &optimizer.parameters {
            let mut state = NamedOptimizerState {
                optimizer: name.to_owned(),
                parameter: parameter.name.clone(),
                tensors: Vec::new(),
                step: None,
            };
            for item in &places.items[parameter.items.clone()] {
                match &item.content {
                    Content::Tensor(tensor, _) => {
                        let key = item.scope.name.rsplit('.').next().unwrap_or_default();
                        state.tensors.push((key.to_owned(), tensor.clone()));
                    }
                    Content::Optimizer { value, .. } => state.step = value.decode().ok(),
                    Content::Value(_) => {}
                }
            }
            states.push(state);
        }
    }
    Ok(states)
}

/// Sets the number of steps that the optimizers of `state` have taken for each parameter. `step` gets the name of the parameter and the
/// present number, and returns the new one; `None` leaves it.
///
/// # Errors
/// As [`named_optimizer_state`].
pub fn set_optimizer_steps<S: Checkpoint + ?Sized>(
    state: &mut S,
    mut step: impl FnMut(&str, Option<u64>) -> Option<u64>,
) -> Result<(), StateError> {
    let mut visitor = VisitorMut::new();
    state.visit_mut(&mut visitor);
    let mut places = resolve(visitor.finish())?;
    for optimizer in &mut places.optimizers {
        let present = optimizer.handle.describe().parameters;
        let named = optimizer.parameters.iter().zip(&present);
        let steps: Vec<Option<u64>> = named.map(|(parameter, own)| step(&parameter.name, own.step)).collect();
        optimizer.handle.restore(None, &steps);
    }
    Ok(())
}
