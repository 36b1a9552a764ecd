//! Optimizers whose state can be saved.
//!
//! [`AdamW`] and [`Sgd`] implement candle's [`Optimizer`] trait and take the place of `candle_nn::AdamW` and
//! `candle_nn::SGD`: change the import, and the training loop stays as it is.
//!
//! ```
//! use candle_core::{DType, Device, Tensor, Var};
//! use fabric_core::optim::{AdamW, Optimizer, ParamsAdamW};
//!
//! # fn main() -> candle_core::Result<()> {
//! let weight = Var::ones(3, DType::F32, &Device::Cpu)?;
//! let mut optimizer = AdamW::new(vec![weight.clone()], ParamsAdamW { lr: 0.1, ..ParamsAdamW::default() })?;
//! let loss = weight.sqr()?.sum_all()?;
//! optimizer.backward_step(&loss)?;
//! assert!(weight.get(0)?.to_scalar::<f32>()? < 1.0);
//! # Ok(())
//! # }
//! ```
//!
//! The results of these two are bit for bit those of candle's in `f32`, `f64`, `f16` and `bf16`, computed on a CPU in one pass
//! over each parameter, without temporaries and on several threads for large ones; on other devices the same formula
//! is carried out by candle's own operations. NaNs are NaNs in both, but may differ in their unused bits, and so may
//! `bf16` results below 2^-126, which candle's addition rounds to zero on processors with AVX-512 BF16.
//!
//! [`Adam`], [`RmsProp`] and [`Lion`] are computed in the same way, and follow PyTorch and the authors of Lion in the order of operations.
//!
//! Several groups of parameters, each with its own hyper-parameters, are given as [`Group`]s; [`Groups`] splits the parameters of a
//! module into groups by rules. A [`Schedule`] gives the learning rate
//! of each step, and [`clip_grad_norm`] bounds the gradients.

mod adam;
mod adamw;
mod base;
mod candle;
mod clip;
mod element;
mod fused;
mod group;
mod groups;
mod hyper;
mod lion;
mod rmsprop;
mod schedule;
mod sgd;
#[cfg(test)]
mod tests;

pub use adam::{Adam, ParamsAdam};
pub use adamw::AdamW;
pub use candle_nn::{Optimizer, ParamsAdamW};
pub use clip::clip_grad_norm;
pub use group::Group;
pub use groups::Groups;
pub use lion::{Lion, ParamsLion};
pub use rmsprop::{ParamsRmsProp, RmsProp};
pub use schedule::Schedule;
pub use sgd::{ParamsSgd, Sgd};
