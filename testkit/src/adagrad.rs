//! An optimizer as another crate has it: public state, and no knowledge of checkpoints.

use candle_core::backprop::GradStore;
use candle_core::{Result, Var};
use candle_nn::Optimizer;

/// Adagrad ("Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", Duchi and others, 2011) with PyTorch's
/// `lr_decay`.
#[derive(Debug)]
pub struct Adagrad {
    pub params: AdagradParams,
    pub parameters: Vec<Accumulated>,
    pub steps: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdagradParams {
    pub lr: f64,
    pub lr_decay: f64,
}

/// A parameter and the sum of its squared gradients.
#[derive(Debug)]
pub struct Accumulated {
    pub var: Var,
    pub sum: Var,
}

impl Optimizer for Adagrad {
    type Config = AdagradParams;

    fn new(vars: Vec<Var>, params: AdagradParams) -> Result<Self> {
        let with_zeros = |var: Var| {
            Ok(Accumulated {
                sum: Var::from_tensor(&var.zeros_like()?)?,
                var,
            })
        };
        Ok(Self {
            params,
            parameters: vars.into_iter().map(with_zeros).collect::<Result<_>>()?,
            steps: 0,
        })
    }

    #[allow(clippy::cast_precision_loss, reason = "no training has 2^53 steps")]
    fn step(&mut self, grads: &GradStore) -> Result<()> {
        let lr = self.params.lr / (1. + self.steps as f64 * self.params.lr_decay);
        self.steps += 1;
        for Accumulated { var, sum } in &self.parameters {
            let Some(grad) = grads.get(var) else { continue };
            sum.set(&(sum.as_tensor() + grad.sqr()?)?)?;
            let direction = (grad / (sum.sqrt()? + 1e-10)?)?;
            var.set(&(var.as_tensor() - (direction * lr)?)?)?;
        }
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.params.lr
    }

    fn set_learning_rate(&mut self, lr: f64) {
        self.params.lr = lr;
    }
}
