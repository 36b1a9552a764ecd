//! The five optimizers in candle's operations, as a program without this library has them: one operation after the other, each with
//! a tensor of its own. The default hyper-parameters and the order of operations are those of the optimizers that they stand beside.

use candle_core::{Result, Tensor, Var};
use fabric_core::optim::{ParamsAdam, ParamsAdamW, ParamsLion, ParamsRmsProp};

use super::{Stepper, sgd_params};

/// The parameter and the state after a step, from those before, the gradient and the number of the step.
type Formula = fn(&Tensor, &[Tensor], &Tensor, i32) -> Result<(Tensor, Vec<Tensor>)>;

/// The steps of an optimizer with so many tensors of state, which begin as zeros.
pub(super) fn optimizer(var: Var, state: usize, formula: Formula) -> Result<Stepper> {
    let mut state = vec![var.zeros_like()?; state];
    let mut step = 0;
    Ok(Box::new(move |grads| {
        let Some(grad) = grads.get(&var) else { return Ok(()) };
        step += 1;
        let (theta, next) = formula(&var, &state, grad, step)?;
        state = next;
        var.set(&theta)
    }))
}

pub(super) fn adamw(theta: &Tensor, state: &[Tensor], g: &Tensor, step: i32) -> Result<(Tensor, Vec<Tensor>)> {
    let p = ParamsAdamW::default();
    let m = ((&state[0] * p.beta1)? + (g * (1. - p.beta1))?)?;
    let v = ((&state[1] * p.beta2)? + (g.sqr()? * (1. - p.beta2))?)?;
    let m_hat = (&m / (1. - p.beta1.powi(step)))?;
    let v_hat = (&v / (1. - p.beta2.powi(step)))?;
    let direction = (m_hat / (v_hat.sqrt()? + p.eps)?)?;
    let theta = ((theta * (1. - p.lr * p.weight_decay))? - (direction * p.lr)?)?;
    Ok((theta, vec![m, v]))
}

pub(super) fn adam(theta: &Tensor, state: &[Tensor], g: &Tensor, step: i32) -> Result<(Tensor, Vec<Tensor>)> {
    let p = ParamsAdam::default();
    let m = ((&state[0] * p.beta1)? + (g * (1. - p.beta1))?)?;
    let v = ((&state[1] * p.beta2)? + (g.sqr()? * (1. - p.beta2))?)?;
    let m_hat = (&m / (1. - p.beta1.powi(step)))?;
    let v_hat = (&v / (1. - p.beta2.powi(step)))?;
    let theta = (theta - ((m_hat / (v_hat.sqrt()? + p.eps)?)? * p.lr)?)?;
    Ok((theta, vec![m, v]))
}

pub(super) fn sgd(theta: &Tensor, state: &[Tensor], g: &Tensor, _: i32) -> Result<(Tensor, Vec<Tensor>)> {
    let p = sgd_params();
    let buffer = ((&state[0] * p.momentum)? + g)?;
    let theta = (theta - (&buffer * p.lr)?)?;
    Ok((theta, vec![buffer]))
}

pub(super) fn rmsprop(theta: &Tensor, state: &[Tensor], g: &Tensor, _: i32) -> Result<(Tensor, Vec<Tensor>)> {
    let p = ParamsRmsProp::default();
    let v = ((&state[0] * p.alpha)? + (g.sqr()? * (1. - p.alpha))?)?;
    let theta = (theta - ((g / (v.sqrt()? + p.eps)?)? * p.lr)?)?;
    Ok((theta, vec![v]))
}

pub(super) fn lion(theta: &Tensor, state: &[Tensor], g: &Tensor, _: i32) -> Result<(Tensor, Vec<Tensor>)> {
    let p = ParamsLion::default();
    let direction = ((&state[0] * p.beta1)? + (g * (1. - p.beta1))?)?.sign()?;
    let m = ((&state[0] * p.beta2)? + (g * (1. - p.beta2))?)?;
    let theta = ((theta * (1. - p.lr * p.weight_decay))? - (direction * p.lr)?)?;
    Ok((theta, vec![m]))
}
