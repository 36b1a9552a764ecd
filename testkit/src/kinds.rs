//! Kinds of optimizers, for tests that hold for each.

use candle_core::Var;
use candle_nn::{Optimizer, ParamsAdamW};
use fabric_core::Checkpoint;
use fabric_core::optim::{AdamW, ParamsSgd, Sgd};

/// A kind of optimizer.
pub trait Kind: Optimizer + Checkpoint + Sized {
    /// An optimizer over named variables, which keeps state of each.
    fn of(vars: Vec<(String, Var)>) -> Self;
}

impl Kind for AdamW {
    fn of(vars: Vec<(String, Var)>) -> Self {
        Self::from_named(vars, ParamsAdamW::default()).expect("an optimizer")
    }
}

impl Kind for Sgd {
    fn of(vars: Vec<(String, Var)>) -> Self {
        let options = ParamsSgd {
            lr: 0.1,
            momentum: 0.9,
            ..ParamsSgd::default()
        };
        Self::from_named(vars, options).expect("an optimizer")
    }
}
